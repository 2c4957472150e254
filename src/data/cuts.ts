/** Cutting what an account has in a data set into batches: records along time, everything else along a list of ids. */
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
  // Whatever time passed over goes in the end; as a rule that is nothing.
  yield* byIds(store, account, set, pacer);
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

/** The chunks of a file are a quarter of a megabyte each. */
const most = 500;

/** One pass over the ids, and another one until it finds none: what comes meanwhile goes too. */
async function* byIds(
  store: Store,
  account: string,
  set: DataSet,
  pacer: Pick<BatchPacer, 'size'>,
): AsyncGenerator<Cut, void> {
  const collection = store.connection.collection(set.collection) as unknown as mongo.Collection;
  for (;;) {
    let ids: unknown[] = [];
    let found = false;
    for await (const { _id } of collection.find(ownedBy(account, set), { projection: { _id: 1 } })) {
      found = true;
      ids.push(_id);
      if (ids.length < Math.min(most, pacer.size)) continue;
      yield { _id: { $in: ids } };
      ids = [];
    }
    if (ids.length > 0) yield { _id: { $in: ids } };
    if (!found) return;
  }
}
