/** Invoices past the API, and accounts in the middle of their erasure, for tests of what the law keeps. */
import type { AccountDocument, Store } from '../../src/data';
import { dataSetNamed, tombstoneId } from '../../src/data';
import { native } from '../../src/database';
import { profileIn } from './profiles';
import { storePlainInvoices } from './records';
import { randomAccountId, region } from './system';

export const invoices = dataSetNamed('invoices');

/** Stores invoices of these dates, numbered from `INV-0000`. */
export async function storeInvoices(store: Store, account: string, dates: readonly string[]): Promise<void> {
  await storePlainInvoices(
    store,
    account,
    dates.map((issuedOn, index) => {
      const number = `INV-${String(index).padStart(4, '0')}`;
      return {
        number,
        issuedOn,
        body: JSON.stringify({ number, issuedOn, total: '119.00', buyer: `Name of ${account}` }),
      };
    }),
  );
}

/** An account whose erasure has begun: a new one without a workflow, or one there is. */
export async function erasingAccount(store: Store, account: string = randomAccountId()): Promise<string> {
  const at = new Date();
  const document: Omit<AccountDocument, '_id'> = {
    region,
    ...(await profileIn(store, account)),
    state: 'expired',
    since: at,
    lifecycle: { state: 'expired', since: at.toISOString(), causes: [], overrides: {}, holds: [] },
    inactive: [],
    erasing: { since: at, done: 0, total: 0, sets: {}, plan: { hash: 'the-plan', steps: [] } },
    seq: 3,
    version: 3,
    createdAt: at,
  };
  await native(store.accounts).replaceOne({ _id: account }, document, { upsert: true });
  return account;
}

/** Leaves the tombstone of an account whose invoices are sealed. */
export async function bury(store: Store, account: string, certificateIds: readonly string[] = []): Promise<void> {
  const [last] = await native(store.sealed)
    .find({ subject: store.vault.pseudonymOf(account) }, { sort: { until: -1 }, limit: 1 })
    .toArray();
  const at = new Date();
  await native(store.accounts).deleteOne({ _id: account });
  await native(store.accounts).replaceOne(
    { _id: tombstoneId(store, account) },
    {
      region,
      state: 'erased',
      since: at,
      erasedAt: at,
      lifecycle: { state: 'erased', since: at.toISOString(), causes: [], overrides: {}, holds: [] },
      inactive: [],
      certificateIds,
      ...(last === undefined ? {} : { retainedUntil: last.until }),
      seq: 4,
      version: 5,
      createdAt: at,
    },
    { upsert: true },
  );
}
