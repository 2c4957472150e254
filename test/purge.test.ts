import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { purgeDue, type PurgeHooks, type PurgeStretch, type Store } from '../src/data';
import { begin, type Hold, type Lifecycle } from '../src/lifecycle';
import { dropTestStore, openTestStore, randomAccountId, region, standardSettings } from './helpers/system';

// The promise: R12 in the database. Records older than the days an account keeps are purged and audited, and nothing else is,
// whatever the clocks say, whoever interrupts, and whatever fails.

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const noon = new Date('2027-06-15T12:00:00.000Z');
const categories = ['prompts', 'completions', 'logs', 'usage'] as const;

let store: Store;

beforeAll(async () => {
  store = await openTestStore();
});
afterAll(async () => {
  await dropTestStore(store);
});

interface Given {
  readonly days?: number;
  readonly state?: 'active' | 'suspended' | 'expired';
  readonly holds?: readonly Partial<Hold>[];
  readonly purgeAt?: Date;
}

/** An account whose records are these; its gate is due unless something else is said. */
async function account(records: readonly Date[], { days, state = 'active', holds = [], purgeAt }: Given = {}) {
  const id = randomAccountId();
  const lifecycle: Lifecycle = {
    ...begin(
      { state, overrides: days === undefined ? {} : { activeRetentionDays: days } },
      '2027-01-01T00:00:00.000Z',
      standardSettings,
    ),
    holds: holds.map((hold, index) => ({
      id: `hold-${index}`,
      reason: 'a lawsuit',
      placedAt: '2027-01-02T00:00:00.000Z',
      placedBy: 'legal',
      ...hold,
    })),
  };
  await store.accounts.collection.insertOne({
    _id: id as never,
    region,
    name: 'Name',
    plan: 'enterprise',
    state,
    since: new Date(lifecycle.since),
    lifecycle,
    inactive: [],
    seq: 1,
    version: 1,
    createdAt: noon,
  });
  await store.gates.create({ _id: id, open: true, passed: 1, purgeAt: purgeAt ?? new Date(noon.getTime() - hour) });
  await insert(id, records);
  return id;
}

let stored = 0;

async function insert(id: string, records: readonly Date[]): Promise<void> {
  for (const category of categories) {
    const documents = records.map((at) => {
      const callId = `call-${(stored += 1)}`;
      return { _id: `${id}:${callId}`, account: id, callId, at, body: '{}' };
    });
    for (let from = 0; from < documents.length; from += 5000) {
      await store.records[category].collection.insertMany(documents.slice(from, from + 5000) as never[]);
    }
  }
}

function sweep(stretch: Partial<PurgeStretch> & { readonly database?: Date } = {}, hooks: PurgeHooks = {}, on = store) {
  const { database = noon, ...rest } = stretch;
  const moved: Store = { ...on, databaseTime: () => Promise.resolve(database) };
  return purgeDue(moved, { temporalNow: noon, ...rest }, hooks);
}

/** The instants of what an account has left, by data set. */
async function left(id: string): Promise<Record<string, string[]>> {
  const sets: Record<string, string[]> = {};
  for (const category of categories) {
    const found = await store.records[category].find({ account: id }).sort({ at: 1 }).lean().exec();
    sets[category] = found.map(({ at }) => at.toISOString());
  }
  return sets;
}

function everySet<T>(value: T): Record<string, T> {
  return Object.fromEntries(categories.map((category) => [category, value]));
}

async function due(id: string): Promise<Date | undefined> {
  return (await store.gates.findById(id).lean().exec())?.purgeAt;
}

async function entries(id: string) {
  return store.audit.entries
    .find({ subject: store.vault.pseudonymOf(id), action: 'records.purged' })
    .sort({ at: 1, _id: 1 })
    .lean()
    .exec();
}

function ago(milliseconds: number, from = noon): Date {
  return new Date(from.getTime() - milliseconds);
}

/** So many instants, evenly spread. */
function spread(count: number, from: Date, to: Date): Date[] {
  const step = (to.getTime() - from.getTime()) / count;
  return Array.from({ length: count }, (_, index) => new Date(Math.floor(from.getTime() + index * step)));
}

async function bare(): Promise<void> {
  const collections = ['accounts', 'gates', ...categories];
  for (const collection of collections) await store.connection.collection(collection).deleteMany({});
}

