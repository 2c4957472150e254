import { randomUUID } from 'node:crypto';
import type { Activities } from '../src/activities';
import { ingest, searchRemains, tombstoneId, type AccountDocument } from '../src/data';
import { plus, spreadOf, type CommandName } from '../src/lifecycle';
import { RefusedError } from '../src/temporal';
import type { MessageContext } from '../src/workflows';
import { accountPaths, event, everywhere, recordCounts } from './helpers/events';
import { actorWith, startSystem, startTimeSkippingSystem, workflowIdOf, type System } from './helpers/system';

// The promise: each rule of an account's course, end to end on real servers, with every instant exact. One test at a time
// moves the one clock there is.

const second = 1000;
const hour = 3600 * second;
const day = 24 * hour;
/** What the servers may take to act once the clock stands where they should. */
const slack = 30 * second;

interface Stop {
  /** Once the erasing activity has come this far. */
  readonly reached: Promise<void>;
  readonly letOn: () => void;
}

/** Stops the erasing activity of an account, so that something else can happen in the middle of it. */
class Gatekeeper {
  readonly #stops = new Map<
    string,
    { readonly where: 'begun' | 'not begun'; reached(): void; readonly opened: Promise<void> }
  >();

  /** From now on an account's erasing activity stops before or after beginning the erasure, until it is let on. */
  stop(account: string, where: 'begun' | 'not begun'): Stop {
    const { promise: reached, resolve: reach } = promise();
    const { promise: opened, resolve: letOn } = promise();
    this.#stops.set(account, { where, reached: reach, opened });
    return { reached, letOn };
  }

  readonly wrap = (activities: Activities): Activities => ({
    ...activities,
    eraseAccountData: async (work) => {
      const stop = this.#stops.get(work.step.account);
      this.#stops.delete(work.step.account);
      if (stop !== undefined) {
        if (stop.where === 'begun') await activities.beginErasure(work);
        stop.reached();
        await stop.opened;
      }
      return activities.eraseAccountData(work);
    },
  });
}

function promise(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  return { promise: new Promise<void>((done) => (resolve = done)), resolve };
}

let system: System;

const instant = async () => (await system.now()).toISOString();
const state = async (id: string) => (await system.account(id)).state;

async function sleepUntil(at: string | Date | number): Promise<void> {
  const left = new Date(at).getTime() - (await system.now()).getTime();
  if (left > 0) await system.sleep(left);
}

