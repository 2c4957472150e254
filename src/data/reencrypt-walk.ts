/**
 * Finding what is encrypted under a version of its key that is no longer in use (R21): place by place as the data map
 * declares them, the deployment's own first and then account by account. It reads without a transaction, a little at a time;
 * what it finds is judged anew by whoever changes it.
 */
import type { mongo } from 'mongoose';
import { newestState, staged, tileWidth } from '../audit';
import { native } from '../database';
import { versionOf } from '../vault';
import type { AccountDocument } from './documents';
import { keyPlaces, type KeyPlace } from './key-places';
import { ringOfAccount, ringOfDeployment, type KeyRing } from './key-ring';
import { categories, dataSets, type Category } from './map';
import { ownedIn } from './names';
import { encryptedValues, type EncryptedValue } from './protect';
import type { Store } from './store';
import { countBy, windowsOf } from './windows';

/** Any document, as far as it was read. */
export interface StoredDocument extends Readonly<Record<string, unknown>> {
  readonly _id: unknown;
}

/** Up to where everything was looked at. Plain JSON. */
export interface WalkPosition {
  /** The account it is at; nothing while it is at the deployment's own. */
  readonly account?: string;
  /** Which of the places it is at: it has done with those before. */
  readonly place: number;
  /** Where in that place it goes on: an instant, or the number of a tile. */
  readonly from?: string;
}

/** Documents of one place that hold something outdated. */
export interface OutdatedBatch {
  readonly place: KeyPlace;
  readonly ids: readonly unknown[];
  /** What they are opened with, asked for anew. */
  readonly ring: () => Promise<KeyRing>;
}

/** A little of the walk. */
export interface WalkStep {
  /** Documents looked at. */
  readonly seen: number;
  readonly batch?: OutdatedBatch;
  /** Where to go on, where everything before it was handed out and nothing after it. */
  readonly next?: WalkPosition;
  /** It was the last of an account. */
  readonly endsAccount?: true;
}

const accountsAtOnce = 500;
/** About how many records one question to the server covers. */
const windowSize = 1000;
/** Documents fetched at a time. */
const pageSize = 200;
/** What may be changed in one transaction: documents, and the bytes of their values; one document always fits. */
const mostDocuments = 500;
const mostBytes = 1024 * 1024;
/** The last instant there is. */
const latest = 8_640_000_000_000_000;

const ownPlaces = keyPlaces.filter(({ keys }) => keys.some((key) => key === 'secrets' || key === 'staff'));
const accountPlaces = keyPlaces.filter(({ keys }) => keys.some((key) => key === 'account' || key === 'retained'));

/**
 * Walks through everything, or one account.
 *
 * @throws {KeyNotHeardOfError} this process does not know yet which version of a key is in use
 */
export async function* walkOutdated(
  store: Store,
  only: string | undefined,
  from: WalkPosition = { place: 0 },
): AsyncGenerator<WalkStep> {
  if (only !== undefined) {
    yield* walkAccount(store, only, from);
    return;
  }
  if (from.account === undefined) yield* walkDeployment(store, from);
  else yield* walkAccount(store, from.account, from);
  for (let after = from.account ?? ''; ;) {
    const ids = await accountsAfter(store, after);
    for (const id of ids) yield* walkAccount(store, id, { place: 0 });
    const last = ids.at(-1);
    if (last === undefined || ids.length < accountsAtOnce) return;
    after = last;
  }
}

/** Whether a value names another version of its key than the one in use; nothing of keys with one version alone. */
export function isOutdated({ value }: EncryptedValue, key: KeyRing[keyof KeyRing]): boolean {
  return key !== undefined && versionOf(value) !== key.version;
}

/** Accounts and tombstones, in the order of their ids. */
async function accountsAfter(store: Store, after: string): Promise<string[]> {
  const found = await native(store.accounts)
    .find<Pick<AccountDocument, '_id'>>(
      { _id: { $gt: after } },
      { sort: { _id: 1 }, limit: accountsAtOnce, projection: { _id: 1 } },
    )
    .toArray();
  return found.map(({ _id }) => _id);
}

async function* walkAccount(store: Store, account: string, from: WalkPosition): AsyncGenerator<WalkStep> {
  // It was at its end when the walk stopped.
  if (from.place >= accountPlaces.length) return;
  const ring = () => ringOfAccount(store, account);
  // Most accounts have one version of their keys alone, where a rotation was for another.
  const isAlone = Object.keys(await ring()).length === 0;
  for (const [index, place] of isAlone ? [] : accountPlaces.entries()) {
    if (index < from.place) continue;
    const pages = pagesOfAccount(store, account, place, index === from.place ? from.from : undefined);
    yield* walkPlace(place, ring, pages, (next) => ({ account, ...next }), index);
  }
  yield { seen: 0, next: { account, place: accountPlaces.length }, endsAccount: true };
}

