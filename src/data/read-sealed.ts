/** Reading what the law keeps of an account (R10). Who may, and that it is on record, is the API's to see to. */
import { mongo } from 'mongoose';
import { native } from '../database';
import type { SealedDocument } from './documents';
import { dataSetNamed } from './map';
import { reveal, type Opened } from './protect';
import type { Store } from './store';
import type { Cipher } from '../vault';

/** Something sealed, as the legal role sees it. */
export interface SealedRecord {
  readonly dataset: string;
  /** What it was known by in its data set. */
  readonly key: string;
  /** It goes from this instant on. */
  readonly until: string;
  readonly law: string;
  readonly sealedAt: string;
  /** The document as it was, without its account. */
  readonly document: Readonly<Record<string, unknown>>;
}

export interface SealedQuery {
  readonly limit: number;
  /** Where the page before ended. */
  readonly after?: Pick<SealedRecord, 'until' | 'dataset' | 'key'>;
}

export interface SealedPage {
  readonly records: readonly SealedRecord[];
  /** There are more after the last one. */
  readonly more: boolean;
}

const { collection } = dataSetNamed('sealed');

/** What one page may hold, in bytes of documents, so that large ones cannot exhaust the process; one always fits. */
const pageSize = 8 * 1024 * 1024;

/** A page of what is sealed of an account, the first to go first. A page ends early where it grows too large. */
export async function readSealed(store: Store, account: string, { limit, after }: SealedQuery): Promise<SealedPage> {
  const subject = store.vault.pseudonymOf(account);
  const cursor = native(store.sealed).find<SealedDocument>(
    after === undefined ? { subject } : { subject, $or: behind(subject, after) },
    { sort: { until: 1, _id: 1 }, limit: limit + 1, batchSize: 20 },
  );
  const records: SealedRecord[] = [];
  let cipher: Cipher | undefined;
  let size = 0;
  // Leaving the loop closes the cursor.
  for await (const sealed of cursor) {
    size += sealed.document.length();
    if (records.length === limit || (size > pageSize && records.length > 0)) return { records, more: true };
    // Its key is made with the first of what is sealed, and goes with the last.
    cipher ??= await store.vault.retainedCipherOf(account);
    records.push(recordOf(reveal(cipher, collection, sealed)));
  }
  return { records, more: false };
}

function behind(subject: string, { until, dataset, key }: Pick<SealedRecord, 'until' | 'dataset' | 'key'>) {
  const at = new Date(until);
  return [{ until: { $gt: at } }, { until: at, _id: { $gt: `${subject}:${dataset}:${key}` } }];
}

function recordOf({ dataset, key, until, law, sealedAt, document }: Opened<SealedDocument>): SealedRecord {
  return {
    dataset,
    key,
    until: until.toISOString(),
    law,
    sealedAt: sealedAt.toISOString(),
    document: readable(document),
  };
}

/** A sealed document, its JSON text as JSON. */
function readable(text: string): Readonly<Record<string, unknown>> {
  const document = mongo.BSON.EJSON.parse(text) as Record<string, unknown>;
  return { ...document, ...(typeof document['body'] === 'string' ? { body: jsonOf(document['body']) } : {}) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
