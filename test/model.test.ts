import fc from 'fast-check';
import { ingest } from '../src/data';
import { CourseMissingError, RefusedError } from '../src/temporal';
import { accountPaths, event, everywhere, recordCounts } from './helpers/events';
import { actorWith, startTimeSkippingSystem, type System } from './helpers/system';

// The promise: whatever is asked of an account, in whatever order, with whatever waits between, it is what the policy says it
// is. The model below is written from the policy's words and shares no code with the product.

const second = 1000;
const hour = 3600 * second;
const day = 24 * hour;
/** Longest spread of a wake-up, and what the servers may take. */
const settled = 6 * 60 * second;

const reasons = ['non_payment', 'terms_violation', 'other'] as const;
type Reason = (typeof reasons)[number];

type Step =
  | { readonly do: 'suspend'; readonly reason: Reason | 'boredom' }
  | { readonly do: 'reinstate'; readonly resolved?: readonly Reason[] }
  | { readonly do: 'close' }
  | { readonly do: 'reopen'; readonly note: string }
  | {
      readonly do: 'changePolicy';
      readonly period: 'gracePeriod' | 'expiryPeriod';
      readonly days: number | null;
      readonly role: 'admin' | 'operator' | 'customer';
    }
  | { readonly do: 'placeHold'; readonly hours: number | null }
  | { readonly do: 'releaseHold'; readonly which: number }
  | { readonly do: 'wait'; readonly hours: number }
  | { readonly do: 'ingest'; readonly hoursAgo: number };

interface ModelHold {
  readonly id: string;
  readonly until: number | undefined;
}

/** An account by the policy's words. */
interface Model {
  state: 'active' | 'suspended' | 'expired' | 'erased';
  since: number;
  causes: Reason[];
  /** Days the period that runs was given, and when it ends. */
  length: number;
  due: number;
  /** The date of erasure passed under a hold, and only the notice after its release is waited for. */
  overdue: boolean;
  own: { gracePeriod?: number; expiryPeriod?: number };
  holds: ModelHold[];
  /** When it was active; the last stretch is open while it is. */
  active: { from: number; to: number }[];
  stored: number;
}

const standard = { gracePeriod: 14, expiryPeriod: 30 };
const notice = 7 * day;

interface World {
  readonly system: System;
  readonly id: string;
}

function lengthOf(model: Model, period: 'gracePeriod' | 'expiryPeriod'): number {
  return model.own[period] ?? standard[period];
}

function enter(model: Model, state: 'suspended' | 'expired', since: number): void {
  const open = model.active.at(-1);
  if (model.state === 'active' && open !== undefined) open.to = since;
  model.state = state;
  model.since = since;
  model.length = lengthOf(model, state === 'suspended' ? 'gracePeriod' : 'expiryPeriod');
  model.due = since + model.length * day;
  model.overdue = false;
}

function activate(model: Model, since: number): void {
  Object.assign(model, { state: 'active', since, causes: [], due: Infinity, overdue: false });
  model.active.push({ from: since, to: Infinity });
}

/** What refuses a step, if anything does. */
function refusalOf(model: Model, step: Step, now: number): string | undefined {
  if (model.state === 'erased') return 'gone';
  switch (step.do) {
    case 'suspend':
      if (step.reason === 'boredom') return 'validation';
      return model.state === 'expired' || model.causes.includes(step.reason) ? 'conflict' : undefined;
    case 'reinstate': {
      const strangers = (step.resolved ?? []).some((reason) => !model.causes.includes(reason));
      return model.state !== 'suspended' || strangers ? 'conflict' : undefined;
    }
    case 'close':
      return model.state === 'expired' ? 'conflict' : undefined;
    case 'reopen':
      if (step.note === '') return 'validation';
      return model.state === 'expired' ? undefined : 'conflict';
    case 'changePolicy': {
      if (step.days === 0) return 'validation';
      if (step.role === 'customer') return 'forbidden';
      const wanted = step.days ?? standard[step.period];
      const running =
        model.state === 'suspended' ? 'gracePeriod' : model.state === 'expired' ? 'expiryPeriod' : undefined;
      const sooner = running === step.period && changedDue(model, wanted, now) < model.due;
      return step.role === 'operator' && (wanted < lengthOf(model, step.period) || sooner) ? 'forbidden' : undefined;
    }
    case 'placeHold':
      return step.hours !== null && step.hours <= 0 ? 'validation' : undefined;
    case 'releaseHold':
      return step.which < model.holds.length ? undefined : 'not-found';
    case 'wait':
    case 'ingest':
      return undefined;
  }
}