describe('what goes', () => {
  test('R12: what is older than N days to the millisecond, of all four data sets, and nothing younger', async () => {
    const id = await account([ago(31 * day), ago(30 * day + 1), ago(30 * day), ago(30 * day - 1), ago(0)], {
      days: 30,
    });
    const outcome = await sweep();
    const kept = [ago(30 * day), ago(30 * day - 1), ago(0)].map((at) => at.toISOString());
    expect(await left(id)).toEqual(everySet(kept));
    expect(outcome).toMatchObject({ more: false, accounts: 1, records: everySet(2), failures: [] });
    expect(await entries(id)).toMatchObject([
      {
        actor: { type: 'system', id: 'ablauf' },
        details: { cutoff: ago(30 * day).toISOString(), days: 30, records: everySet(2) },
      },
    ]);
    expect(await due(id)).toEqual(noon);
    // Exactly as old as it may be: older a moment later, and due then.
    await sweep({ temporalNow: new Date(noon.getTime() + 2), database: new Date(noon.getTime() + 2) });
    expect(await left(id)).toEqual(everySet([ago(0).toISOString()]));
    expect(await due(id)).toEqual(new Date(noon.getTime() + 30 * day));
  });

  test.each(['active', 'suspended', 'expired'] as const)('R12: the records of an account that is %s', async (state) => {
    const id = await account([ago(9 * day), ago(day)], { days: 5, state });
    await sweep();
    expect(await left(id)).toEqual(everySet([ago(day).toISOString()]));
  });

  test('R12: all there is where no day is kept, but what has not happened yet', async () => {
    const later = new Date(noon.getTime() + hour);
    const id = await account([ago(9 * day), ago(1), later], { days: 0 });
    await sweep();
    expect(await left(id)).toEqual(everySet([later.toISOString()]));
    expect(await due(id)).toEqual(later);
  });

  test('R12: nothing of an account that keeps its records, which is not looked at again', async () => {
    const id = await account([ago(900 * day)]);
    await sweep();
    expect(await left(id)).toEqual(everySet([ago(900 * day).toISOString()]));
    expect(await due(id)).toBeUndefined();
    expect(await entries(id)).toEqual([]);
  });

  test('R12: nothing of an account that is not due is read or written', async () => {
    const purgeAt = new Date(noon.getTime() + 1);
    const id = await account([ago(9 * day)], { days: 5, purgeAt });
    await sweep();
    expect(await left(id)).toEqual(everySet([ago(9 * day).toISOString()]));
    expect(await due(id)).toEqual(purgeAt);
  });

  test('R6: nothing of an account that is being erased, nor of one that is erased or gone', async () => {
    const erasing = await account([ago(9 * day)], { days: 5, state: 'expired' });
    await store.accounts.collection.updateOne({ _id: erasing as never }, { $set: { erasing: { since: noon } } });
    const erased = await account([], { days: 5 });
    await store.accounts.collection.updateOne({ _id: erased as never }, { $set: { state: 'erased' } });
    const gone = await account([], { days: 5 });
    await store.accounts.deleteOne({ _id: gone });
    expect((await sweep()).failures).toEqual([]);
    expect(await left(erasing)).toEqual(everySet([ago(9 * day).toISOString()]));
    for (const id of [erasing, erased, gone]) expect(await due(id)).toBeUndefined();
  });

  test('R19: nothing is audited where nothing went', async () => {
    const id = await account([ago(day)], { days: 5 });
    await sweep();
    expect(await entries(id)).toEqual([]);
    expect(await due(id)).toEqual(new Date(noon.getTime() + 4 * day));
  });

  test('what is left is found however far away it is, and an account without records is not looked at again', async () => {
    for (const age of [5 * day, 5 * day - minute, 4 * day, 0, -day, -3000 * day]) {
      const id = await account([ago(9 * day), ago(age)], { days: 5 });
      await sweep();
      expect(await due(id)).toEqual(ago(age - 5 * day));
    }
    const id = await account([ago(9 * day)], { days: 5 });
    await sweep();
    expect(await due(id)).toBeUndefined();
  });

  test('the data set with the oldest record decides when an account is due again', async () => {
    const id = await account([], { days: 5 });
    const oldest = ago(4 * day);
    for (const [index, category] of categories.entries()) {
      const at = category === 'completions' ? oldest : ago((3 - index / 4) * day);
      const document = { _id: `${id}:only-${index}`, account: id, callId: `only-${index}`, at, body: '{}' };
      await store.records[category].collection.insertOne(document as never);
    }
    await sweep();
    expect(await due(id)).toEqual(new Date(oldest.getTime() + 5 * day));
  });

  test('R12: a day is 24 hours, also when clocks are put forward or back', async () => {
    for (const changed of ['2027-03-28T01:00:00.000Z', '2027-10-31T01:00:00.000Z']) {
      const now = new Date(Date.parse(changed) + 12 * hour);
      const id = await account([ago(day + 1, now), ago(day, now)], { days: 1, purgeAt: ago(hour, now) });
      await sweep({ temporalNow: now, database: now });
      expect(await left(id)).toEqual(everySet([ago(day, now).toISOString()]));
    }
  });
});

