/**
 * Invoices to customers: the data set the law obliges to keep (R10). An issued invoice is never changed, and none arrives
 * once the account's erasure has begun.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ClientSession } from 'mongoose';
import { native } from '../database';
import type { InvoiceDocument } from './documents';
import { dataSetNamed } from './map';
import { passGates } from './open-gate';
import { protect, reveal, type Opened } from './protect';
import type { Store } from './store';

const { collection } = dataSetNamed('invoices');

/** An invoice's number: as it is printed, but for spaces. */
export const invoiceNumberPattern = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$/;

/** An invoice without what it says. */
export interface InvoiceOutline {
  readonly number: string;
  /** The calendar date it bears. */
  readonly issuedOn: string;
  readonly storedAt: string;
}

export interface Invoice extends InvoiceOutline {
  /** Whatever JSON the back office stored. */
  readonly document: unknown;
}

/** An invoice to be stored; its body as JSON text. */
export type NewInvoice = Pick<Opened<InvoiceDocument>, 'account' | 'number' | 'issuedOn' | 'body'>;

/** What became of it: stored now, there already word for word, or another one bears its number. */
export interface Storing {
  readonly outcome: 'stored' | 'known' | 'differs';
  readonly invoice: InvoiceOutline;
}

/**
 * Stores an invoice, inside a transaction of the caller's, who has made sure that the account is not being erased.
 *
 * @param at now
 */
export async function storeInvoice(
  store: Store,
  session: ClientSession,
  invoice: NewInvoice,
  at: Date,
): Promise<Storing> {
  const { account, number, issuedOn, body } = invoice;
  const _id = `${account}:${number}`;
  const cipher = await store.vault.cipherOf(account);
  const known = await native(store.invoices).findOne<InvoiceDocument>({ _id }, { session });
  if (known !== null) {
    const same = isSame(reveal(cipher, collection, known), invoice);
    return { outcome: same ? 'known' : 'differs', invoice: outlineOf(known) };
  }
  // The gate is written before the invoice: of two requests with one number, the second finds the first one's.
  await passGates(store, session, new Map([[account, { stores: true }]]));
  const stored = protect<InvoiceDocument>(cipher, collection, { _id, account, number, issuedOn, at, body });
  await native(store.invoices).insertOne(stored, { session });
  return { outcome: 'stored', invoice: outlineOf(stored) };
}

/** The order of members makes no other invoice. */
function isSame(known: Opened<InvoiceDocument>, invoice: NewInvoice): boolean {
  return known.issuedOn === invoice.issuedOn && isDeepStrictEqual(JSON.parse(known.body), JSON.parse(invoice.body));
}

function outlineOf({ number, issuedOn, at }: Omit<InvoiceDocument, 'body'>): InvoiceOutline {
  return { number, issuedOn, storedAt: at.toISOString() };
}

/** One invoice, or nothing where the account has none of this number. */
export async function findInvoice(store: Store, account: string, number: string): Promise<Invoice | undefined> {
  const found = await native(store.invoices).findOne<InvoiceDocument>({ _id: `${account}:${number}` });
  if (found === null) return undefined;
  const { body } = reveal(await store.vault.cipherOf(account), collection, found);
  return { ...outlineOf(found), document: JSON.parse(body) as unknown };
}

export interface InvoiceQuery {
  readonly limit: number;
  /** Where the page before ended. */
  readonly after?: Pick<InvoiceOutline, 'issuedOn' | 'number'>;
}

/** A page of an account's invoices, the newest date first, and one more where there are more. */
export async function listInvoices(
  store: Store,
  account: string,
  { limit, after }: InvoiceQuery,
): Promise<InvoiceOutline[]> {
  const behind =
    after === undefined
      ? []
      : [
          { issuedOn: { $lte: after.issuedOn } },
          {
            $or: [
              { issuedOn: { $lt: after.issuedOn } },
              { issuedOn: after.issuedOn, _id: { $lt: `${account}:${after.number}` } },
            ],
          },
        ];
  const found = await native(store.invoices)
    .find<Omit<InvoiceDocument, 'body'>>({ $and: [{ account }, ...behind] }, { projection: { body: 0 } })
    .sort({ issuedOn: -1, _id: -1 })
    .limit(limit + 1)
    .toArray();
  return found.map(outlineOf);
}