/** R7: from the moment the state began, and where that is sooner than now set, not before the notice. */
function changedDue(model: Model, days: number, now: number): number {
  const due = model.since + days * day;
  return due >= model.due || days === model.length
    ? Math.max(due, days === model.length ? model.due : due)
    : Math.max(due, Math.min(model.due, now + notice));
}

function between(value: number, low: number, high: number): number {
  expect(value).toBeGreaterThanOrEqual(low);
  expect(value).toBeLessThanOrEqual(high);
  return value;
}

async function nowOf({ system }: World): Promise<number> {
  return (await system.now()).getTime();
}

/** Waits, in real time, until the account has done what it had to. */
async function until(world: World, holds: (account: Awaited<ReturnType<System['account']>>) => boolean) {
  for (const started = performance.now(); ;) {
    const account = await world.system.account(world.id);
    if (holds(account)) return account;
    if (performance.now() - started > 10_000) throw new Error(`still ${account.state} at step ${account.seq}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Lets time pass, and in the model what time brings with it, one thing after another. */
async function wait(model: Model, world: World, target: number): Promise<void> {
  for (;;) {
    const ends = model.holds
      .filter((hold) => hold.until !== undefined)
      .sort((a, b) => Number(a.until) - Number(b.until));
    const [first] = ends;
    const holdEnd = first?.until ?? Infinity;
    const due =
      model.state === 'suspended' || (model.state === 'expired' && model.holds.length === 0) ? model.due : Infinity;
    const next = Math.min(holdEnd, due);
    const now = await nowOf(world);
    // What falls into the last minutes is waited out: then there is one right answer.
    if (next > Math.max(target, now) + settled) {
      if (target > now) await world.system.sleep(target - now);
      return;
    }
    const { seq } = await world.system.account(world.id);
    // Not a moment before.
    if (next - 2 * second > now) {
      await world.system.sleep(next - 2 * second - now);
      expect(await world.system.account(world.id)).toMatchObject({ seq, state: model.state });
    }
    if (holdEnd <= due && first !== undefined) {
      await world.system.sleep(Math.max(1, holdEnd + second - (await nowOf(world))));
      const account = await until(world, ({ lifecycle }) => !lifecycle.holds.some((hold) => hold.id === first.id));
      model.holds = model.holds.filter((hold) => hold.id !== first.id);
      if (model.state === 'expired' && model.holds.length === 0 && (model.overdue || model.due <= holdEnd)) {
        model.overdue = true;
        model.due = between(account.deadline?.at.getTime() ?? NaN, holdEnd + notice, holdEnd + notice + settled);
      }
      continue;
    }
    await world.system.sleep(Math.max(1, due + settled - second - (await nowOf(world))));
    if (model.state === 'suspended') {
      await until(world, ({ state }) => state !== 'suspended');
      enter(model, 'expired', due);
    } else {
      const account = await until(world, ({ state }) => state === 'erased');
      Object.assign(model, { state: 'erased', causes: [], holds: [], stored: 0, due: Infinity });
      model.since = between(account.since.getTime(), due, due + settled);
    }
  }
}

async function carryOut(model: Model, world: World, step: Step): Promise<void> {
  const { system, id } = world;
  const before = await nowOf(world);
  if (step.do === 'wait') return wait(model, world, before + step.hours * hour);
  if (step.do === 'ingest') {
    const at = Math.floor((before - step.hoursAgo * hour) / second) * second;
    const result = await ingest(system.store, [event(id, new Date(at))], accountPaths);
    const first = model.active[0]?.from ?? 0;
    const wasActive = at < first || model.active.some(({ from, to }) => at >= from && at < to);
    const outcome = model.state === 'erased' ? 'rejected' : wasActive ? 'accepted' : 'discarded';
    expect({ at, ...result, rejected: result.rejected.length }).toEqual({
      ...{ at, accepted: 0, discarded: 0, rejected: 0, duplicates: 0 },
      [outcome]: 1,
    });
    if (outcome === 'accepted') model.stored += 1;
    return;
  }
  const expected = refusalOf(model, step, before);
  const answer = await send(world, model, step, before);
  const after = await nowOf(world);
  if (expected !== undefined) {
    const seen =
      answer instanceof RefusedError ? answer.refusal.code : answer instanceof CourseMissingError ? 'gone' : answer;
    expect(seen).toBe(expected);
    return;
  }
  if (answer instanceof Error) throw answer;
  const account = await system.account(id);
  const since = account.since.getTime();
  switch (step.do) {
    case 'suspend':
      if (model.state === 'active') enter(model, 'suspended', between(since, before, after));
      model.causes.push(step.reason as Reason);
      return;
    case 'reinstate':
      model.causes = model.causes.filter((reason) => !(step.resolved ?? model.causes).includes(reason));
      if (model.causes.length === 0) activate(model, between(since, before, after));
      return;
    case 'close':
      enter(model, 'expired', between(since, before, after));
      return;
    case 'reopen':
      activate(model, between(since, before, after));
      return;
    case 'changePolicy': {
      const wanted = step.days ?? standard[step.period];
      if (step.days === null) Reflect.deleteProperty(model.own, step.period);
      else model.own[step.period] = step.days;
      const runs = { suspended: 'gracePeriod', expired: 'expiryPeriod', active: undefined, erased: undefined }[
        model.state
      ];
      if (runs !== step.period) return;
      const [low, high] = [changedDue(model, wanted, before), changedDue(model, wanted, after)];
      model.due = between(account.deadline?.at.getTime() ?? NaN, low, high);
      // A period set anew has a date of its own again.
      if (wanted !== model.length) model.overdue = false;
      model.length = wanted;
      return;
    }
    case 'placeHold': {
      const { hold } = answer as { hold?: { id: string; until?: string } };
      model.holds.push({ id: hold?.id ?? '', until: hold?.until === undefined ? undefined : Date.parse(hold.until) });
      return;
    }
    case 'releaseHold':
      model.holds.splice(step.which, 1);
      if (model.state === 'expired' && model.holds.length === 0 && (model.overdue || model.due <= after)) {
        model.overdue = true;
        model.due = between(account.deadline?.at.getTime() ?? NaN, before + notice, after + notice);
      }
  }
}

async function send(
  { system, id }: World,
  model: Model,
  step: Exclude<Step, { do: 'wait' | 'ingest' }>,
  now: number,
): Promise<unknown> {
  const role = step.do === 'changePolicy' ? step.role : 'admin';
  return system
    .send(id, step.do, bodyOf(model, step, now), { actor: actorWith(role) })
    .catch((error: unknown) => error);
}

function bodyOf(model: Model, step: Exclude<Step, { do: 'wait' | 'ingest' }>, now: number): unknown {
  switch (step.do) {
    case 'suspend':
      return { reason: step.reason };
    case 'reinstate':
      return step.resolved === undefined ? {} : { resolved: step.resolved };
    case 'close':
      return {};
    case 'reopen':
      return { note: step.note };
    case 'changePolicy':
      return { [step.period]: step.days === null ? null : `PT${step.days * 24}H` };
    case 'placeHold':
      return {
        reason: 'lawsuit',
        ...(step.hours === null ? {} : { until: new Date(now + step.hours * hour).toISOString() }),
      };
    case 'releaseHold':
      return { holdId: model.holds[step.which]?.id ?? 'nobody' };
  }
}

async function compare(model: Model, { system, id }: World): Promise<void> {
  const account = await system.account(id);
  expect({
    state: account.state,
    since: account.since.getTime(),
    due: account.deadline?.at.getTime() ?? Infinity,
    action: account.deadline?.action,
    causes: account.lifecycle.causes.map((cause) => cause.reason),
    holds: account.lifecycle.holds.map((hold) => hold.id),
    records: await recordCounts({ store: system.store }, id),
    anonymous: account.name === undefined,
  }).toEqual({
    state: model.state,
    since: model.since,
    due: model.due,
    action: { active: undefined, suspended: 'close', expired: 'erase', erased: undefined }[model.state],
    causes: model.causes,
    holds: model.holds.map((hold) => hold.id),
    records: everywhere(model.stored),
    anonymous: model.state === 'erased',
  });
}

class Act implements fc.AsyncCommand<Model, World> {
  constructor(readonly step: Step) {}
  check = (): boolean => true;
  async run(model: Model, world: World): Promise<void> {
    // What is due in a moment happens first: afterwards there is one right answer.
    await wait(model, world, await nowOf(world));
    await carryOut(model, world, this.step);
    await compare(model, world);
  }
  toString = (): string => JSON.stringify(this.step);
}

/** No new course begins after this long, in milliseconds. */
const budget = 50_000;

const reason = fc.constantFrom(...reasons);
const steps: fc.Arbitrary<Step>[] = [
  fc.record({
    do: fc.constant('suspend' as const),
    reason: fc.oneof({ weight: 9, arbitrary: reason }, fc.constant('boredom' as const)),
  }),
  fc.record({ do: fc.constant('suspend' as const), reason }),
  fc.record(
    { do: fc.constant('reinstate' as const), resolved: fc.uniqueArray(reason, { minLength: 1 }) },
    { requiredKeys: ['do'] },
  ),
  fc.constant({ do: 'close' as const }),
  fc.record({ do: fc.constant('reopen' as const), note: fc.constantFrom('settled', 'settled', '') }),
  fc.record({
    do: fc.constant('changePolicy' as const),
    period: fc.constantFrom('gracePeriod' as const, 'expiryPeriod' as const),
    days: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 60 }) }, fc.constantFrom(null, 0, 14, 30)),
    role: fc.constantFrom('admin' as const, 'admin' as const, 'operator' as const, 'customer' as const),
  }),
  fc.record({
    do: fc.constant('placeHold' as const),
    hours: fc.option(fc.integer({ min: -5, max: 60 * 24 }), { nil: null }),
  }),
  fc.record({ do: fc.constant('releaseHold' as const), which: fc.nat(2) }),
  fc.record({
    do: fc.constant('wait' as const),
    hours: fc.oneof(fc.integer({ min: 0, max: 48 }), fc.integer({ min: 24, max: 35 * 24 })),
  }),
  fc.record({ do: fc.constant('wait' as const), hours: fc.integer({ min: 24, max: 16 * 24 }) }),
  fc.record({ do: fc.constant('ingest' as const), hoursAgo: fc.nat(40 * 24) }),
];

describe('the model of the policy', () => {
  let system: System;

  beforeAll(async () => {
    system = await startTimeSkippingSystem();
  }, 120_000);
  afterAll(() => system.stop(), 60_000);

  test('R1–R9, R13, R15: an account agrees with it after every step of every course', async () => {
    const seed = Number(process.env['ABLAUF_TEST_SEED'] || Date.now() % 2 ** 31);
    process.stderr.write(`model: seed ${seed} (ABLAUF_TEST_SEED)\n`);
    const started = performance.now();
    let run = 0;
    const courses = fc.commands(
      steps.map((step) => step.map((one) => new Act(one))),
      { maxCommands: 22, size: 'max' },
    );
    await fc.assert(
      fc.asyncProperty(courses, async (commands) => {
        if (performance.now() - started > budget) return;
        run += 1;
        const id = await system.createAccount();
        const since = (await system.account(id)).since.getTime();
        const setup = () => ({
          model: {
            ...{
              state: 'active',
              since,
              causes: [],
              length: 0,
              due: Infinity,
              overdue: false,
              own: {},
              holds: [],
              stored: 0,
            },
            active: [{ from: since, to: Infinity }],
          } satisfies Model as Model,
          real: { system, id },
        });
        await fc.asyncModelRun(setup, commands);
      }),
      // A course cannot be run again in a past that is over, and the first failure says enough: no shrinking.
      { seed, numRuns: 40, endOnFailure: true },
    );
    process.stderr.write(`model: ${run} courses\n`);
    expect(run).toBeGreaterThan(5);
  }, 120_000);
});
