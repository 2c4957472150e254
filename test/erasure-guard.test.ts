/** What stands between a deadline and an erasure: two clocks, and a breaker. Every delay is on record (R6). */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  beginErasure,
  countHeldBack,
  guardState,
  recordDelay,
  recordStep,
  releaseHeldBack,
  watchOverdue,
  type AccountDocument,
  type StepRecord,
  type Store,
} from '../src/data';
import { startApi } from './helpers/api';
import { addDueAccount, addRecords, beginningOf, judgement } from './helpers/due-accounts';
import { eventually } from './helpers/eventually';
import { admin, openGuard, dropTestStore, openTestStore, startTimeSkippingSystem } from './helpers/system';

const day = 86_400_000;
const decade = 3653 * day;

let store: Store;
let databaseClock: () => Promise<Date>;

beforeEach(async () => {
  const opened = await openTestStore();
  databaseClock = () => opened.databaseTime();
  store = { ...opened, databaseTime: () => databaseClock() };
});

afterEach(async () => {
  await dropTestStore(store);
});

async function reread(id: string): Promise<AccountDocument> {
  const found = await store.accounts.findById(id).lean<AccountDocument>().exec();
  if (found === null) throw new Error(`there is no account ${id}`);
  return found;
}

async function actionsOf(account: string): Promise<string[]> {
  const entries = await store.audit.entries
    .find({ subject: store.vault.pseudonymOf(account) })
    .sort({ at: 1 })
    .lean()
    .exec();
  return entries.map(({ action }) => action);
}

describe('two clocks', () => {
  const offsets: [string, number, number][] = [
    ["Temporal's is ten years ahead", decade, 0],
    ["Temporal's is ten years behind", -decade, 0],
    ["the database server's is ten years ahead", 0, decade],
    ["the database server's is ten years behind", 0, -decade],
    ['they are ten minutes apart', 600_000, 0],
  ];

  test.each(offsets)('R6: nothing is erased while they disagree: %s', async (_what, temporalOff, databaseOff) => {
    const account = await addDueAccount(store);
    await addRecords(store, account, 3);
    const now = Date.now();
    databaseClock = () => Promise.resolve(new Date(now + databaseOff));
    const temporal = new Date(now + temporalOff);
    const begin = (again: boolean) =>
      beginErasure(store, beginningOf(account, temporal), { ...judgement, temporal, again });
    await expect(begin(false)).rejects.toMatchObject({ name: 'ClocksDisagreeError' });
    await expect(begin(true)).rejects.toMatchObject({ name: 'ClocksDisagreeError' });
    const after = await reread(account._id);
    expect(after.erasing).toBeUndefined();
    expect(after.seq).toBe(1);
    expect(after.delays).toMatchObject([{ reason: 'clocks-disagree' }]);
    expect(await actionsOf(account._id)).toEqual(['account.erasure-delayed']);
    expect(await store.records.prompts.countDocuments({ account: account._id })).toBe(3);
  });

  test('R6: both a decade ahead of the truth agree with each other, and that is all two clocks can tell', async () => {
    const account = await addDueAccount(store, { closedDaysAgo: 1 });
    const now = new Date(Date.now() + decade);
    databaseClock = () => Promise.resolve(now);
    await beginErasure(store, beginningOf(account, now), { ...judgement, temporal: now });
    expect((await reread(account._id)).erasing).toBeDefined();
  });

  test('R6: a deadline that only one of them has passed is not passed', async () => {
    const account = await addDueAccount(store, { closedDaysAgo: 30 });
    const deadline = account.deadline?.at.getTime() ?? 0;
    databaseClock = () => Promise.resolve(new Date(deadline - 1000));
    const begin = (temporal: Date) => beginErasure(store, beginningOf(account, temporal), { ...judgement, temporal });
    await expect(begin(new Date(deadline + 1000))).rejects.toMatchObject({ name: 'ErasureNotDueError' });
    databaseClock = () => Promise.resolve(new Date(deadline + 1000));
    await expect(begin(new Date(deadline - 1000))).rejects.toMatchObject({ name: 'ErasureNotDueError' });
    // A second or two apart is how clocks are: no delay worth a word.
    expect((await reread(account._id)).delays).toBeUndefined();
    await begin(new Date(deadline + 1000));
    expect((await reread(account._id)).erasing).toBeDefined();
  });

  test('a question that lay about for an hour, asked once, is no disagreement on record', async () => {
    const account = await addDueAccount(store);
    const temporal = new Date(Date.now() - 3_600_000);
    await expect(beginErasure(store, beginningOf(account, temporal), { ...judgement, temporal })).rejects.toMatchObject(
      { name: 'ClocksDisagreeError' },
    );
    expect((await reread(account._id)).delays).toBeUndefined();
  });
});

