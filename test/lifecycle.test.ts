import fc from 'fast-check';
import {
  accountStates,
  allowedChanges,
  begin,
  canonicalDuration,
  conditions,
  deadlineOf,
  decide,
  DurationError,
  endOf,
  formatDuration,
  MAX_PERIOD,
  nextWake,
  parseDuration,
  plus,
  policyInForce,
  refuse,
  rolesFor,
  rowFor,
  spreadBound,
  spreadOf,
  suspensionReasons,
  toInstant,
  transitions,
  type AccountState,
  type Circumstances,
  type Command,
  type CommandName,
  type Lifecycle,
  type Refusal,
  type Settings,
  type Step,
  type Transition,
} from '../src/lifecycle';
import { commandNames, commandSchemas, durationSchema, instantSchema, parseCommand } from '../src/lifecycle/schemas';

// The promise: what becomes of an account is decided by one table and by arithmetic that no clock, zone or calendar of the
// host takes part in. Nothing here needs Temporal or a database.

const settings: Settings = { gracePeriod: 'P14D', expiryPeriod: 'P30D', notice: 'P7D', minPeriod: 'PT1M' };
const start = '2026-03-01T08:00:00.000Z';
const admin = { type: 'key', id: 'boss', role: 'admin' } as const;
const operator = { type: 'key', id: 'op', role: 'operator' } as const;
const customer = { type: 'user', id: 'them', role: 'customer' } as const;

let ids = 0;

function at(now: string, more: Partial<Circumstances> = {}): Circumstances {
  return {
    account: 'acct-1',
    now,
    actor: admin,
    plan: 'enterprise',
    settings,
    datasets: ['prompts', 'completions', 'logs', 'usage'],
    newId: () => `hold-${(ids += 1)}`,
    ...more,
  };
}

function stepOf(decision: ReturnType<typeof decide>): Step {
  if ('refused' in decision) throw new Error(`refused: ${decision.refused.detail}`);
  return decision.step;
}

function refusedOf(decision: ReturnType<typeof decide>): Refusal {
  if ('step' in decision) throw new Error(`not refused: ${decision.step.action}`);
  return decision.refused;
}

/** Takes one step, which must be possible. */
function take(account: Lifecycle, command: Command, now: string, more: Partial<Circumstances> = {}): Lifecycle {
  return stepOf(decide(account, command, at(now, more))).next;
}

function command(name: CommandName, body: unknown = {}): Command {
  const parsed = parseCommand(name, body);
  if ('flaws' in parsed) throw new Error(JSON.stringify(parsed.flaws));
  return parsed.command;
}

const active = begin({ state: 'active', overrides: {} }, start, settings);
const suspended = take(active, command('suspend', { reason: 'non_payment' }), start);
const expired = take(active, command('close'), start);
const held = take(expired, command('placeHold', { reason: 'lawsuit' }), start);
const erasing = take(expired, { name: 'beginErasure' }, plus(start, 'P30D'));
const erased = take(erasing, { name: 'completeErasure' }, plus(start, 'P30D'));
const blamedForAll = ['terms_violation', 'other'].reduce(
  (account, reason) => take(account, command('suspend', { reason }), start),
  suspended,
);

const bodies: Readonly<Record<CommandName, unknown>> = {
  suspend: { reason: 'other' },
  reinstate: {},
  close: {},
  reopen: { note: 'paid after all' },
  changePolicy: { gracePeriod: 'P20D' },
  placeHold: { reason: 'lawsuit' },
  releaseHold: { holdId: held.holds[0]?.id ?? '' },
};

