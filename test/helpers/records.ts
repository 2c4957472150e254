/** Records and invoices where ingest and the API would put them, for tests of what becomes of them. */
import type { Category, Store } from '../../src/data';
import type { InvoiceDocument, RecordDocument } from '../../src/data/documents';
import { protect } from '../../src/data/protect';
import { protectContent, userIndexOf } from '../../src/data/record-content';
import { native } from '../../src/database';

/** A record before it is encrypted. */
export interface PlainRecord {
  readonly callId: string;
  readonly at: Date;
  readonly model?: string;
  readonly user?: string;
  /** JSON text. @default '{}' */
  readonly body?: string;
}

/** Records as they are stored. Makes the account's key where it is missing. */
export async function recordsOf(
  { vault }: Pick<Store, 'vault'>,
  category: Category,
  account: string,
  records: readonly PlainRecord[],
): Promise<RecordDocument[]> {
  const cipher = await vault.makeKey(account);
  return records.map(({ user, body = '{}', ...facts }) => {
    const _id = `${account}:${facts.callId}`;
    return {
      _id,
      account,
      ...facts,
      ...(user === undefined ? {} : { userIndex: userIndexOf(cipher, user) }),
      body: protectContent(cipher, category, _id, { body, ...(user === undefined ? {} : { user }) }),
    };
  });
}

/** Stores records of one category. */
export async function storeRecords(
  store: Store,
  category: Category,
  account: string,
  records: readonly PlainRecord[],
): Promise<void> {
  const documents = await recordsOf(store, category, account, records);
  if (documents.length > 0) await native(store.records[category]).insertMany(documents);
}

/** An invoice before it is encrypted. */
export interface PlainInvoice {
  readonly number: string;
  readonly issuedOn: string;
  readonly at?: Date;
  /** JSON text. */
  readonly body: string;
}

/** Stores invoices. Makes the account's key where it is missing. */
export async function storePlainInvoices(
  store: Store,
  account: string,
  invoices: readonly PlainInvoice[],
): Promise<void> {
  const cipher = await store.vault.makeKey(account);
  const documents = invoices.map(({ number, at = new Date(), ...rest }) =>
    protect<InvoiceDocument>(cipher, 'invoices', { _id: `${account}:${number}`, account, number, at, ...rest }),
  );
  await native(store.invoices).insertMany(documents);
}