describe('the breaker', () => {
  const guard = { ...openGuard, share: 0.1, minimum: 3 };

  async function beginNow(account: AccountDocument): Promise<void> {
    const temporal = await store.databaseTime();
    await beginErasure(store, beginningOf(account, temporal), { temporal, guard, again: false });
  }

  test('R6: a surplus waits for an administrator, on record, and is named as it is let go', async () => {
    const accounts = await Promise.all(Array.from({ length: 5 }, () => addDueAccount(store)));
    for (const account of accounts.slice(0, 3)) await beginNow(account);
    for (const account of accounts.slice(3)) {
      await expect(beginNow(account)).rejects.toMatchObject({ name: 'ErasureHeldBackError' });
      await expect(beginNow(account)).rejects.toMatchObject({ name: 'ErasureHeldBackError' });
    }
    expect(await countHeldBack(store)).toBe(2);
    expect(await guardState(store, guard, await store.databaseTime())).toEqual({ begun: 3, limit: 3 });
    const [, , , fourth, fifth] = accounts as [unknown, unknown, unknown, AccountDocument, AccountDocument];
    expect((await reread(fourth._id)).delays).toHaveLength(1);
    const released = await store.transaction(async (session) =>
      releaseHeldBack(store, session, [fourth._id, 'nobody'], admin, await store.databaseTime()),
    );
    expect(released).toEqual([fourth._id]);
    await beginNow(fourth);
    const begun = await reread(fourth._id);
    expect(begun.erasing).toBeDefined();
    expect(begun.delays?.[0]?.until).toBeInstanceOf(Date);
    await expect(beginNow(fifth)).rejects.toMatchObject({ name: 'ErasureHeldBackError' });
    expect(await actionsOf(fourth._id)).toEqual([
      'account.erasure-delayed',
      'account.erasure-released',
      'account.erasure-started',
    ]);
  });

  test('R6: what was kept back stays so when the day is over, and what falls due later is judged anew', async () => {
    const start = Date.now();
    const accounts = await Promise.all(Array.from({ length: 5 }, () => addDueAccount(store)));
    for (const account of accounts.slice(0, 3)) await beginNow(account);
    const [, , , kept, later] = accounts as [unknown, unknown, unknown, AccountDocument, AccountDocument];
    await expect(beginNow(kept)).rejects.toMatchObject({ name: 'ErasureHeldBackError' });
    databaseClock = () => Promise.resolve(new Date(start + 26 * 3_600_000));
    await expect(beginNow(kept)).rejects.toMatchObject({ name: 'ErasureHeldBackError' });
    await beginNow(later);
    expect((await reread(later._id)).erasing).toBeDefined();
  });

  test('R6: beginnings side by side are counted one after another: never more than the limit', async () => {
    const accounts = await Promise.all(Array.from({ length: 12 }, () => addDueAccount(store)));
    const outcomes = await Promise.allSettled(accounts.map(beginNow));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(await countHeldBack(store)).toBe(9);
  });

  test('a share of many accounts is more than the minimum', async () => {
    await Promise.all(Array.from({ length: 60 }, () => addDueAccount(store)));
    expect(await guardState(store, guard, await store.databaseTime())).toEqual({ begun: 0, limit: 6 });
  });
});