async function* walkDeployment(store: Store, from: WalkPosition): AsyncGenerator<WalkStep> {
  const ring = () => ringOfDeployment(store);
  for (const [index, place] of ownPlaces.entries()) {
    if (index < from.place) continue;
    const start = index === from.place ? from.from : undefined;
    const pages =
      place.collection === 'auditEntries'
        ? pagesOfLog(store, place, Number(start ?? staged))
        : pagesOf(store, place, {});
    yield* walkPlace(place, ring, pages, (next) => next, index);
  }
}

/** Some documents; with `from`, where the place goes on behind them. */
interface Page {
  readonly documents: readonly StoredDocument[];
  readonly from?: string;
}

async function* walkPlace(
  place: KeyPlace,
  ring: () => Promise<KeyRing>,
  pages: AsyncIterable<Page>,
  at: (next: Pick<WalkPosition, 'place' | 'from'>) => WalkPosition,
  index: number,
): AsyncGenerator<WalkStep> {
  for await (const { documents, from } of pages) {
    const keys = await ring();
    let ids: unknown[] = [];
    let bytes = 0;
    for (const document of documents) {
      const size = outdatedBytes(place, document, keys);
      if (size === undefined) continue;
      if (ids.length > 0 && (ids.length === mostDocuments || bytes + size > mostBytes)) {
        yield { seen: 0, batch: { place, ids, ring } };
        [ids, bytes] = [[], 0];
      }
      ids.push(document._id);
      bytes += size;
    }
    yield {
      seen: documents.length,
      ...(ids.length === 0 ? {} : { batch: { place, ids, ring } }),
      ...(from === undefined ? {} : { next: at({ place: index, from }) }),
    };
  }
  yield { seen: 0, next: at({ place: index + 1 }) };
}

/** How large the outdated values of a document are; nothing where there is none. */
function outdatedBytes(place: KeyPlace, document: StoredDocument, keys: KeyRing): number | undefined {
  let bytes: number | undefined;
  for (const one of encryptedValues(place.collection, document)) {
    if (!isOutdated(one, keys[place.keyOf(document, one.field)])) continue;
    bytes = (bytes ?? 0) + sizeOf(one.value);
  }
  return bytes;
}

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (value instanceof Uint8Array) return value.length;
  return (value as Partial<mongo.Binary>).buffer?.length ?? 0;
}

async function* pagesOfAccount(
  store: Store,
  account: string,
  place: KeyPlace,
  from: string | undefined,
): AsyncGenerator<Page> {
  const category = categories.find((one) => one === place.collection);
  if (category !== undefined) {
    yield* pagesOfRecords(store, account, place, category, from);
    return;
  }
  const set = dataSets.find(({ collection }) => collection === place.collection);
  if (set === undefined) throw new Error(`${place.collection} is no data set`);
  yield* pagesOf(store, place, ownedIn(store, account, set));
}

/** By stretches of time: the server may hold a whole range before it answers. */
async function* pagesOfRecords(
  store: Store,
  account: string,
  place: KeyPlace,
  category: Category,
  start: string | undefined,
): AsyncGenerator<Page> {
  const model = store.records[category];
  const stretch = start === undefined ? undefined : { from: Date.parse(start), to: latest };
  const windows = windowsOf(
    await countBy('day', model, account, stretch),
    'day',
    () => windowSize,
    (unit, within) => countBy(unit, model, account, within),
  );
  for await (const { from, to } of windows) {
    if (from === undefined || to === undefined) continue;
    yield* pagesOf(store, place, { account, at: { $gte: from, $lt: to } });
    yield { documents: [], from: to.toISOString() };
  }
}

/** Entries of the log: those that wait for their place, and then tile by tile, as far as the log reaches now. */
async function* pagesOfLog(store: Store, place: KeyPlace, first: number): AsyncGenerator<Page> {
  const { size = 0 } = (await newestState(store)) ?? {};
  for (let tile = first; tile * tileWidth < size; tile += 1) {
    yield* pagesOf(store, place, { tile });
    yield { documents: [], from: String(tile + 1) };
  }
}

async function* pagesOf(
  { connection }: Store,
  { collection, projection }: KeyPlace,
  filter: Readonly<Record<string, unknown>>,
): AsyncGenerator<Page> {
  const cursor = connection
    .getClient()
    .db(connection.name)
    .collection(collection)
    .find<StoredDocument>(filter, { projection, batchSize: pageSize });
  try {
    while (await cursor.hasNext()) yield { documents: cursor.readBufferedDocuments() };
  } finally {
    await cursor.close();
  }
}
