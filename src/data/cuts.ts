/** Cutting what an account has in a data set into batches, as the data map says for each set. */
import type { mongo } from 'mongoose';
import { ownedBy, type DataSet } from './map';
import type { Store } from './store';
import { countBy, windowsOf, type BatchPacer } from './windows';

/** What a batch takes, beside its being the account's. */
type Cut = Readonly<Record<string, unknown>>;

/** Yields batches until nothing is left, each about as large as the pacer says at that moment. */
export async function* cutsOf(
  store: Store,
  account: string,
  set: DataSet,
  pacer: Pick<BatchPacer, 'size'>,
): AsyncGenerator<Cut, void> {
  if (set.category !== undefined) yield* alongTime(store, account, set.category, pacer);
  else if (set.cut === 'hash') yield* alongHash(store, account, set, pacer);
  // Whatever the way, what it passed over goes in the end; as a rule that is nothing.
  yield* aFewAtATime(store, account, set);
}

async function* alongTime(
  store: Store,
  account: string,
  category: NonNullable<DataSet['category']>,
  pacer: Pick<BatchPacer, 'size'>,
): AsyncGenerator<Cut, void> {
  const model = store.records[category];
  const days = await countBy('day', model, account);
  const windows = windowsOf(
    days,
    'day',
    () => pacer.size,
    (unit, stretch) => countBy(unit, model, account, stretch),
  );
  for await (const { from, to } of windows) yield { at: { $gte: from, $lt: to } };
}

/** Two digits of the fingerprint make 256 ranges, four 65,536; fingerprints spread evenly over them. */
const hashSpace = 65_536;

/** Ranges of ids that are `ACCOUNT:` and hexadecimal digits. */
async function* alongHash(
  store: Store,
  account: string,
  set: DataSet,
  pacer: Pick<BatchPacer, 'size'>,
): AsyncGenerator<Cut, void> {
  const count = await collectionOf(store, set).countDocuments(ownedBy(account, set));
  const bound = (position: number) => `${account}:${position.toString(16).padStart(4, '0')}`;
  for (let start = 0; start < hashSpace && count > 0;) {
    const end = Math.min(hashSpace, start + Math.max(1, Math.floor((hashSpace * pacer.size) / count)));
    yield { _id: { $gte: bound(start), ...(end < hashSpace ? { $lt: bound(end) } : {}) } };
    start = end;
  }
}

/** Enough for what is never much, and little enough for files' chunks. */
const few = 200;

async function* aFewAtATime(store: Store, account: string, set: DataSet): AsyncGenerator<Cut, void> {
  for (;;) {
    const found = await collectionOf(store, set)
      .find(ownedBy(account, set), { projection: { _id: 1 }, limit: few })
      .toArray();
    if (found.length === 0) return;
    yield { _id: { $in: found.map(({ _id }) => _id) } };
  }
}

function collectionOf(store: Store, set: DataSet): mongo.Collection {
  return store.connection.collection(set.collection);
}