describe('what is late', () => {
  test('R6: is called out once a day, louder after 72 hours, and named with its reasons', async () => {
    const account = await addDueAccount(store, { closedDaysAgo: 30 });
    const due = account.deadline?.at.getTime() ?? 0;
    const told: unknown[] = [];
    const lookAt = (hours: number) =>
      watchOverdue(store, new Date(due + hours * 3_600_000), (overdue) => told.push(overdue));
    expect(await lookAt(0.5)).toBe(0);
    expect(await lookAt(2)).toBe(1);
    expect(await lookAt(3)).toBe(1);
    expect(told).toMatchObject([{ account: account._id, reasons: ['late'], escalated: false }]);
    await recordDelay(store, account._id, 'held-back', 'too many', new Date(due + 4 * 3_600_000));
    await lookAt(29);
    await lookAt(54);
    expect(told).toHaveLength(3);
    await lookAt(79);
    expect(told).toHaveLength(4);
    expect(told.at(-1)).toMatchObject({ escalated: true, reasons: ['late', 'held-back'] });
    expect(await actionsOf(account._id)).toEqual([
      'account.erasure-overdue',
      'account.erasure-delayed',
      'account.erasure-overdue',
      'account.erasure-overdue',
      'account.erasure-escalated',
    ]);
  });

  const hold = { id: randomUUID(), reason: 'lawsuit', placedAt: new Date().toISOString(), placedBy: 'me' };

  test('R9: what a hold protects is not late', async () => {
    await addDueAccount(store, { closedDaysAgo: 90, holds: [hold] });
    expect(await watchOverdue(store, new Date(), () => undefined)).toBe(0);
  });

  test('R6: what a hold on chosen data sets leaves to erasure is late', async () => {
    const account = await addDueAccount(store, { closedDaysAgo: 90, holds: [{ ...hold, datasets: ['logs'] }] });
    expect(await watchOverdue(store, new Date(), () => undefined)).toBe(1);
    const spared = { 'lifecycle.spared': ['logs'] };
    await store.accounts.collection.updateOne({ _id: account._id as never }, { $set: spared });
    expect(await watchOverdue(store, new Date(), () => undefined)).toBe(0);
  });

  test('R6: remains that are found again and again are one delay, called out every day', async () => {
    const account = await addDueAccount(store);
    const due = account.deadline?.at.getTime() ?? 0;
    const now = Date.now();
    await recordDelay(store, account._id, 'remains-found', 'three of them', new Date(now));
    await recordDelay(store, account._id, 'clocks-disagree', 'by a year', new Date(now));
    const temporal = await store.databaseTime();
    await beginErasure(store, beginningOf(account, temporal), { ...judgement, temporal });
    await recordDelay(store, account._id, 'remains-found', 'three of them', new Date(now + 3_600_000));
    const { delays = [] } = await reread(account._id);
    expect(delays.map(({ reason, until }) => [reason, until === undefined])).toEqual([
      ['remains-found', true],
      ['clocks-disagree', false],
    ]);
    const told: boolean[] = [];
    await watchOverdue(store, new Date(Math.max(due + 3 * day, now + day)), ({ escalated }) => told.push(escalated));
    expect(told).toEqual([true]);
  });

  async function record(account: AccountDocument, step: Pick<StepRecord, 'action' | 'lifecycle'>): Promise<void> {
    await recordStep(store, { ...beginningOf(account, new Date()), ...step });
  }

  test('R8: an account that is reopened takes nothing of it along to its next closure', async () => {
    const account = await addDueAccount(store);
    await recordDelay(store, account._id, 'held-back', 'too many', new Date());
    const lifecycle = {
      state: 'active',
      since: new Date().toISOString(),
      causes: [],
      overrides: {},
      holds: [],
    } as const;
    await record(account, { action: 'account.reopened', lifecycle });
    const reopened = await reread(account._id);
    expect(reopened.heldBack).toBeUndefined();
    expect(reopened.delays).toBeUndefined();
  });

  test('R9: ends when a hold protects what was late; the breaker still keeps it', async () => {
    const account = await addDueAccount(store);
    await recordDelay(store, account._id, 'held-back', 'too many', new Date());
    await record(account, { action: 'hold.placed', lifecycle: { ...account.lifecycle, holds: [hold] } });
    const held = await reread(account._id);
    expect(held.delays).toMatchObject([{ reason: 'held-back', until: expect.any(Date) }]);
    expect(held.heldBack?.releasedAt).toBeUndefined();
    expect(held.heldBack).toBeDefined();
  });

  test('R6: what an administrator let go is not kept back by a word that comes late', async () => {
    const account = await addDueAccount(store);
    const at = new Date();
    await recordDelay(store, account._id, 'held-back', 'too many', at);
    await store.transaction((session) => releaseHeldBack(store, session, [account._id], admin, at));
    await store.accounts.collection.updateOne({ _id: account._id as never }, { $set: { 'delays.0.until': at } });
    await recordDelay(store, account._id, 'held-back', 'too many', at);
    expect((await reread(account._id)).heldBack).toMatchObject({ releasedAt: at });
  });
});