describe('holds', () => {
  test('R9: on the whole account keep all of it, and it is not looked at again', async () => {
    const id = await account([ago(9 * day)], { days: 5, holds: [{}] });
    await sweep();
    expect(await left(id)).toEqual(everySet([ago(9 * day).toISOString()]));
    expect(await due(id)).toBeUndefined();
    expect(await entries(id)).toEqual([]);
  });

  test('R9: on some data sets keep those, and the others go', async () => {
    const id = await account([ago(9 * day), ago(day)], {
      days: 5,
      holds: [{ datasets: ['prompts'] }, { datasets: ['invoices', 'logs'] }],
    });
    await sweep();
    const all = [ago(9 * day), ago(day)].map((at) => at.toISOString());
    const young = [ago(day).toISOString()];
    expect(await left(id)).toEqual({ prompts: all, completions: young, logs: all, usage: young });
    expect(await due(id)).toEqual(new Date(noon.getTime() + 4 * day));
    expect(await entries(id)).toMatchObject([{ details: { records: { completions: 1, usage: 1 } } }]);
  });

  test.each([
    ['the whole account', undefined],
    ['the data sets', ['prompts', 'completions', 'logs', 'usage']],
  ])(
    'R9: one on %s recorded in the middle of a purge keeps all that is left, and what went is on record',
    async (_, datasets) => {
      const id = await account(spread(3000, ago(60 * day), ago(40 * day)), { days: 30 });
      let placed: Record<string, string[]> | undefined;
      const outcome = await sweep(
        {},
        {},
        meddledWith(async (transaction) => {
          if (transaction !== 3) return;
          placed = await left(id);
          const hold = { id: 'hold-1', reason: 'a lawsuit', placedAt: noon.toISOString(), placedBy: 'legal' };
          await store.accounts.collection.updateOne(
            { _id: id as never },
            { $push: { 'lifecycle.holds': { ...hold, ...(datasets === undefined ? {} : { datasets }) } as never } },
          );
        }),
      );
      expect(outcome.failures).toEqual([]);
      expect(await left(id)).toEqual(placed);
      expect(placed?.['prompts']?.length).toBeLessThan(3000);
      expect(await entries(id)).toMatchObject([{ details: { records: outcome.records } }]);
      expect(await due(id)).toBeUndefined();
    },
  );
});