describe('the transition table', () => {
  const worlds: Readonly<Record<string, Lifecycle>> = {
    active,
    suspended,
    expired,
    erased,
    'suspended for everything': blamedForAll,
    'expired and being erased': erasing,
    'expired and held': held,
    'active and held': { ...active, holds: held.holds },
    'suspended and held': { ...suspended, holds: held.holds },
  };
  const cases = Object.keys(worlds).flatMap((world) => commandNames.map((name) => [name, world] as const));

  test.each(cases)(
    'R13: %s on an account that is %s applies by the table, or is refused and changes nothing',
    (name, world) => {
      const account = worlds[world] as Lifecycle;
      const frozen = JSON.stringify(account);
      const decision = decide(account, command(name, bodies[name]), at(start));
      const row = rowFor(account, name);
      const pointless = name === 'releaseHold' && account.holds.length === 0;
      if (row === undefined || pointless) {
        const refused = refusedOf(decision);
        const code = account.state === 'erased' ? 'account-erased' : row === undefined ? 'conflict' : 'not-found';
        expect(refused).toMatchObject({ code, state: account.state, allowed: allowedChanges(account) });
        expect(refused.detail).not.toBe('');
      } else {
        expect(stepOf(decision).next.state).toBe(row.to ?? account.state);
      }
      expect(JSON.stringify(account)).toBe(frozen);
    },
  );

  test('says of every row who may ask, under which rule, and whereto', () => {
    for (const row of transitions as readonly Transition[]) {
      expect(row.rules.length).toBeGreaterThan(0);
      expect(row.roles.length === 0).toBe(row.trigger === 'timer');
      expect(row.from).not.toContain('erased');
      for (const state of row.from) expect(accountStates).toContain(state);
    }
    for (const name of commandNames) expect(rolesFor(name).length).toBeGreaterThan(0);
  });

  // What the policy says, in its own words, independently of the table.
  test.each([
    ['active', ['suspend', 'close']],
    ['suspended', ['suspend', 'reinstate', 'close']],
    ['suspended for everything', ['reinstate', 'close']],
    ['expired', ['reopen']],
    ['expired and being erased', []],
    ['erased', []],
  ])('R13: an account that is %s allows %j', (world, allowed) => {
    expect(allowedChanges(worlds[world] as Lifecycle)).toEqual(allowed);
  });

  test('R7, R8: the customer may close and change what is theirs, and nothing else', () => {
    expect(commandNames.filter((name) => rolesFor(name).includes('customer'))).toEqual(['close', 'changePolicy']);
    expect(rolesFor('reopen')).toEqual(['admin']);
    for (const name of commandNames) expect(rolesFor(name)).not.toContain('gateway');
  });

  test('the conditions hold where they are said to', () => {
    expect(conditions.reasonLeft(suspended)).toBe(true);
    expect(conditions.reasonLeft(blamedForAll)).toBe(false);
    expect(conditions.erasureNotBegun(expired)).toBe(true);
    expect(conditions.erasureNotBegun(erasing)).toBe(false);
  });

  test('R8: nothing moves an erased account', () => {
    const timers: Command[] = [
      { name: 'endGracePeriod' },
      { name: 'endHold', holdId: 'x' },
      { name: 'beginErasure' },
      { name: 'completeErasure' },
    ];
    for (const message of [...timers, ...commandNames.map((name) => command(name, bodies[name]))]) {
      expect(refusedOf(decide(erased, message, at('2030-01-01T00:00:00.000Z'))).code).toBe('account-erased');
    }
  });

  test('a timer that comes too early, or to the wrong state, does nothing', () => {
    const early = toInstant(Date.parse(plus(start, 'P14D')) - 1);
    expect(refusedOf(decide(suspended, { name: 'endGracePeriod' }, at(early))).code).toBe('conflict');
    expect(refusedOf(decide(active, { name: 'endGracePeriod' }, at(early))).code).toBe('conflict');
    const due = plus(start, 'P30D');
    expect(refusedOf(decide(expired, { name: 'beginErasure' }, at(toInstant(Date.parse(due) - 1)))).code).toBe(
      'conflict',
    );
    expect(refusedOf(decide(held, { name: 'beginErasure' }, at(due))).code).toBe('conflict');
    expect(refusedOf(decide(suspended, { name: 'beginErasure' }, at(due))).code).toBe('conflict');
    expect(refusedOf(decide(expired, { name: 'endHold', holdId: 'gone' }, at(due))).code).toBe('not-found');
  });
});