/** Waits, in real time, for what the servers are about to do. */
async function eventually(id: string, holds: (account: AccountDocument) => boolean): Promise<AccountDocument> {
  for (const started = performance.now(); ;) {
    const account = await system.account(id);
    if (holds(account)) return account;
    if (performance.now() - started > 10_000) throw new Error(`still ${account.state} at step ${account.seq}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function deadlineAt(account: AccountDocument): string {
  if (account.deadline === undefined) throw new Error(`a ${account.state} account without a deadline`);
  return account.deadline.at.toISOString();
}

/** Sleeps past a deadline and sees the state change not a moment before it, and no later than the spread allows. */
async function passDeadline(id: string, to: 'expired' | 'erased'): Promise<AccountDocument> {
  const before = await system.account(id);
  const due = before.deadline?.at.getTime() ?? NaN;
  const period = before.lifecycle.period;
  if (period === undefined) throw new Error('no period runs');
  const wake = due + spreadOf(id, period);
  await sleepUntil(wake - 5 * second);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect((await system.account(id)).state).toBe(before.state);
  await sleepUntil(wake + second);
  const after = await eventually(id, (account) => account.state === to);
  const entry = await system.store.audit.entries
    .findOne({ subject: system.store.vault.pseudonymOf(id), seq: before.seq + 1 })
    .lean()
    .exec();
  expect(entry?.at.getTime()).toBeGreaterThanOrEqual(due);
  expect(entry?.at.getTime()).toBeLessThanOrEqual(wake + slack);
  return after;
}

async function refused(id: string, name: CommandName, body: unknown = {}, context: Partial<MessageContext> = {}) {
  const before = await system.account(id);
  const error: unknown = await system.send(id, name, body, context).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RefusedError)) throw new Error(`${name} was not refused`, { cause: error });
  expect(await system.account(id)).toEqual(before);
  return error.refusal;
}

async function fill(id: string, count = 3): Promise<void> {
  const now = await instant();
  const result = await ingest(
    system.store,
    Array.from({ length: count }, () => event(id, now)),
    accountPaths,
  );
  expect(result).toEqual({ accepted: count, duplicates: 0, discarded: 0, rejected: [] });
}

const holdIdOf = (recorded: { hold?: { id: string } }): string => recorded.hold?.id ?? '';

describe('on the time-skipping server', () => {
  beforeAll(async () => {
    system = await startTimeSkippingSystem();
  }, 120_000);
  afterAll(() => system.stop(), 60_000);

  test('R1: an active account keeps its data, however long', async () => {
    const id = await system.createAccount();
    await fill(id);
    await system.sleep(400 * day);
    expect(await recordCounts(system, id)).toEqual(everywhere(3));
    expect(await system.account(id)).toMatchObject({ state: 'active', seq: 1, inactive: [] });
    expect((await system.account(id)).deadline).toBeUndefined();
  });

  test('R2: voluntary closure expires an account at once, and erases it after exactly 30 days', async () => {
    const id = await system.createAccount();
    await fill(id);
    await system.send(id, 'close', {}, { actor: actorWith('customer') });
    const closed = await system.account(id);
    expect(closed).toMatchObject({
      state: 'expired',
      lifecycle: { closure: 'voluntary' },
      deadline: { action: 'erase' },
    });
    expect(closed.deadline?.at.getTime()).toBe(closed.since.getTime() + 30 * day);
    await sleepUntil(closed.since.getTime() + 29 * day);
    expect(await recordCounts(system, id)).toEqual(everywhere(3));
    await passDeadline(id, 'erased');
    expect(await recordCounts(system, id)).toEqual(everywhere(0));
  });

  test('R3, R5: a suspension that is not resolved closes the account after exactly 14 days, and R2 begins there', async () => {
    const id = await system.createAccount();
    await fill(id);
    await system.send(id, 'suspend', { reason: 'non_payment' });
    const suspended = await system.account(id);
    expect(suspended).toMatchObject({ state: 'suspended', deadline: { action: 'close' } });
    expect(suspended.deadline?.at.getTime()).toBe(suspended.since.getTime() + 14 * day);
    const expired = await passDeadline(id, 'expired');
    expect(expired.since.getTime()).toBe(suspended.since.getTime() + 14 * day);
    expect(expired.lifecycle.closure).toBe('forced');
    expect(expired.deadline?.at.getTime()).toBe(suspended.since.getTime() + 44 * day);
    expect(await recordCounts(system, id)).toEqual(everywhere(3));
    await passDeadline(id, 'erased');
    expect(await recordCounts(system, id)).toEqual(everywhere(0));
  });

  test('R4: reinstating brings back an active account with its data; the next suspension has a full new grace period', async () => {
    const id = await system.createAccount();
    await fill(id);
    await system.send(id, 'suspend', { reason: 'non_payment' });
    await system.sleep(13 * day);
    await system.send(id, 'reinstate');
    expect(await system.account(id)).toMatchObject({ state: 'active', lifecycle: { causes: [] } });
    expect(await recordCounts(system, id)).toEqual(everywhere(3));
    await system.sleep(5 * day);
    expect(await state(id)).toBe('active');
    await system.send(id, 'suspend', { reason: 'non_payment' });
    const again = await system.account(id);
    expect(again.deadline?.at.getTime()).toBe(again.since.getTime() + 14 * day);
    await system.sleep(13 * day);
    expect(await state(id)).toBe('suspended');
    expect(await system.actions(id)).toEqual([
      'account.created',
      'account.suspended',
      'account.reinstated',
      'account.suspended',
    ]);
  });

  test('R4: another cause leaves the clock alone, and every cause has to be resolved', async () => {
    const id = await system.createAccount();
    await system.send(id, 'suspend', { reason: 'non_payment' });
    const first = await system.account(id);
    await system.sleep(3 * day);
    await system.send(id, 'suspend', { reason: 'terms_violation' });
    expect(await system.account(id)).toMatchObject({ since: first.since, deadline: first.deadline });
    await system.send(id, 'reinstate', { resolved: ['non_payment'] });
    const left = await system.account(id);
    expect(left).toMatchObject({ state: 'suspended', since: first.since, deadline: first.deadline });
    expect(left.lifecycle.causes.map((cause) => cause.reason)).toEqual(['terms_violation']);
    await system.send(id, 'reinstate', { resolved: ['terms_violation'] });
    expect(await state(id)).toBe('active');
  });

  test('R6: erasure leaves a tombstone, the audit log, and nothing else in any collection', async () => {
    const id = await system.createAccount();
    const neighbour = await system.createAccount();
    await fill(id, 20);
    await fill(neighbour, 2);
    await system.send(id, 'suspend', { reason: 'other' });
    await system.send(id, 'close', { note: 'gone' });
    const erased = await passDeadline(id, 'erased');
    expect(erased).toMatchObject({
      _id: tombstoneId(system.store, id),
      state: 'erased',
      lifecycle: { state: 'erased', causes: [], holds: [] },
    });
    for (const field of ['name', 'email', 'plan', 'locale', 'deadline', 'erasing'])
      expect(erased).not.toHaveProperty(field);
    expect(erased.erasedAt?.getTime()).toBeGreaterThanOrEqual(erased.since.getTime());
    expect(await searchRemains(system.store, id)).toMatchObject({ found: [] });
    const database = system.store.connection.getClient().db(system.store.connection.name);
    for (const { name } of await database.listCollections().toArray()) {
      const documents = await database.collection(name).find({}).toArray();
      const naming = documents.filter((document) => JSON.stringify(document).includes(id));
      expect({ name, naming }).toEqual({ name, naming: [] });
    }
    expect(await recordCounts(system, neighbour)).toEqual(everywhere(2));
    expect(await state(neighbour)).toBe('active');
    const entry = await system.store.audit.entries
      .findOne({ subject: system.store.vault.pseudonymOf(id), action: 'account.erased' })
      .lean()
      .exec();
    expect(entry?.details).toMatchObject({ erased: everywhere(20), found: 0 });
  });

  test('R6, R4: reinstating inside the grace period keeps the account from erasure for good', async () => {
    const id = await system.createAccount();
    await fill(id);
    await system.send(id, 'suspend', { reason: 'non_payment' });
    await sleepUntil((await system.account(id)).since.getTime() + 14 * day - 10 * second);
    await system.send(id, 'reinstate');
    await system.sleep(60 * day);
    expect(await state(id)).toBe('active');
    expect(await recordCounts(system, id)).toEqual(everywhere(3));
  });

  test('R7: a running period is counted anew from its beginning, longer and shorter', async () => {
    const id = await system.createAccount();
    await system.send(id, 'suspend', { reason: 'non_payment' });
    const { since } = await system.account(id);
    const from = since.toISOString();
    await system.sleep(2 * day);
    await system.send(id, 'changePolicy', { gracePeriod: 'P21D' }, { actor: actorWith('operator') });
    expect(deadlineAt(await system.account(id))).toBe(plus(from, 'P21D'));
    await sleepUntil(plus(from, 'P15D'));
    expect(await state(id)).toBe('suspended');
    expect((await refused(id, 'changePolicy', { gracePeriod: 'P16D' }, { actor: actorWith('operator') })).code).toBe(
      'forbidden',
    );
    const before = await instant();
    await system.send(id, 'changePolicy', { gracePeriod: 'P16D' });
    const moved = Date.parse(deadlineAt(await system.account(id)));
    // Seven days from now lie beyond the old end: the old end stands.
    expect(moved).toBe(Math.min(Date.parse(plus(before, 'P7D')), Date.parse(plus(from, 'P21D'))));
    await system.send(id, 'changePolicy', { gracePeriod: 'P60D' });
    expect(deadlineAt(await system.account(id))).toBe(plus(from, 'P60D'));
    await system.send(id, 'changePolicy', { gracePeriod: 'P1D' });
    const entry = await system.store.audit.entries
      .findOne({ subject: system.store.vault.pseudonymOf(id) })
      .sort({ seq: -1 })
      .lean()
      .exec();
    const shortened = Date.parse(deadlineAt(await system.account(id)));
    expect(Math.abs(shortened - (entry?.at.getTime() ?? 0) - 7 * day)).toBeLessThan(slack);
    const expired = await passDeadline(id, 'expired');
    expect(expired.since.getTime()).toBe(shortened);
  });

  test('R7: an account may have periods of its own, and the customer may not set them', async () => {
    const id = await system.createAccount({ overrides: { gracePeriod: 'PT1H', expiryPeriod: 'PT2H' } });
    expect((await refused(id, 'changePolicy', { gracePeriod: 'P90D' }, { actor: actorWith('customer') })).code).toBe(
      'forbidden',
    );
    await system.send(id, 'suspend', { reason: 'other' });
    const { since } = await system.account(id);
    const expired = await passDeadline(id, 'expired');
    expect(expired.since.getTime()).toBe(since.getTime() + hour);
    const erased = await passDeadline(id, 'erased');
    expect(erased.since.getTime()).toBeGreaterThanOrEqual(since.getTime() + 3 * hour);
    expect(erased.since.getTime()).toBeLessThan(since.getTime() + 3 * hour + 2 * hour * 0.01 + slack);
  });

  test('R8: a suspended account may be closed, and reopened by an administrator before erasure began', async () => {
    const id = await system.createAccount();
    await fill(id);
    await system.send(id, 'suspend', { reason: 'terms_violation' });
    await system.send(id, 'close', {}, { actor: actorWith('customer') });
    const closed = await system.account(id);
    expect(closed).toMatchObject({ state: 'expired', lifecycle: { closure: 'voluntary' } });
    expect(closed.deadline?.at.getTime()).toBe(closed.since.getTime() + 30 * day);
    await system.sleep(29 * day);
    expect((await refused(id, 'reopen')).code).toBe('validation');
    await system.send(id, 'reopen', { note: 'all settled' });
    expect(await system.account(id)).toMatchObject({ state: 'active', lifecycle: { causes: [] } });
    await system.sleep(60 * day);
    expect(await state(id)).toBe('active');
    expect(await recordCounts(system, id)).toEqual(everywhere(3));
  });

  test('R9: holds block erasure and no clock; when the last goes after the due date the notice begins', async () => {
    const id = await system.createAccount();
    await fill(id);
    const one = await system.send(id, 'placeHold', { reason: 'lawsuit' }, { actor: actorWith('legal') });
    await system.send(id, 'suspend', { reason: 'non_payment' });
    const two = await system.send(id, 'placeHold', { reason: 'audit' });
    const suspended = await system.account(id);
    const expired = await passDeadline(id, 'expired');
    expect(expired.since.getTime()).toBe(suspended.since.getTime() + 14 * day);
    await system.sleep(200 * day);
    expect(await state(id)).toBe('expired');
    await system.send(id, 'releaseHold', { holdId: holdIdOf(one) });
    await system.sleep(20 * day);
    expect(await recordCounts(system, id)).toEqual(everywhere(3));
    const before = (await system.now()).getTime();
    await system.send(id, 'releaseHold', { holdId: holdIdOf(two) });
    const due = Date.parse(deadlineAt(await system.account(id)));
    expect(due - before - 7 * day).toBeGreaterThanOrEqual(0);
    expect(due - before - 7 * day).toBeLessThan(slack);
    await sleepUntil(due - 5 * second);
    expect(await recordCounts(system, id)).toEqual(everywhere(3));
    await passDeadline(id, 'erased');
  });

  test('R9: a hold with an end goes by itself, at that moment', async () => {
    const id = await system.createAccount();
    await fill(id);
    await system.send(id, 'close');
    const { since } = await system.account(id);
    const until = new Date(since.getTime() + 50 * day).toISOString();
    await system.send(id, 'placeHold', { reason: 'inquiry', until });
    await sleepUntil(Date.parse(until) - 5 * second);
    expect((await system.account(id)).lifecycle.holds).toHaveLength(1);
    await sleepUntil(Date.parse(until) + second);
    const freed = await eventually(id, (account) => account.lifecycle.holds.length === 0);
    const entry = await system.store.audit.entries
      .findOne({ subject: system.store.vault.pseudonymOf(id), action: 'hold.released' })
      .lean()
      .exec();
    expect(entry).toMatchObject({ actor: { type: 'system' }, details: { ended: true } });
    expect(entry?.at.getTime()).toBeGreaterThanOrEqual(Date.parse(until));
    expect(Math.abs(Date.parse(deadlineAt(freed)) - Date.parse(until) - 7 * day)).toBeLessThan(slack);
    await passDeadline(id, 'erased');
  });

  test('R9: a hold without end in sight, and one that ends centuries from now, leave the account well', async () => {
    const id = await system.createAccount();
    const until = '9999-12-31T23:59:59.000Z';
    await system.send(id, 'placeHold', { reason: 'for ever' });
    const hold = await system.send(id, 'placeHold', { reason: 'nearly for ever', until });
    expect(hold.hold?.until).toBe(until);
    await system.sleep(30 * day);
    await system.send(id, 'suspend', { reason: 'other' });
    const account = await system.account(id);
    expect(account.lifecycle.holds).toHaveLength(2);
    expect(account.seq).toBe(4);
    const expired = await passDeadline(id, 'expired');
    expect(expired.lifecycle.holds).toHaveLength(2);
  });

  test('R9: an erasure that the database forbids, though the workflow knows of nothing, does not happen', async () => {
    const id = await system.createAccount({ overrides: { expiryPeriod: 'PT1H' } });
    await fill(id);
    await system.send(id, 'close');
    const hold = { id: 'unknown', reason: 'restored', placedAt: await instant(), placedBy: 'somebody' };
    await system.store.accounts.collection.updateOne({ _id: id as never }, { $set: { 'lifecycle.holds': [hold] } });
    await system.sleep(3 * hour);
    expect(await recordCounts(system, id)).toEqual(everywhere(3));
    expect(await state(id)).toBe('expired');
    await system.store.accounts.collection.updateOne({ _id: id as never }, { $set: { 'lifecycle.holds': [] } });
    await system.sleep(2 * hour);
    await eventually(id, (account) => account.state === 'erased');
  });

  test.each<[CommandName, unknown, 'active' | 'suspended' | 'expired', string]>([
    ['reinstate', {}, 'active', 'conflict'],
    ['reopen', { note: 'x' }, 'active', 'conflict'],
    ['suspend', { reason: 'other' }, 'suspended', 'conflict'],
    ['reopen', { note: 'x' }, 'suspended', 'conflict'],
    ['suspend', { reason: 'other' }, 'expired', 'conflict'],
    ['reinstate', {}, 'expired', 'conflict'],
    ['close', {}, 'expired', 'conflict'],
    ['suspend', { reason: 'boredom' }, 'active', 'validation'],
    ['releaseHold', { holdId: 'nobody' }, 'active', 'not-found'],
  ])('R13: %s %j of an account that is %s is refused as %s and changes nothing', async (name, body, from, code) => {
    const id = await system.createAccount();
    if (from === 'suspended') await system.send(id, 'suspend', { reason: 'other' });
    if (from === 'expired') await system.send(id, 'close');
    const allowed = { active: ['suspend', 'close'], suspended: ['suspend', 'reinstate', 'close'], expired: ['reopen'] };
    expect(await refused(id, name, body)).toMatchObject({ code, state: from, allowed: allowed[from] });
  });

  test('R13: the same request twice changes nothing twice; another version of the account is not overwritten', async () => {
    const id = await system.createAccount();
    const key = randomUUID();
    const context: MessageContext = { actor: actorWith('admin') };
    const first = await system.courses.send(id, 'suspend', { reason: 'other' }, context, key);
    expect(await system.courses.send(id, 'suspend', { reason: 'other' }, context, key)).toEqual(first);
    expect(await system.actions(id)).toEqual(['account.created', 'account.suspended']);
    expect((await refused(id, 'reinstate', {}, { ifVersion: first.version - 1 })).code).toBe('precondition-failed');
    await system.send(id, 'reinstate', {}, { ifVersion: first.version });
    expect(await state(id)).toBe('active');
  });

  test('R15: what happened while the account was active is stored, what happened later is discarded and counted', async () => {
    const id = await system.createAccount();
    await system.sleep(day);
    await system.send(id, 'suspend', { reason: 'non_payment' });
    const since = (await system.account(id)).since.getTime();
    const late = await ingest(
      system.store,
      [event(id, new Date(since - hour), 'before'), event(id, new Date(since + hour), 'after')],
      accountPaths,
      new Date(since + hour),
    );
    expect(late).toMatchObject({ accepted: 1, discarded: 1, rejected: [] });
    expect(await recordCounts(system, id)).toEqual(everywhere(1));
    const gate = await system.store.gates.collection.findOne({ _id: id as never });
    expect(gate).toMatchObject({ discarded: 1 });
    await system.sleep(2 * day);
    await system.send(id, 'reinstate');
    const back = (await system.account(id)).since.getTime();
    const inside = await ingest(
      system.store,
      [event(id, new Date(back - hour)), event(id, new Date(back + 2 * second))],
      accountPaths,
      new Date(back + 2 * second),
    );
    expect(inside).toMatchObject({ accepted: 1, discarded: 1 });
    await system.send(id, 'close');
    const expired = await ingest(system.store, [event(id, new Date(since - 2 * hour))], accountPaths);
    expect(expired).toMatchObject({ accepted: 1, discarded: 0 });
    expect(await recordCounts(system, id)).toEqual(everywhere(3));
  });

  test('R12: with zero days nothing is stored, not for a moment', async () => {
    const id = await system.createAccount({ plan: 'enterprise' });
    await system.send(id, 'changePolicy', { activeRetentionDays: 0 });
    const result = await ingest(system.store, [event(id, await instant())], accountPaths);
    expect(result).toMatchObject({ accepted: 1, rejected: [] });
    expect(await recordCounts(system, id)).toEqual(everywhere(0));
  });

  test('R7: a period of years is waited for, too', async () => {
    const id = await system.createAccount({ overrides: { expiryPeriod: 'P3000D' } }); // The time-skipping server ends every workflow after ten years.
    await system.send(id, 'close');
    const erased = await passDeadline(id, 'erased');
    expect(erased.state).toBe('erased');
  });
});

// Periods of seconds, in real time: the time-skipping server loses updates that come while an activity is under way.
describe('in the middle of an erasure', () => {
  const gatekeeper = new Gatekeeper();
  beforeAll(async () => {
    const settings = { gracePeriod: 'PT1H', expiryPeriod: 'PT1S', notice: 'PT2S', minPeriod: 'PT1S' };
    system = await startSystem({ activities: gatekeeper.wrap, settings });
  }, 120_000);
  afterAll(() => system.stop(), 60_000);

  test('R8: once erasure has begun nobody reopens the account, and its id is never used again', async () => {
    const id = await system.createAccount();
    await fill(id);
    await system.send(id, 'close');
    const stop = gatekeeper.stop(id, 'begun');
    await stop.reached;
    expect(await refused(id, 'reopen', { note: 'please' })).toMatchObject({
      code: 'conflict',
      state: 'expired',
      allowed: [],
    });
    expect((await refused(id, 'changePolicy', { expiryPeriod: 'P90D' })).code).toBe('conflict');
    stop.letOn();
    await eventually(id, (account) => account.state === 'erased');
    await system.client.workflow.getHandle(workflowIdOf('eu-central-1', id)).result();
    await expect(system.send(id, 'reopen', { note: 'please' })).rejects.toMatchObject({ name: 'CourseMissingError' });
    await expect(system.createAccount({ id })).rejects.toMatchObject({ name: 'AccountExistsError' });
    expect(await state(id)).toBe('erased');
  });

  test('R9: a hold placed while erasure runs protects what remains and says what had gone', async () => {
    const id = await system.createAccount();
    await fill(id, 5);
    await system.send(id, 'close');
    const stop = gatekeeper.stop(id, 'begun');
    await stop.reached;
    // The first batch has gone: what the erasing activity does, done by hand.
    const { deletedCount } = await system.store.records.prompts.deleteMany({ account: id });
    await system.store.accounts.collection.updateOne(
      { _id: id as never },
      { $inc: { 'erasing.done': deletedCount, 'erasing.sets.prompts': deletedCount, version: 1 } },
    );
    const placed = await system.send(id, 'placeHold', { reason: 'lawsuit' });
    expect(placed.receipt).toMatchObject({ erased: { prompts: 5 } });
    stop.letOn();
    await system.sleep(3 * second);
    expect(await recordCounts(system, id)).toEqual({ ...everywhere(5), prompts: 0 });
    expect(await refused(id, 'reopen', { note: 'please' })).toMatchObject({ code: 'conflict' });
    await system.send(id, 'releaseHold', { holdId: holdIdOf(placed) });
    await eventually(id, (account) => account.state === 'erased');
    const entry = await system.store.audit.entries
      .findOne({ subject: system.store.vault.pseudonymOf(id), action: 'account.erased' })
      .lean()
      .exec();
    expect(entry?.details).toMatchObject({ erased: everywhere(5) });
  });

  test('R9: a hold placed and released between two batches stops the erasure for the notice all the same', async () => {
    const id = await system.createAccount();
    await fill(id, 5);
    await system.send(id, 'close');
    const stop = gatekeeper.stop(id, 'begun');
    await stop.reached;
    const placed = await system.send(id, 'placeHold', { reason: 'lawsuit' });
    await system.send(id, 'releaseHold', { holdId: holdIdOf(placed) });
    const due = deadlineAt(await system.account(id));
    expect(Math.abs(Date.parse(due) - (await system.now()).getTime() - 2 * second)).toBeLessThan(second);
    stop.letOn();
    await sleepUntil(Date.parse(due) - second / 2);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await state(id)).toBe('expired');
    expect(await recordCounts(system, id)).toEqual(everywhere(5));
    await eventually(id, (account) => account.state === 'erased');
  });

  test('R9: a message that comes while the database forbids the erasure is answered, and the account lives on', async () => {
    const id = await system.createAccount();
    await fill(id);
    await system.send(id, 'close');
    const stop = gatekeeper.stop(id, 'not begun');
    await stop.reached;
    const hold = { id: 'unknown', reason: 'restored', placedAt: await instant(), placedBy: 'somebody' };
    await system.store.accounts.collection.updateOne({ _id: id as never }, { $set: { 'lifecycle.holds': [hold] } });
    const answer = system.send(id, 'reopen', { note: 'kept after all' }).catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 500));
    stop.letOn();
    expect(await answer).not.toBeInstanceOf(Error);
    expect(await state(id)).toBe('active');
    await system.sleep(3 * second);
    expect(await recordCounts(system, id)).toEqual(everywhere(3));
    await system.send(id, 'suspend', { reason: 'other' });
    expect(await state(id)).toBe('suspended');
  });

  test('R15: once erasure has begun everything is refused and counted, before and after the tombstone', async () => {
    const id = await system.createAccount();
    const whileActive = await instant();
    await fill(id);
    await system.send(id, 'close');
    const stop = gatekeeper.stop(id, 'begun');
    await stop.reached;
    const during = await ingest(system.store, [event(id, whileActive)], accountPaths);
    expect(during).toMatchObject({ accepted: 0, discarded: 0, rejected: [{ code: 'account-erased' }] });
    stop.letOn();
    await eventually(id, (account) => account.state === 'erased');
    const after = await ingest(system.store, [event(id, whileActive), event(id, whileActive)], accountPaths);
    expect(after.rejected.map((rejection) => rejection.code)).toEqual(['account-erased', 'account-erased']);
    expect(await recordCounts(system, id)).toEqual(everywhere(0));
    expect(await system.account(id)).toMatchObject({ lateRefused: 3 });
  });
});