describe('large accounts', () => {
  test('R12: go in several batches, and leave one audit entry', async () => {
    const burst = Array.from({ length: 4000 }, (_, index) => ago(35 * day + (index % 7)));
    const id = await account([...spread(3000, ago(60 * day), ago(20 * day)), ...burst], { days: 30 });
    let batches = 0;
    const outcome = await sweep({}, { progress: () => (batches += 1) });
    expect(batches).toBeGreaterThan(8);
    const young = spread(3000, ago(60 * day), ago(20 * day)).filter((at) => at >= ago(30 * day));
    expect(await left(id)).toEqual(everySet(young.map((at) => at.toISOString())));
    expect(outcome.records).toEqual(everySet(7000 - young.length));
    expect(await entries(id)).toMatchObject([{ details: { records: everySet(7000 - young.length) } }]);
    expect(await due(id)).toEqual(new Date((young[0]?.getTime() ?? NaN) + 30 * day));
    expect((await store.accounts.findById(id).lean().exec())?.purging).toBeUndefined();
  });

  test('R12: stopped for lack of time, a purge reports what went, and goes on in the next stretch', async () => {
    await bare();
    const id = await account(spread(3000, ago(60 * day), ago(40 * day)), { days: 30 });
    let slow = 0;
    const outcomes = [];
    for (let after, more = true; more;) {
      const outcome = await sweep(
        { budget: 60, ...(after === undefined ? {} : { after }) },
        { progress: () => (slow += 1) },
      );
      ({ after, more } = outcome);
      outcomes.push(outcome);
    }
    expect(outcomes.length).toBeGreaterThan(1);
    expect(slow).toBeGreaterThan(0);
    expect(await left(id)).toEqual(everySet([]));
    const reported = await entries(id);
    const sum = (set: string) =>
      reported.reduce((total, { details }) => total + ((details['records'] as Record<string, number>)[set] ?? 0), 0);
    for (const category of categories) expect(sum(category)).toBe(3000);
  });

  test('R12: gets on even where counting takes longer than a stretch', async () => {
    await bare();
    const id = await account(spread(3000, ago(60 * day), ago(40 * day)), { days: 30 });
    let stretches = 0;
    for (let more = true; more; stretches += 1) ({ more } = await sweep({ budget: 4 }));
    expect(stretches).toBeLessThan(100);
    expect(await left(id)).toEqual(everySet([]));
  });

  test('R12: interrupted in the middle and repeated, nothing is lost, and nothing goes unaudited', async () => {
    await bare();
    const id = await account(spread(3000, ago(60 * day), ago(20 * day)), { days: 30 });
    let checks = 0;
    const stop = () => {
      if ((checks += 1) >= 4) throw new Error('the worker stops');
    };
    await expect(sweep({}, { checkpoint: stop })).rejects.toThrow('the worker stops');
    const gone = 3000 - ((await left(id))['prompts']?.length ?? 0);
    expect(gone).toBeGreaterThan(0);
    expect(await entries(id)).toEqual([]);
    // It stands with the account until the purge goes on.
    expect((await store.accounts.findById(id).lean().exec())?.purging).toMatchObject({ records: { prompts: gone } });
    expect(await sweep()).toMatchObject({ more: false, failures: [] });
    expect(await entries(id)).toMatchObject([{ details: { records: everySet(2250) } }]);
    expect(await sweep()).toMatchObject({ more: false, accounts: 0 });
    expect(await entries(id)).toHaveLength(1);
  });

  test('R12: a change of the policy in the middle ends the purge under the old one', async () => {
    const id = await account(spread(3000, ago(60 * day), ago(20 * day)), { days: 30 });
    const outcome = await sweep(
      {},
      {},
      meddledWith(async (transaction) => {
        if (transaction !== 3) return;
        await store.accounts.collection.updateOne(
          { _id: id as never },
          { $set: { 'lifecycle.overrides.activeRetentionDays': 50 } },
        );
      }),
    );
    expect(outcome.failures).toEqual([]);
    // What was between 30 and 50 days old and had not gone yet is kept.
    const prompts = (await left(id))['usage'] ?? [];
    expect(prompts[0]).toBe(ago(50 * day).toISOString());
  });
});

describe('clocks', () => {
  const tenYears = 3653 * day;
  test.each([
    ['Temporal’s clock is ten years fast', tenYears, 0, [0, -1]],
    ['the database’s clock is ten years fast', 0, tenYears, [0, -1]],
    ['Temporal’s clock is ten years slow', -tenYears, 0, [0, -1, 40]],
    ['the database’s clock is ten years slow', 0, -tenYears, [0, -1, 40]],
  ])('R12: when %s, nothing younger goes, and somebody is told', async (_, temporal, database, kept) => {
    const id = await account([ago(40 * day), ago(day), ago(0)], { days: 30 });
    const told: Date[][] = [];
    const moved = (by: number) => new Date(noon.getTime() + by);
    const clocks = { temporalNow: moved(temporal), database: moved(database) };
    await sweep(clocks, { clocksDisagree: (...both) => told.push(both) });
    expect(told).toEqual([[clocks.temporalNow, clocks.database]]);
    expect((await left(id))['prompts']).toHaveLength(kept.length);
    // As soon as both are right again, all is as it should be.
    await store.gates.updateOne({ _id: id }, { $min: { purgeAt: ago(hour) } });
    await sweep({}, { clocksDisagree: () => expect(true).toBe(false) });
    expect((await left(id))['prompts']).toHaveLength(2);
  });

  test('nobody is told while they are apart by no more than the tolerance', async () => {
    let told = 0;
    const clocksDisagree = () => (told += 1);
    await sweep({ temporalNow: ago(5 * minute) }, { clocksDisagree });
    expect(told).toBe(0);
    await sweep({ temporalNow: ago(5 * minute), tolerance: 5 * minute - 1 }, { clocksDisagree });
    expect(told).toBe(1);
  });
});