describe('durations', () => {
  test.each([
    ['P14D', 14 * 86_400_000, 'P14D'],
    ['PT336H', 14 * 86_400_000, 'P14D'],
    ['P2W', 14 * 86_400_000, 'P14D'],
    ['P1W1DT1H1M1S', 694_861_000, 'P8DT1H1M1S'],
    ['PT90M', 5_400_000, 'PT1H30M'],
    ['PT0S', 0, 'PT0S'],
    ['P0D', 0, 'PT0S'],
    ['PT86400S', 86_400_000, 'P1D'],
    ['P007D', 7 * 86_400_000, 'P7D'],
  ])('%s is %d ms, canonically %s', (text, length, canonical) => {
    expect(parseDuration(text)).toBe(length);
    expect(canonicalDuration(text)).toBe(canonical);
    expect(parseDuration(canonical)).toBe(length);
  });

  test.each([
    '',
    'P',
    'PT',
    'P1M',
    'P1Y',
    'P1Y2D',
    'P1.5D',
    'PT1,5H',
    'P-1D',
    '-P1D',
    '+P1D',
    'p14d',
    'P14d',
    'P1DT',
    'PT1D',
  ])('refuses %j', (text) => expect(() => parseDuration(text)).toThrow(DurationError));
  test.each([
    'P1H',
    ' P1D',
    'P1D ',
    'P1D\n',
    '14D',
    'P1D2W',
    'P1H',
    'PT1M1H',
    'P１D',
    'P99999999999999999999D',
    'PTInfinityS',
  ])('refuses %j too', (text) => expect(() => parseDuration(text)).toThrow(DurationError));

  test('says that months and years have no fixed length, and does not say so of minutes', () => {
    expect(() => parseDuration('P1M')).toThrow('no fixed length');
    expect(() => parseDuration('P2Y')).toThrow('no fixed length');
    expect(() => parseDuration('PT5M5')).toThrow('expected an ISO 8601');
  });

  test('an overlong text, or none, is a flaw and not an exception', () => {
    for (const text of [`P${'9'.repeat(100)}D`, `P${'0'.repeat(70)}1D`, `P${'9'.repeat(60)}D`, 7, null, {}]) {
      expect(durationSchema.safeParse(text).success).toBe(false);
    }
    expect(durationSchema.parse('PT24H')).toBe('P1D');
  });

  test('canonical form is a fixed point and keeps the length', () => {
    fc.assert(
      fc.property(fc.nat({ max: 10 * 365 * 86_400 }), (seconds) => {
        const text = formatDuration(seconds * 1000);
        expect(parseDuration(text)).toBe(seconds * 1000);
        expect(canonicalDuration(text)).toBe(text);
      }),
    );
  });

  test('no text makes reading a message throw: it fits or it has flaws', () => {
    const fragments = fc.array(fc.constantFrom('P', 'T', '1', '0', '99', 'D', 'W', 'H', 'M', 'S', 'Y', '.', '-'), {
      maxLength: 9,
    });
    fc.assert(
      fc.property(fragments, (parts) => {
        const parsed = parseCommand('changePolicy', { gracePeriod: parts.join('') });
        expect('command' in parsed || parsed.flaws.length > 0).toBe(true);
      }),
    );
  });

  test.each([
    ['PT59S', 'must be at least PT1M'],
    ['PT1M', undefined],
    ['P3650D', undefined],
    ['P3650DT1S', 'must be at most P3650D'],
    ['P400000W', 'must be at most P3650D'],
  ])('R7: a period of %s: %s', (gracePeriod, flaw) => {
    const decision = decide(active, command('changePolicy', { gracePeriod }), at(start));
    if (flaw === undefined) expect(stepOf(decision).next.overrides.gracePeriod).toBe(gracePeriod);
    else
      expect(refusedOf(decision)).toMatchObject({
        code: 'validation',
        errors: [{ path: 'gracePeriod', detail: flaw }],
      });
    expect(parseDuration('P3650D')).toBe(MAX_PERIOD);
  });
});

