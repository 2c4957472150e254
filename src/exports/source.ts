/**
 * Reading a data set for an export, oldest first, in batches of documents as the database sent them. Ranges are kept
 * narrow, because the server may hold a whole range before it answers; the next batch is fetched while one is written.
 */
import { mongo } from 'mongoose';
import { native } from '../database';
import { countBy, ownedBy, windowsOf, type Bucket, type DataSet, type Store } from '../data';
import type { ExportCursor } from './documents';

/** The time an export covers. */
export interface TimeRange {
  readonly from?: Date;
  readonly to: Date;
}

type Position = NonNullable<ExportCursor['after']>;

/** About how many records one question to the server covers. */
const windowSize = 2000;
/** The earliest instant there is. */
const earliest = -8_640_000_000_000_000;

/** How many records of a category lie in a range, by day. */
export function countDays(store: Store, account: string, set: DataSet, range: TimeRange): Promise<Bucket[]> {
  if (set.category === undefined) throw new Error(`${set.name} is no category`);
  return countBy('day', store.records[set.category], account, boundsOf(range));
}

/** The documents of a data set in a range, after a position, in batches that are never large. */
export function documentsOf(
  store: Store,
  account: string,
  set: DataSet,
  range: TimeRange,
  after?: Position,
): AsyncGenerator<Buffer[]> {
  return fetchedAhead(
    set.category === undefined ? byId(store, account, set, range, after) : byTime(store, account, set, range, after),
  );
}

/** Where a document stands in its data set's order. */
export function positionOf(set: DataSet, raw: Buffer): Position {
  const document = mongo.BSON.deserialize(raw);
  const id = String(document['_id']);
  return set.category !== undefined && document['at'] instanceof Date ? { at: document['at'], id } : { id };
}

async function* byTime(
  store: Store,
  account: string,
  set: DataSet,
  range: TimeRange,
  after?: Position,
): AsyncGenerator<Buffer[]> {
  if (set.category === undefined) return;
  const model = store.records[set.category];
  const { from, to } = boundsOf({ ...range, ...(after?.at === undefined ? {} : { from: after.at }) });
  const clamped = (bucket: { from: number; to: number }) => ({
    from: Math.max(from, bucket.from),
    to: Math.min(to, bucket.to),
  });
  const days = await countBy('day', model, account, { from, to });
  const windows = windowsOf(
    days,
    'day',
    () => windowSize,
    (unit, stretch) => countBy(unit, model, account, clamped(stretch)),
  );
  for await (const window of windows) {
    const { from: start, to: end } = clamped({ from: window.from?.getTime() ?? from, to: window.to?.getTime() ?? to });
    const at = { $gte: new Date(start), $lt: new Date(end) };
    // Only the first window can hold what is stored already.
    const beyond =
      after?.at !== undefined && start <= after.at.getTime()
        ? { $or: [{ at: { $gt: after.at } }, { _id: { $lt: after.id } }] }
        : {};
    yield* batches(
      native(model)
        .find<Buffer>({ account, at, ...beyond }, rawly)
        .sort({ at: 1, _id: -1 }),
    );
  }
}

/** Sets that are no category are small, and their ids begin with the account's. */
async function* byId(
  store: Store,
  account: string,
  set: DataSet,
  { from, to }: TimeRange,
  after?: Position,
): AsyncGenerator<Buffer[]> {
  const collection = store.connection.getClient().db(store.connection.name).collection<{ _id: string }>(set.collection);
  const ids = { $gte: after?.id ?? `${account}:`, $lt: `${account};` };
  const time = timeFilter(set, from, to);
  const filters: mongo.Filter<{ _id: string }>[] = [{ _id: ids }, ownedBy(account, set), time];
  if (after !== undefined) filters.push({ _id: { $ne: after.id } });
  yield* batches(collection.find<Buffer>({ $and: filters }, rawly).sort({ _id: 1 }));
}

/** A set without times of its own goes by the days it counts, whole; without either it goes whole. */
function timeFilter({ fields }: DataSet, from: Date | undefined, to: Date): mongo.Filter<{ _id: string }> {
  if ('at' in fields) return { at: { ...(from === undefined ? {} : { $gte: from }), $lt: to } };
  if (!('day' in fields)) return {};
  const dayOf = (at: Date) => at.toISOString().slice(0, 10);
  const lastDay = dayOf(new Date(to.getTime() - 1));
  return { day: { ...(from === undefined ? {} : { $gte: dayOf(from) }), $lte: lastDay } };
}

/** Documents stay as the server sent them: most of their bytes are copied and never looked at. */
const rawly = { raw: true, batchSize: windowSize + 1 } as const;

async function* batches(cursor: mongo.FindCursor<Buffer>): AsyncGenerator<Buffer[]> {
  try {
    while (await cursor.hasNext()) yield cursor.readBufferedDocuments().map(asBuffer);
  } finally {
    await cursor.close();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Asks for one item more than is taken, so that the server works while we do. */
async function* fetchedAhead<T>(items: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = items.next();
  try {
    for (let item = await next; item.done !== true; item = await next) {
      next = items.next();
      // Whoever takes this item may stop at it, and then nobody waits for the next.
      next.catch(() => undefined);
      yield item.value;
    }
  } finally {
    await next.catch(() => undefined);
    await items.return(undefined);
  }
}

function boundsOf({ from, to }: TimeRange): { from: number; to: number } {
  return { from: from?.getTime() ?? earliest, to: to.getTime() };
}
