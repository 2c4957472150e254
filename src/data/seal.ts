/**
 * Sealing what the law obliges to keep of an account that is being erased (R10): out of every read, export and search but
 * the legal role's, until the date the law names.
 *
 * 1. Each batch is one transaction: a document is either where it was or sealed, never both and never neither.
 * 2. It goes through the gate like every other deletion of an erasure: nothing a hold protects is sealed (R9).
 * 3. It is encrypted anew, under a key of its own, so that it outlasts the account's key and ends with its own (R21).
 * 4. What the law has let go already is sealed too. Whether a date has passed is judged in one place, by two clocks; see
 *    `retained.ts`.
 */
import { mongo, type ClientSession } from 'mongoose';
import { native } from '../database';
import type { AccountDocument, SealedDocument } from './documents';
import { StatutoryDateError } from './errors';
import { deleteIn, type Deletion } from './gate';
import { dataSetNamed, ownedBy, type DataSet, type Statutory } from './map';
import { protect, reveal } from './protect';
import type { Store } from './store';
import type { Cipher } from '../vault';

/** What to seal of an account, and under which further conditions; see {@link Deletion}. */
export interface Sealing extends Pick<Deletion, 'account' | 'only' | 'change'> {
  /** A data set that a law obliges to keep. */
  readonly set: DataSet;
}

/** What sealing tells and asks along the way. */
export interface SealHooks {
  /** After each batch. */
  readonly progress?: (done: number, total: number, set: string) => void;
  /** Throws to stop between two batches. */
  readonly checkpoint?: () => void;
}

/** What a document of a sealed data set has to have. */
interface Dated {
  readonly _id: string;
  readonly account: string;
  /** The calendar date the law counts from. */
  readonly issuedOn: string;
}

/** What documents are opened with, and what they are sealed with. */
interface Ciphers {
  readonly account: Cipher;
  readonly retained: Cipher;
}

const { collection: sealedCollection } = dataSetNamed('sealed');

/** Documents sealed in one transaction, at most. */
const batchSize = 200;
/** What they may hold, in bytes, so that large ones cannot exhaust the process; one always fits. */
const batchBytes = 4 * 1024 * 1024;

/**
 * Seals what an account has in a data set, batch by batch, until nothing is left or the gate is closed. Safe to repeat.
 *
 * @returns whether nothing is left
 * @throws {StatutoryDateError} a document does not say which day the law counts from; its batch stays where it was
 */
export async function sealSet(store: Store, sealing: Sealing, hooks: SealHooks = {}): Promise<boolean> {
  const { account, set } = sealing;
  // Where there is nothing to seal no key is made to seal it with.
  if ((await collectionOf(store, set).countDocuments(ownedIn(sealing), { limit: 1 })) === 0) return true;
  for (;;) {
    hooks.checkpoint?.();
    // Asked for anew with each batch: all of them take longer than a process may go on with the keys it has.
    const ciphers = {
      account: await store.vault.cipherOf(account),
      retained: await store.vault.retainedCipherOf(account),
    };
    const batch = await sealBatch(store, sealing, ciphers);
    if (batch === undefined) return false;
    if (batch.sealed === 0) return true;
    const { done = 0, total = 0 } = batch.account?.erasing ?? {};
    hooks.progress?.(done, total, sealing.set.name);
  }
}

/** How many documents a batch sealed; with them, the account as it is then. */
interface SealedBatch {
  readonly sealed: number;
  readonly account?: AccountDocument;
}

/**
 * Seals one batch.
 *
 * @returns nothing, with nothing sealed, where the gate is closed
 * @throws {StatutoryDateError} as {@link sealSet}
 */
async function sealBatch(store: Store, sealing: Sealing, ciphers: Ciphers): Promise<SealedBatch | undefined> {
  const { set, ...deletion } = sealing;
  const sealedAt = await store.databaseTime();
  return store.transaction(async (session): Promise<SealedBatch | undefined> => {
    const found = await nextDocuments(store, session, sealing);
    if (found.length === 0) return { sealed: 0 };
    const subject = store.vault.pseudonymOf(deletion.account);
    const sealed = found.map((document) => sealedForm(ciphers, deletion.account, subject, set, document, sealedAt));
    await native(store.sealed).insertMany(sealed, { session });
    const ids = found.map(({ _id }) => _id);
    const went = await deleteIn(store, session, {
      ...deletion,
      purpose: 'erasure',
      sets: { [set.name]: { _id: { $in: ids } } },
    });
    if (went === undefined) return undefined;
    if (went.sets[set.name] !== ids.length)
      throw new Error(`sealed ${ids.length} of ${set.name}, removed another number`);
    return { sealed: ids.length, account: went.account };
  });
}

function collectionOf(store: Store, set: DataSet) {
  return store.connection.collection<Dated>(set.collection);
}

function ownedIn({ account, set }: Sealing): mongo.Filter<Dated> {
  return ownedBy(account, set);
}

async function nextDocuments(store: Store, session: ClientSession, sealing: Sealing): Promise<Dated[]> {
  const cursor = collectionOf(store, sealing.set).find(ownedIn(sealing), { session, limit: batchSize, batchSize: 20 });
  const documents: Dated[] = [];
  let bytes = 0;
  // Leaving the loop closes the cursor.
  for await (const document of cursor) {
    bytes += mongo.BSON.calculateObjectSize(document);
    if (bytes > batchBytes && documents.length > 0) break;
    documents.push(document);
  }
  return documents;
}

function sealedForm(
  ciphers: Ciphers,
  account: string,
  subject: string,
  set: DataSet,
  document: Dated,
  sealedAt: Date,
): SealedDocument {
  if (set.statutory === undefined) throw new Error(`no law obliges to keep ${set.name}`);
  const key = document._id.startsWith(`${account}:`) ? document._id.slice(account.length + 1) : document._id;
  // It outlives the account: nothing of it says whose it was but the pseudonym (R22).
  const { _id, account: _account, ...kept } = reveal(ciphers.account, set.collection, document);
  return protect<SealedDocument>(ciphers.retained, sealedCollection, {
    _id: `${subject}:${set.name}:${key}`,
    subject,
    dataset: set.name,
    key,
    until: statutoryEnd(document.issuedOn, set.statutory),
    sealedAt,
    law: set.statutory.law,
    document: mongo.BSON.EJSON.stringify(kept, { relaxed: false }),
  });
}

const calendarDate = /^(\d{4})-(\d{2})-(\d{2})$/;
/**
 * When a year has ended at every site: at eight in the morning UTC it ends at us-west-1, the last of them (R25). A law's
 * calendar is that of the place, and no site is so early as to notice the hours between.
 */
const yearEndsEverywhere = 8;

/**
 * The instant from which the law lets a document go: the end of 31 December of the last year it is to be kept, wherever
 * this product runs (R10). An invoice of any day of 2026, to be kept for 8 years, goes on 1 January 2035 at 08:00 UTC.
 *
 * @param issuedOn the calendar date the document bears, `2026-11-22`, in no time zone
 * @throws {StatutoryDateError} that is no date of the calendar
 */
export function statutoryEnd(issuedOn: string, { years }: Pick<Statutory, 'years'>): Date {
  const [, year, month, day] = (calendarDate.exec(issuedOn) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined || !isDate(year, month, day)) {
    throw new StatutoryDateError('a document that the law obliges to keep bears no date of the calendar');
  }
  // Years below 100 would be taken for those of the last century.
  const end = new Date(0);
  end.setUTCFullYear(year + years + 1, 0, 1);
  end.setUTCHours(yearEndsEverywhere);
  return end;
}

function isDate(year: number, month: number, day: number): boolean {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