describe('messages', () => {
  test.each<[CommandName, unknown]>([
    ['suspend', undefined],
    ['suspend', null],
    ['suspend', {}],
    ['suspend', 'non_payment'],
    ['suspend', ['non_payment']],
    ['suspend', { reason: 'boredom' }],
    ['suspend', { reason: 'other', extra: 1 }],
    ['suspend', { reason: 'other', note: '' }],
    ['suspend', { reason: 'other', note: 'x'.repeat(2001) }],
    ['reinstate', { resolved: [] }],
    ['reinstate', { resolved: ['nothing'] }],
    ['close', { now: true }],
    ['reopen', {}],
    ['reopen', { note: '   ' }],
    ['changePolicy', { gracePeriod: 14 }],
    ['changePolicy', { activeRetentionDays: -1 }],
    ['changePolicy', { activeRetentionDays: 366 }],
    ['changePolicy', { activeRetentionDays: 1.5 }],
    ['changePolicy', { activeRetentionDays: '30' }],
    ['placeHold', {}],
    ['placeHold', { reason: 'x', until: 'tomorrow' }],
    ['placeHold', { reason: 'x', until: '2026-02-30T00:00:00Z' }],
    ['placeHold', { reason: 'x', until: '2027-01-01' }],
    ['placeHold', { reason: 'x', datasets: [] }],
    ['releaseHold', {}],
  ])('%s %j does not fit', (name, body) => {
    const parsed = parseCommand(name, body);
    expect('flaws' in parsed && parsed.flaws.length > 0).toBe(true);
  });

  test('no JSON whatever makes reading a message throw', () => {
    fc.assert(
      fc.property(fc.constantFrom(...commandNames), fc.jsonValue(), (name, body) => {
        expect(() => parseCommand(name, body)).not.toThrow();
      }),
      { numRuns: 500 },
    );
    expect(Object.keys(commandSchemas)).toEqual(commandNames);
  });

  test('an instant that is accepted is one, in UTC, whatever its offset', () => {
    const two = (n: number) => String(n).padStart(2, '0');
    const parts = fc.tuple(fc.nat(9999), fc.nat(13), fc.nat(32), fc.nat(25), fc.nat(61), fc.nat(61), fc.nat(99));
    const offset = fc.oneof(
      fc.constantFrom('Z', '', 'z', '+00', '+0100'),
      fc.tuple(fc.constantFrom('+', '-'), fc.nat(25), fc.nat(61)).map(([sign, h, m]) => `${sign}${two(h)}:${two(m)}`),
    );
    fc.assert(
      fc.property(parts, offset, fc.constantFrom('', '.1', '.123456789012'), ([y, mo, d, h, mi, s], zone, fraction) => {
        const text = `${String(y).padStart(4, '0')}-${two(mo)}-${two(d)}T${two(h)}:${two(mi)}:${two(s)}${fraction}${zone}`;
        const parsed = instantSchema.safeParse(text);
        if (parsed.success) expect(parsed.data).toBe(new Date(text).toISOString());
      }),
      { numRuns: 3000 },
    );
    expect(instantSchema.parse('2026-03-29T02:30:00+01:00')).toBe('2026-03-29T01:30:00.000Z');
  });
});

describe('deadlines', () => {
  test('R2, R3: a period lasts exactly its length, from the moment the state began', () => {
    expect(deadlineOf(suspended)).toEqual({ action: 'close', at: '2026-03-15T08:00:00.000Z' });
    expect(deadlineOf(expired)).toEqual({ action: 'erase', at: '2026-03-31T08:00:00.000Z' });
    expect(deadlineOf(active)).toBeUndefined();
    expect(deadlineOf(erased)).toBeUndefined();
  });

  // Where clocks change: New York 8 March and 1 November, Berlin 29 March and 25 October, Lord Howe 5 April and 4 October.
  test.each([
    '2026-03-07T06:59:59.999Z',
    '2026-03-08T07:00:00.000Z',
    '2026-03-28T23:30:00.000Z',
    '2026-03-29T01:00:00.000Z',
    '2026-04-04T14:59:00.000Z',
    '2026-10-04T02:15:00.000Z',
    '2026-10-24T23:30:00.000Z',
    '2026-10-25T01:00:00.000Z',
    '2026-11-01T05:59:59.000Z',
    '2028-02-28T23:59:59.999Z',
  ])('a change of clocks after %s makes no day longer or shorter', (since) => {
    for (const [length, days] of [
      ['P1D', 1],
      ['P14D', 14],
      ['P30D', 30],
      ['P365D', 365],
    ] as const) {
      expect(Date.parse(plus(since, length)) - Date.parse(since)).toBe(days * 24 * 3_600_000);
      expect(plus(since, length).slice(10)).toBe(since.slice(10));
    }
    const blocked = take(active, command('suspend', { reason: 'other' }), since);
    expect(deadlineOf(blocked)?.at).toBe(endOf(since, { length: 'P14D' }));
    const closed = take(blocked, { name: 'endGracePeriod' }, plus(since, 'P14D'));
    expect(closed.since).toBe(plus(since, 'P14D'));
    expect(deadlineOf(closed)?.at).toBe(plus(since, 'P44D'));
  });

  test('R5: closing on time begins the expiry period at the deadline itself, closing late when it really happened', () => {
    const due = plus(start, 'P14D');
    const spread = toInstant(Date.parse(due) + 5 * 60_000);
    expect(take(suspended, { name: 'endGracePeriod' }, spread)).toMatchObject({
      state: 'expired',
      since: due,
      closure: 'forced',
    });
    const late = plus(due, 'P2D');
    expect(take(suspended, { name: 'endGracePeriod' }, late).since).toBe(late);
  });

  test('wakes are spread over at most 1% of the period and five minutes, never before the deadline', () => {
    for (const [length, bound] of [
      ['PT1M', 600],
      ['PT1H', 36_000],
      ['P14D', 300_000],
      ['P3650D', 300_000],
    ] as const) {
      expect(spreadBound({ length })).toBe(bound);
      fc.assert(
        fc.property(fc.string({ minLength: 1, maxLength: 64 }), (id) => {
          const spread = spreadOf(id, { length });
          expect(Number.isInteger(spread) && spread >= 0 && spread < bound).toBe(true);
          expect(spreadOf(id, { length })).toBe(spread);
        }),
      );
    }
  });

  test('wakes are spread evenly, over consecutive ids too', () => {
    for (const idOf of [
      (n: number) => `acct-${n}`,
      (n: number) => String(n).padStart(12, '0'),
      (n: number) => `a${(n * 7919).toString(36)}`,
    ]) {
      const buckets = new Array<number>(10).fill(0);
      for (let n = 0; n < 10_000; n += 1) {
        const bucket = Math.floor(spreadOf(idOf(n), { length: 'P14D' }) / 30_000);
        buckets[bucket] = (buckets[bucket] ?? 0) + 1;
      }
      for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(200);
    }
  });

  test('R9: what is waited for is the end of the period or of a hold, whichever is first; erasure never under a hold', () => {
    const due = plus(start, 'P30D');
    expect(nextWake('acct-1', expired)).toEqual({
      for: 'beginErasure',
      at: toInstant(Date.parse(due) + spreadOf('acct-1', { length: 'P30D' })),
    });
    expect(nextWake('acct-1', held)).toBeUndefined();
    const ending = take(held, command('placeHold', { reason: 'audit', until: '2026-03-10T00:00:00+02:00' }), start);
    expect(nextWake('acct-1', ending)).toMatchObject({ for: 'endHold', at: '2026-03-09T22:00:00.000Z' });
    const both = take(suspended, command('placeHold', { reason: 'audit', until: '2026-03-20T00:00:00Z' }), start);
    expect(nextWake('acct-1', both)).toMatchObject({ for: 'endGracePeriod' });
    expect(nextWake('acct-1', active)).toBeUndefined();
  });

  test('R9: the end of a hold is not put off by an erasure that is due and has to wait', () => {
    const until = plus(start, 'P31D');
    const chosen = take(expired, command('placeHold', { reason: 'audit', datasets: ['logs'], until }), start);
    expect(nextWake('acct-1', chosen)).toMatchObject({ for: 'beginErasure' });
    const notBefore = Date.parse(plus(until, 'PT1H'));
    expect(nextWake('acct-1', chosen, notBefore)).toEqual({ for: 'endHold', at: until, holdId: chosen.holds[0]?.id });
    expect(nextWake('acct-1', expired, notBefore)).toEqual({ for: 'beginErasure', at: toInstant(notBefore) });
  });
});