describe('many accounts', () => {
  test('R12: the longest overdue go first', async () => {
    await bare();
    const ids: string[] = [];
    for (const hours of [3, 9, 6, 7, 2, 8, 5, 4]) {
      ids[9 - hours] = await account([ago(9 * day)], { days: 5, purgeAt: ago(hours * hour) });
    }
    const order: string[] = [];
    const log: Store = {
      ...store,
      audit: {
        ...store.audit,
        append: (session, entry) => {
          order.push(entry.account ?? '');
          return store.audit.append(session, entry);
        },
      },
    };
    let position;
    // A few at a time, to see the order.
    for (let more = true; more;) {
      const outcome = await sweep({ budget: 1, ...(position === undefined ? {} : { after: position }) }, {}, log);
      ({ after: position, more } = outcome);
    }
    expect(order).toHaveLength(ids.length);
    expect(new Set(order)).toEqual(new Set(ids));
    // Four go side by side: nobody's turn comes before all but three of those before them are through.
    for (const [turn, id] of order.entries()) expect(ids.indexOf(id)).toBeLessThan(turn + 4);
  });

  test('R12: a refused write stops no other account, and nothing of it is gone or reported', async () => {
    await bare();
    const failing = await account([ago(9 * day)], { days: 5, purgeAt: ago(9 * hour) });
    const others = [];
    for (let index = 0; index < 5; index += 1) others.push(await account([ago(9 * day)], { days: 5 }));
    const refused: Store = {
      ...store,
      audit: {
        ...store.audit,
        append: (session, entry) =>
          entry.account === failing
            ? Promise.reject(
                Object.assign(new Error('no space left on device'), { name: 'MongoServerError', code: 14031 }),
              )
            : store.audit.append(session, entry),
      },
    };
    const told: string[] = [];
    const outcome = await sweep({}, { failed: ({ account: id }) => told.push(id) }, refused);
    expect(outcome).toMatchObject({
      more: false,
      accounts: 5,
      failures: [{ account: failing, reason: 'MongoServerError 14031' }],
    });
    expect(outcome.records).toEqual(everySet(5));
    expect(told).toEqual([failing]);
    expect(await left(failing)).toEqual(everySet([ago(9 * day).toISOString()]));
    expect(await entries(failing)).toEqual([]);
    expect(await due(failing)).toEqual(ago(9 * hour));
    for (const id of others) expect(await left(id)).toEqual(everySet([]));
    expect(await sweep()).toMatchObject({ accounts: 1, failures: [] });
    expect(await left(failing)).toEqual(everySet([]));
  });

  test('a database that goes away is no account’s failure: the stretch fails, and may be repeated', async () => {
    await bare();
    await account([ago(9 * day)], { days: 5 });
    const away: Store = {
      ...store,
      transaction: () => Promise.reject(new Error('connection closed')),
    };
    let asked = 0;
    const stretch = purgeDue(
      { ...away, databaseTime: () => ((asked += 1) === 1 ? Promise.resolve(noon) : Promise.reject(new Error('away'))) },
      { temporalNow: noon },
    );
    await expect(stretch).rejects.toThrow('away');
    expect(await sweep()).toMatchObject({ accounts: 1, failures: [] });
  });

  test('more gates than one page holds are all seen to, also those due at one instant', async () => {
    await bare();
    const gates = Array.from({ length: 1100 }, (_, index) => ({
      _id: `idle-${String(index).padStart(5, '0')}`,
      open: true,
      passed: 0,
      purgeAt: ago(hour),
    }));
    await store.gates.collection.insertMany(gates as never[]);
    expect(await sweep()).toMatchObject({ more: false, accounts: 0 });
    expect(await store.gates.countDocuments({ purgeAt: { $exists: true } })).toBe(0);
  });

  test('what arrives while an account is purged makes it due as it should', async () => {
    await bare();
    const id = await account([ago(9 * day), ago(day)], { days: 5 });
    const late = ago(4 * day + 23 * hour);
    let arrived = false;
    await sweep(
      {},
      {},
      meddledWith(async () => {
        if (arrived) return;
        arrived = true;
        await insert(id, [late]);
        await store.gates.updateOne(
          { _id: id },
          { $inc: { passed: 1 }, $min: { purgeAt: new Date(late.getTime() + 5 * day) } },
        );
      }),
    );
    expect(await due(id)).toEqual(new Date(late.getTime() + 5 * day));
  });
});

/** The store, with something happening just before each of its transactions. */
function meddledWith(before: (transaction: number) => Promise<void>): Store {
  let count = 0;
  return {
    ...store,
    async transaction(work) {
      await before((count += 1));
      return store.transaction(work);
    },
  };
}
