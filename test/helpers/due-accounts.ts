/** Accounts whose erasure is due, put into the database without a workflow: for tests of what the database decides. */
import { randomUUID } from 'node:crypto';
import { categories, type AccountDocument, type StepRecord, type Store } from '../../src/data';
import { begin, type Hold } from '../../src/lifecycle';
import { profileIn } from './profiles';
import { storeRecords } from './records';
import { openGuard, randomAccountId, region, standardSettings } from './system';

const day = 86_400_000;

/** An expired account, closed so many days ago under the standard thirty. */
export async function addDueAccount(
  store: Store,
  {
    id = randomAccountId(),
    closedDaysAgo = 31,
    holds = [],
  }: { readonly id?: string; readonly closedDaysAgo?: number; readonly holds?: readonly Hold[] } = {},
): Promise<AccountDocument> {
  const now = await store.databaseTime();
  const since = new Date(now.getTime() - closedDaysAgo * day);
  const lifecycle = { ...begin({ state: 'expired', overrides: {} }, since.toISOString(), standardSettings), holds };
  const account: AccountDocument = {
    _id: id,
    region,
    ...(await profileIn(store, id)),
    plan: 'standard',
    locale: 'en',
    state: 'expired',
    since,
    deadline: { action: 'erase', at: new Date(since.getTime() + 30 * day) },
    lifecycle,
    inactive: [{ from: since }],
    seq: 1,
    version: 1,
    createdAt: new Date(since.getTime() - 100 * day),
  };
  await store.accounts.collection.insertOne(account as never);
  await store.gates.collection.insertOne({ _id: id as never, open: true, passed: 0 });
  return account;
}

/** So many records in each category, one a minute, all before the account was closed. */
export async function addRecords(store: Store, { _id: account, since }: AccountDocument, count: number): Promise<void> {
  for (const category of categories) {
    await storeRecords(
      store,
      category,
      account,
      Array.from({ length: count }, (_, index) => ({
        callId: `call-${index}`,
        at: new Date(since.getTime() - (index + 1) * 60_000),
        user: `person-${index % 3}`,
        body: '"text"',
      })),
    );
  }
}

/** The step that begins an account's erasure. */
export function beginningOf(account: AccountDocument, at: Date): StepRecord {
  return {
    account: account._id,
    seq: account.seq + 1,
    transitionId: randomUUID(),
    at: at.toISOString(),
    actor: { type: 'system', id: 'ablauf' },
    action: 'account.erasure-started',
    details: {},
    lifecycle: { ...account.lifecycle, erasingSince: at.toISOString() },
  };
}

/** By what beginnings are judged where a test does not care. */
export const judgement = { guard: openGuard, again: false } as const;