describe('policy', () => {
  const day3 = plus(start, 'P3D');

  test.each(['P20D', 'P100D', 'P9DT23H', 'P1DT1S', 'P15D'])(
    'R7: %s counts from the moment the state began',
    (gracePeriod) => {
      // On day 1 everything of eight days or more is beyond the notice.
      const next = take(suspended, command('changePolicy', { gracePeriod }), plus(start, 'P1D'));
      const floor = plus(start, 'P8D');
      const wanted = plus(start, gracePeriod);
      expect(deadlineOf(next)?.at).toBe(wanted > floor ? wanted : floor);
      expect(next.since).toBe(suspended.since);
    },
  );

  test('R7: there and back again ends where it began', () => {
    const longer = take(suspended, command('changePolicy', { gracePeriod: 'P60D' }), day3);
    expect(deadlineOf(longer)?.at).toBe(plus(start, 'P60D'));
    const back = take(longer, command('changePolicy', { gracePeriod: null }), day3);
    expect(deadlineOf(back)?.at).toBe(plus(start, 'P14D'));
    expect(back.overrides).toEqual({});
  });

  test('R7: shortening leaves the notice from now, and never moves an earlier end further away', () => {
    const short = command('changePolicy', { expiryPeriod: 'P1D' });
    const soon = take(expired, short, plus(start, 'P10D'));
    expect(deadlineOf(soon)?.at).toBe(plus(start, 'P17D'));
    // Two days before the end the notice would lie behind it: the end stays.
    expect(deadlineOf(take(expired, short, plus(start, 'P28D')))?.at).toBe(plus(start, 'P30D'));
    // Once more, later: nothing moves, in either direction.
    expect(deadlineOf(take(soon, command('changePolicy', { expiryPeriod: 'P2D' }), plus(start, 'P12D')))?.at).toBe(
      plus(start, 'P17D'),
    );
  });

  test('R7: at no sequence of changes does a running period end sooner than the notice, unless it already did', () => {
    const change = fc.record({ days: fc.integer({ min: 1, max: 60 }), wait: fc.integer({ min: 0, max: 72 }) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        let account = expired;
        let now = Date.parse(start);
        for (const { days, wait } of changes) {
          now += wait * 3_600_000;
          const before = Date.parse(deadlineOf(account)?.at ?? '');
          if (before <= now) return;
          account = take(account, command('changePolicy', { expiryPeriod: `P${days}D` }), toInstant(now));
          const after = Date.parse(deadlineOf(account)?.at ?? '');
          const floor = Math.min(before, now + 7 * 86_400_000);
          expect(after).toBe(Math.max(Date.parse(start) + days * 86_400_000, floor));
        }
      }),
      { numRuns: 500 },
    );
  });

  test('R7: shortening needs an administrator; lengthening does not', () => {
    const by = { actor: operator };
    expect(refusedOf(decide(suspended, command('changePolicy', { gracePeriod: 'P13D' }), at(day3, by))).code).toBe(
      'forbidden',
    );
    expect(refusedOf(decide(active, command('changePolicy', { expiryPeriod: 'P29D' }), at(day3, by))).code).toBe(
      'forbidden',
    );
    const longer = take(suspended, command('changePolicy', { gracePeriod: 'P20D' }), day3, by);
    expect(deadlineOf(longer)?.at).toBe(plus(start, 'P20D'));
    expect(refusedOf(decide(longer, command('changePolicy', { gracePeriod: null }), at(day3, by))).code).toBe(
      'forbidden',
    );
  });

  test('R7: never by the customer, in either direction', () => {
    for (const body of [
      { gracePeriod: 'P90D' },
      { expiryPeriod: 'P1D' },
      { gracePeriod: null },
      { gracePeriod: 'P90D', activeRetentionDays: 5 },
    ]) {
      expect(refusedOf(decide(active, command('changePolicy', body), at(day3, { actor: customer }))).code).toBe(
        'forbidden',
      );
    }
  });

  test('R7: a new default binds only periods that begin later', () => {
    const changed = { settings: { ...settings, gracePeriod: 'P3D', expiryPeriod: 'P5D' } };
    const policy = take(suspended, command('changePolicy', { expiryPeriod: 'P40D' }), day3, changed);
    expect(deadlineOf(policy)?.at).toBe(plus(start, 'P14D'));
    const other = take(suspended, command('suspend', { reason: 'other' }), day3, changed);
    expect(deadlineOf(other)?.at).toBe(plus(start, 'P14D'));
    const closed = take(suspended, { name: 'endGracePeriod' }, plus(start, 'P14D'), changed);
    expect(deadlineOf(closed)?.at).toBe(plus(start, 'P19D'));
    const again = take(
      take(suspended, command('reinstate'), day3, changed),
      command('suspend', { reason: 'other' }),
      day3,
      changed,
    );
    expect(deadlineOf(again)?.at).toBe(plus(day3, 'P3D'));
  });

  test('R7: a change that names the other period leaves the running one alone', () => {
    expect(deadlineOf(take(suspended, command('changePolicy', { expiryPeriod: 'P2D' }), day3))).toEqual(
      deadlineOf(suspended),
    );
    expect(deadlineOf(take(expired, command('changePolicy', { gracePeriod: 'P2D' }), day3))).toEqual(
      deadlineOf(expired),
    );
  });

  test('R11: active-data retention is for enterprise accounts, whole days from 0 to 365, and a change must name something', () => {
    const days = (activeRetentionDays: number | null) => command('changePolicy', { activeRetentionDays });
    expect(take(active, days(0), start, { actor: customer }).overrides).toEqual({ activeRetentionDays: 0 });
    expect(take(active, days(365), start, { actor: operator }).overrides).toEqual({ activeRetentionDays: 365 });
    expect(refusedOf(decide(active, days(30), at(start, { plan: 'standard' }))).code).toBe('conflict');
    expect(refusedOf(decide(active, command('changePolicy'), at(start))).code).toBe('validation');
    expect(policyInForce({}, settings).activeRetentionDays).toEqual({ value: null, origin: 'default' });
  });
});

