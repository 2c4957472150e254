/**
 * Purging one account of several, against a `deleteMany` a collection of the same records of another one; and a sweep over
 * many accounts of which few have anything to purge, against one over those few alone.
 */
import { categories, purgeDue, type Store } from '../src/data';
import { begin } from '../src/lifecycle';
import { eventsEach, fill, recordPatterns, recordsEach, type Patterns } from './erase';
import { summaryOf, type Figure } from './figures';
import { byTurns, timed, type Benchmark, type Ground } from './harness';
import { addAccounts, dropStore, freshStore, settings } from './stores';

const day = 86_400_000;
const hour = 3_600_000;

export const sweeping: Benchmark = {
  name: 'sweep',
  async run(ground, say) {
    return [...(await purging(ground, say)), ...(await scaling(ground, say))];
  },
};

/** One account's purge: how long it took, and each of its batches. */
interface Purged {
  readonly milliseconds: number;
  readonly batches: readonly number[];
}

const accountsStored = 4;

async function purging(ground: Ground, say: (text: string) => void): Promise<Figure[]> {
  const store = await freshStore(ground, 'purge');
  const patterns = await recordPatterns(store);
  const filled: string[] = [];
  let filledSoFar = 0;
  const next = async (work: (account: string) => Promise<Purged>): Promise<Purged> => {
    // Each turn finds the collections as full as the other side did: the account that goes is followed by a new one.
    while (filled.length < accountsStored) {
      filledSoFar += 1;
      filled.push(await fill(store, `acct-purge-${filledSoFar}`, patterns));
    }
    const account = filled.shift() ?? '';
    const result = await work(account);
    const left = await store.records.logs.countDocuments({ account });
    if (left > 0) throw new Error(`${left} log records of ${account} are left`);
    return result;
  };
  say(`filling ${accountsStored * recordsEach} records`);
  const pairs = await byTurns(
    () => next((account) => purgeOurs(store, account)),
    () => next((account) => purgeRaw(store, account)),
  );
  await dropStore(store);
  const seconds = summaryOf(pairs.map(({ ours }) => ours.milliseconds)).median / 1000;
  return [
    {
      name: `Purging ${recordsEach} of ${accountsStored * recordsEach} records, rate to one unbounded \`deleteMany\` a collection`,
      values: pairs.map(({ ours, theirs }) => theirs.milliseconds / ours.milliseconds),
      target: { atLeast: 0.6 },
      remark: `${(recordsEach / seconds).toFixed(0)} records a second`,
    },
    {
      name: 'The longest batch of each purge',
      values: pairs.map(({ ours }) => Math.max(...ours.batches)),
      unit: 'ms',
      target: { atMost: 250 },
      judgedBy: 'worst',
      remark: `${summaryOf(pairs.map(({ ours }) => ours.batches.length)).median} batches`,
    },
  ];
}

/** An account that keeps its records for so many days, and is due. */
async function addDue(store: Store, accounts: readonly string[], days: number): Promise<void> {
  const origin = { state: 'active', overrides: { activeRetentionDays: days } } as const;
  await addAccounts(store, accounts, begin(origin, new Date().toISOString(), settings));
  await makeDue(store, accounts);
}

async function makeDue(store: Store, accounts: readonly string[]): Promise<void> {
  await store.gates.updateMany({ _id: { $in: accounts } }, { $set: { purgeAt: new Date(Date.now() - hour) } });
}

async function purgeOurs(store: Store, account: string): Promise<Purged> {
  await addDue(store, [account], 0);
  const batches: number[] = [];
  let begun = performance.now();
  const milliseconds = await timed(() =>
    purgeDue(
      store,
      { temporalNow: new Date(), budget: hour },
      {
        checkpoint: () => (begun = performance.now()),
        progress: () => batches.push(performance.now() - begun),
      },
    ),
  );
  return { milliseconds, batches };
}

async function purgeRaw(store: Store, account: string): Promise<Purged> {
  const at = { $lt: new Date() };
  const milliseconds = await timed(async () => {
    for (const category of categories) {
      const { deletedCount } = await store.connection.collection(category).deleteMany({ account, at });
      if (deletedCount !== eventsEach) throw new Error(`${deletedCount} of ${eventsEach} ${category} were deleted`);
    }
  });
  return { milliseconds, batches: [milliseconds] };
}

const many = 100_000;
const due = 1000;
/** Old events of each account that is due; each leaves a record in each of the four collections. */
const oldEvents = 5;

async function scaling(ground: Ground, say: (text: string) => void): Promise<Figure[]> {
  const sides = { ours: await freshStore(ground, 'sweep_many'), theirs: await freshStore(ground, 'sweep_few') };
  const patterns = await recordPatterns(sides.theirs);
  const accounts = Array.from({ length: due }, (_, index) => `acct-due-${String(index).padStart(5, '0')}`);
  say(`adding ${many} accounts`);
  for (const store of [sides.ours, sides.theirs]) await addDue(store, accounts, 30);
  await addSleeping(sides.ours, many - due);
  let turns = 0;
  const turn = async (store: Store): Promise<number> => {
    turns += 1;
    await refill(store, accounts, patterns, turns);
    let records = 0;
    const milliseconds = await timed(async () => {
      const { records: purged } = await purgeDue(store, { temporalNow: new Date(), budget: hour });
      records = Object.values(purged).reduce((sum, count) => sum + count, 0);
    });
    const expected = due * oldEvents * categories.length;
    if (records !== expected) throw new Error(`${records} of ${expected} records were purged`);
    return milliseconds;
  };
  const pairs = await byTurns(
    () => turn(sides.ours),
    () => turn(sides.theirs),
  );
  for (const store of [sides.ours, sides.theirs]) await dropStore(store);
  const { median } = summaryOf(pairs.map(({ ours }) => ours));
  return [
    {
      name: `A sweep over ${many} accounts of which ${due} have something to purge, time to the same purge among ${due}`,
      values: pairs.map(({ ours, theirs }) => ours / theirs),
      target: { atMost: 1.1 },
      remark: `${(median / due).toFixed(1)} ms an account`,
    },
  ];
}

/** Accounts that keep thirty days, none of which is due yet. */
async function addSleeping(store: Store, count: number): Promise<void> {
  const perInsert = 2000;
  const purgeAt = new Date(Date.now() + 10 * day);
  const origin = { state: 'active', overrides: { activeRetentionDays: 30 } } as const;
  const lifecycle = begin(origin, new Date().toISOString(), settings);
  for (let first = 0; first < count; first += perInsert) {
    const length = Math.min(perInsert, count - first);
    const ids = Array.from({ length }, (_, offset) => `acct-${String(first + offset).padStart(6, '0')}`);
    await addAccounts(store, ids, lifecycle, purgeAt);
  }
}

/** Gives the accounts old records again, and makes them due. */
async function refill(store: Store, accounts: readonly string[], patterns: Patterns, turn: number): Promise<void> {
  const now = Date.now();
  for (const [collection, pattern] of patterns) {
    const documents = accounts.flatMap((account) =>
      Array.from({ length: oldEvents }, (_, index) => {
        const callId = `call-${turn}-${index}`;
        return {
          ...pattern,
          _id: `${account}:${callId}` as never,
          account,
          callId,
          at: new Date(now - (40 + index) * day),
        };
      }),
    );
    await store.connection.collection(collection).insertMany(documents);
  }
  await makeDue(store, accounts);
}
