/**
 * Encrypting anew what is under a version of its key that is no longer in use (R21), while everything else goes on.
 *
 * 1. A batch is one transaction: documents are read in its snapshot, judged there, and written back by their ids. Whatever
 *    corrects, purges or erases one of them meanwhile makes the two conflict, and the batch is judged anew.
 * 2. It writes encrypted values and nothing beside them, and never a document that is not there: what was deleted stays so,
 *    and no counter, date, version or hold is touched.
 * 3. What does not open is named, and left byte for byte as it is.
 * 4. A value under a newer version than this process was told to use is left as it is.
 *
 * A hold does not forbid it: what a hold protects stays what it was.
 */
import { mongo } from 'mongoose';
import { UnreadableValueError, versionOf, type Cipher } from '../vault';
import { encryptedValues, type EncryptedValue } from './protect';
import { isOutdated, walkOutdated, type OutdatedBatch, type StoredDocument, type WalkPosition } from './reencrypt-walk';
import type { Store } from './store';

/** A value that does not open: where it lies, and nothing of what it holds. */
export interface UnreadablePlace {
  readonly collection: string;
  readonly field: string;
  readonly id: string;
}

/** What was found, and done. Plain JSON. */
export interface ReencryptTally {
  /** Accounts and tombstones done with. */
  readonly accounts: number;
  /** Documents looked at. */
  readonly documents: number;
  /** Values encrypted anew; of a look alone, those that would have to be. */
  readonly values: number;
  readonly unreadable: number;
  /** The first few of them. */
  readonly places: readonly UnreadablePlace[];
}

/** Where a stretch of work begins, and what of. */
export interface ReencryptStretch {
  /** One account alone. @default everything */
  readonly account?: string;
  readonly from?: WalkPosition;
  /** Looks, and changes nothing. */
  readonly onlyLook?: true;
}

export interface ReencryptHooks {
  /** Throws to stop. */
  readonly checkpoint?: () => void;
  /** After each little piece; with where a further try may go on, where there is such a place. */
  readonly progress?: (tally: ReencryptTally, next: WalkPosition | undefined) => void;
  /** Told of each value that does not open. */
  readonly unreadable?: (place: UnreadablePlace) => void;
  /** For how long to go on, in milliseconds, counted to the next place where one may stop. @default a minute */
  readonly budget?: number;
}

export interface ReencryptOutcome {
  readonly tally: ReencryptTally;
  /** Where to go on; nothing where all is done. */
  readonly next?: WalkPosition;
}

const standardBudget = 60_000;
/** Named in what is reported; the log has all of them. */
const namedPlaces = 20;
export const emptyTally: ReencryptTally = { accounts: 0, documents: 0, values: 0, unreadable: 0, places: [] };

/**
 * Encrypts anew for a while, or looks what would have to be. Safe to repeat, from any place.
 *
 * @throws {KeyNotHeardOfError} this process does not know yet which version of a key is in use
 */
export async function reencrypt(
  store: Store,
  { account, from, onlyLook }: ReencryptStretch,
  hooks: ReencryptHooks = {},
): Promise<ReencryptOutcome> {
  const end = performance.now() + (hooks.budget ?? standardBudget);
  let tally = emptyTally;
  for await (const { seen, batch, next, endsAccount } of walkOutdated(store, account, from)) {
    hooks.checkpoint?.();
    const done = batch === undefined ? nothing : await renew(store, batch, onlyLook === true);
    for (const one of done.unreadable) hooks.unreadable?.(one);
    tally = joinTallies(tally, {
      accounts: endsAccount === true ? 1 : 0,
      documents: seen,
      values: done.values,
      unreadable: done.unreadable.length,
      places: done.unreadable,
    });
    hooks.progress?.(tally, next);
    if (next !== undefined && performance.now() > end) return { tally, next };
  }
  return { tally };
}

/** Both together. */
export function joinTallies(a: ReencryptTally, b: ReencryptTally): ReencryptTally {
  return {
    accounts: a.accounts + b.accounts,
    documents: a.documents + b.documents,
    values: a.values + b.values,
    unreadable: a.unreadable + b.unreadable,
    places: [...a.places, ...b.places].slice(0, namedPlaces),
  };
}

/** What became of a batch. */
interface Done {
  readonly values: number;
  readonly unreadable: readonly UnreadablePlace[];
}

const nothing: Done = { values: 0, unreadable: [] };

async function renew(store: Store, { place, ids, ring }: OutdatedBatch, onlyLook: boolean): Promise<Done> {
  const { collection: name, projection } = place;
  const { connection } = store;
  const collection = connection.getClient().db(connection.name).collection(name);
  const keys = await ring();
  return store.transaction(async (session) => {
    const documents = await collection
      .find<StoredDocument>({ _id: { $in: ids } } as mongo.Filter<mongo.Document>, { session, projection })
      .toArray();
    let values = 0;
    const unreadable: UnreadablePlace[] = [];
    const changes: mongo.AnyBulkWriteOperation[] = [];
    for (const document of documents) {
      const id = String(document._id);
      const renewed: Record<string, unknown> = {};
      for (const one of encryptedValues(name, document)) {
        const cipher = keys[place.keyOf(document, one.field)];
        if (cipher === undefined || !isOutdated(one, cipher)) continue;
        const outcome = renewedValue(cipher, name, id, one);
        if (outcome === unreadableMark) unreadable.push({ collection: name, field: one.field, id });
        else if (outcome !== undefined) renewed[one.path] = outcome;
      }
      const paths = Object.keys(renewed).length;
      values += paths;
      if (paths > 0) changes.push({ updateOne: { filter: idOf(document), update: { $set: renewed } } });
    }
    if (changes.length > 0 && !onlyLook) await collection.bulkWrite(changes, { session });
    return { values, unreadable };
  });
}

/** Ids are whatever a collection has for them. */
function idOf({ _id }: StoredDocument): mongo.Filter<mongo.Document> {
  return { _id } as mongo.Filter<mongo.Document>;
}

const unreadableMark = Symbol('unreadable');

/** A value under the version in use; nothing where it is under a newer one. */
function renewedValue(
  cipher: Cipher,
  collection: string,
  id: string,
  { field, value, isText }: EncryptedValue,
): mongo.Binary | string | typeof unreadableMark | undefined {
  try {
    const renewed = isText
      ? cipher.resealText(String(value), field.slice(field.lastIndexOf('.') + 1))
      : new mongo.Binary(cipher.reseal(value as Uint8Array, { collection, field, id }));
    return (versionOf(value) ?? 0) > cipher.version ? undefined : renewed;
  } catch (error) {
    if (error instanceof UnreadableValueError) return unreadableMark;
    throw error;
  }
}