describe('causes', () => {
  const both = take(suspended, command('suspend', { reason: 'terms_violation' }), plus(start, 'P2D'));

  test('R4: another reason is added and the clock left alone; the same one is refused', () => {
    expect(both.causes.map((cause) => cause.reason)).toEqual(['non_payment', 'terms_violation']);
    expect(both).toMatchObject({ state: 'suspended', since: suspended.since, period: suspended.period });
    expect(refusedOf(decide(both, command('suspend', { reason: 'non_payment' }), at(start)))).toMatchObject({
      code: 'conflict',
      state: 'suspended',
      allowed: ['suspend', 'reinstate', 'close'],
    });
  });

  test('R4: a payment does not reopen an account that is blocked for a breach of terms', () => {
    const paid = take(both, command('reinstate', { resolved: ['non_payment'] }), plus(start, 'P3D'));
    expect(paid).toMatchObject({ state: 'suspended', since: suspended.since });
    expect(deadlineOf(paid)).toEqual(deadlineOf(both));
    const free = take(paid, command('reinstate', { resolved: ['terms_violation'] }), plus(start, 'P4D'));
    expect(free).toEqual({ state: 'active', since: plus(start, 'P4D'), causes: [], overrides: {}, holds: [] });
  });

  test('R4: resolving what does not stand is refused, even beside what does', () => {
    const decision = decide(suspended, command('reinstate', { resolved: ['non_payment', 'other'] }), at(start));
    expect(refusedOf(decision).code).toBe('conflict');
  });

  test('R4: without naming any, all are resolved; a later suspension starts a full new grace period', () => {
    const free = take(blamedForAll, command('reinstate'), plus(start, 'P13D'));
    expect(free.state).toBe('active');
    const again = take(free, command('suspend', { reason: 'non_payment' }), plus(start, 'P13D'));
    expect(deadlineOf(again)?.at).toBe(plus(start, 'P27D'));
  });

  test('R8: what an account was closed for is remembered until it is reopened', () => {
    const closed = take(both, command('close'), plus(start, 'P3D'));
    expect(closed).toMatchObject({
      state: 'expired',
      closure: 'voluntary',
      since: plus(start, 'P3D'),
      causes: both.causes,
    });
    const reopened = take(closed, command('reopen', { note: 'all settled' }), plus(start, 'P4D'));
    expect(reopened).toEqual({ state: 'active', since: plus(start, 'P4D'), causes: [], overrides: {}, holds: [] });
    expect(refusedOf(decide(erasing, command('reopen', { note: 'please' }), at(start)))).toMatchObject({
      code: 'conflict',
      allowed: [],
    });
    expect(suspensionReasons).toHaveLength(3);
  });
});