describe('in an account’s own course', () => {
  test('R6: an erasure the clocks forbid waits, goes on once they agree, and its certificate says why it was late', async () => {
    const system = await startTimeSkippingSystem({ guard: { clockTolerance: openGuard.clockTolerance } });
    try {
      let off = -40 * day;
      const { store: inner } = system;
      const real = inner.databaseTime;
      Object.assign(inner, { databaseTime: async () => new Date((await real()).getTime() + off) });
      const id = await system.createAccount();
      await system.send(id, 'close');
      await system.sleep(31 * day);
      expect(await system.account(id)).toMatchObject({ state: 'expired', delays: [{ reason: 'clocks-disagree' }] });
      expect((await system.account(id)).erasing).toBeUndefined();
      off = 0;
      await system.sleep(2 * 3_600_000);
      const erased = await system.account(id);
      expect(erased.state).toBe('erased');
      const certificate = await inner.certificates.findById(erased.certificateIds?.[0]).lean().exec();
      expect(certificate?.content).toMatchObject({ delays: [{ reason: 'clocks-disagree' }] });
    } finally {
      await system.stop();
    }
  });

  test('R6: an administrator sees what the breaker keeps back, lets it go, and it goes at once', async () => {
    const api = await startApi({
      settings: { expiryPeriod: 'PT1S', notice: 'PT0S', minPeriod: 'PT1S' },
      guard: { share: 0.01, minimum: 1 },
    });
    try {
      const ids = [await api.system.createAccount(), await api.system.createAccount()] as const;
      for (const id of ids) await api.system.send(id, 'close');
      const kept = await eventually('one is kept back', async () => {
        const { body } = await api.ask('GET', '/v1/settings/erasure-guard');
        return (body['items'] as { account: string }[])[0]?.account;
      });
      expect(ids).toContain(kept);
      const plan = await api.ask('GET', `/v1/accounts/${kept}/erasure-plan`);
      expect(plan.body['blockedBy']).toMatchObject([{ kind: 'breaker' }]);
      const operator = await api.keyFor('operator');
      const release = '/v1/settings/erasure-guard/release';
      expect(await api.ask('POST', release, { key: operator, body: {} })).toMatchObject({ status: 403 });
      expect(await api.ask('POST', release, { body: { accounts: ['nobody'] } })).toMatchObject({ status: 409 });
      expect(await api.ask('POST', release, { body: { accounts: [] } })).toMatchObject({ status: 400 });
      expect((await api.ask('POST', release, { body: { note: 'all is well' } })).body).toEqual({
        released: [kept],
        left: 0,
      });
      await eventually('it is erased', async () =>
        (await api.system.account(kept)).state === 'erased' ? true : undefined,
      );
      expect(await api.system.actions(kept)).toContain('account.erasure-released');
    } finally {
      await api.stop();
    }
  });
});