describe('legal holds', () => {
  const second = take(held, command('placeHold', { reason: 'audit', datasets: ['logs', 'logs'] }), start);
  const [one, two] = second.holds.map((hold) => hold.id) as [string, string];
  const release = (holdId: string) => command('releaseHold', { holdId });

  test('R9: a hold changes no clock and no state', () => {
    for (const account of [active, suspended, expired]) {
      const { holds, ...rest } = take(account, command('placeHold', { reason: 'lawsuit' }), plus(start, 'P1D'));
      expect(rest).toEqual({ ...account, holds: undefined });
      expect(holds).toHaveLength(1);
    }
    expect(two === one).toBe(false);
    expect(second.holds[1]?.datasets).toEqual(['logs']);
  });

  test('R9: released before the due date, erasure keeps its date', () => {
    const freed = take(held, release(one), plus(start, 'P29D'));
    expect(deadlineOf(freed)?.at).toBe(plus(start, 'P30D'));
  });

  test('R9: what a hold lets go after the due date is erased after the notice, and what another still holds is not', () => {
    const late = plus(start, 'P100D');
    expect(nextWake('acct-1', second)).toBeUndefined();
    const left = take(second, release(one), late);
    expect(deadlineOf(left)?.at).toBe(plus(late, 'P7D'));
    expect(nextWake('acct-1', left)?.for).toBe('beginErasure');
    const begun = take(left, { name: 'beginErasure' }, plus(late, 'P7D'));
    expect(refusedOf(decide(begun, { name: 'completeErasure' }, at(plus(late, 'P7D')))).code).toBe('conflict');
    const spared = take(begun, { name: 'spareHeld', datasets: ['logs'] }, plus(late, 'P7D'));
    expect(nextWake('acct-1', spared)).toBeUndefined();
    const rest = take(spared, { name: 'endHold', holdId: two }, plus(late, 'P50D'));
    expect(deadlineOf(rest)?.at).toBe(plus(late, 'P57D'));
    expect(nextWake('acct-1', rest)?.for).toBe('beginErasure');
  });

  test('R9: when the last one goes after the due date, erasure starts after the notice', () => {
    const late = plus(start, 'P100D');
    const left = take(second, release(one), late);
    const freed = take(left, { name: 'endHold', holdId: two }, plus(late, 'P1D'));
    expect(deadlineOf(freed)?.at).toBe(plus(start, 'P108D'));
    expect(refusedOf(decide(freed, { name: 'beginErasure' }, at(plus(start, 'P107D')))).code).toBe('conflict');
    expect(stepOf(decide(freed, { name: 'beginErasure' }, at(plus(start, 'P108D')))).action).toBe(
      'account.erasure-started',
    );
  });

  test('R9: a hold that comes and goes while the notice of an earlier one runs is given a notice of its own', () => {
    const released = plus(start, 'P40D');
    const afterFirst = take(held, command('releaseHold', { holdId: held.holds[0]?.id }), released);
    expect(deadlineOf(afterFirst)?.at).toBe(plus(released, 'P7D'));
    const again = take(afterFirst, command('placeHold', { reason: 'another lawsuit' }), plus(released, 'P2D'));
    const lastMinute = plus(released, 'P6DT23H59M');
    const afterSecond = take(again, command('releaseHold', { holdId: again.holds[0]?.id }), lastMinute);
    expect(deadlineOf(afterSecond)?.at).toBe(plus(lastMinute, 'P7D'));
  });

  test('R7, R9: a policy change while that notice runs takes nothing of it from the hold that comes next', () => {
    const released = plus(start, 'P40D');
    const afterFirst = take(held, command('releaseHold', { holdId: held.holds[0]?.id }), released);
    const shorter = take(afterFirst, command('changePolicy', { expiryPeriod: 'P20D' }), plus(released, 'P1D'));
    expect(deadlineOf(shorter)?.at).toBe(plus(released, 'P7D'));
    const again = take(shorter, command('placeHold', { reason: 'another lawsuit' }), plus(released, 'P2D'));
    const lastMinute = plus(released, 'P6DT23H59M');
    const afterSecond = take(again, command('releaseHold', { holdId: again.holds[0]?.id }), lastMinute);
    expect(deadlineOf(afterSecond)?.at).toBe(plus(lastMinute, 'P7D'));
  });

  test('R9: a hold placed while erasure runs can be placed, and erasure goes on after the notice', () => {
    const stopped = take(erasing, command('placeHold', { reason: 'lawsuit' }), plus(start, 'P30D'));
    expect(stopped.erasingSince).toBe(erasing.erasingSince);
    const freed = take(stopped, release(stopped.holds[0]?.id ?? ''), plus(start, 'P31D'));
    expect(deadlineOf(freed)?.at).toBe(plus(start, 'P38D'));
    const resumed = stepOf(decide(freed, { name: 'beginErasure' }, at(plus(start, 'P38D'))));
    expect(resumed.details).toMatchObject({ resumed: true });
    expect(resumed.next.erasingSince).toBe(erasing.erasingSince);
  });

  test('R9: what cannot be is refused: an end in the past, an unknown data set, an unknown hold, one too many', () => {
    const refusedBy = (body: unknown) => refusedOf(decide(active, command('placeHold', body), at(start)));
    expect(refusedBy({ reason: 'x', until: start }).errors?.[0]?.path).toBe('until');
    expect(refusedBy({ reason: 'x', reviewAt: start }).errors?.[0]?.path).toBe('reviewAt');
    expect(refusedBy({ reason: 'x', datasets: ['logs', 'invoices'] }).errors?.[0]?.path).toBe('datasets.1');
    expect(refusedOf(decide(held, release('nobody'), at(start))).code).toBe('not-found');
    const many = {
      ...active,
      holds: Array.from({ length: 100 }, (_, n) => ({ id: String(n), reason: 'x', placedAt: start, placedBy: 'y' })),
    };
    expect(refusedOf(decide(many, command('placeHold', { reason: 'x' }), at(start))).code).toBe('conflict');
  });
});

describe('beginnings', () => {
  test.each<[Exclude<AccountState, 'erased'>, string | undefined]>([
    ['active', undefined],
    ['suspended', 'P14D'],
    ['expired', 'P30D'],
  ])('an account that begins %s has until %s', (state, length) => {
    const account = begin({ state, overrides: {} }, start, settings);
    expect(deadlineOf(account)?.at).toBe(length === undefined ? undefined : plus(start, length));
    expect(refuse(account, 'conflict', 'x').refused.state).toBe(state);
  });

  test('R7: an account adopted as expired long ago is not erased on the spot', () => {
    const account = begin({ state: 'expired', since: '2020-01-01T00:00:00.000Z', overrides: {} }, start, settings);
    expect(deadlineOf(account)?.at).toBe(plus(start, 'P7D'));
  });
});
