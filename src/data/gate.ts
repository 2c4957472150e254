/**
 * The one way by which customer data is deleted. Nothing else in this product deletes any, and `test/gate.test.ts` looks
 * through the source for what would.
 *
 * 1. The transaction that deletes also writes the account's own document, under the condition that no hold protects the
 *    data set and that the purpose still applies. Recording a hold writes that document too: one of the two comes first,
 *    and nothing goes after a hold was acknowledged (R9).
 * 2. Where the condition fails nothing is deleted.
 * 3. What went is returned, for the caller to count and to audit in the same transaction.
 */
import type { ClientSession, mongo } from 'mongoose';
import { native } from '../database';
import type { AccountDocument } from './documents';
import { dataSetNamed, ownedBy } from './map';
import type { Store } from './store';

/** Why something is deleted. Each purpose has conditions of its own on the account. */
export type Purpose =
  /** The account's erasure (R6): it has begun and no hold was placed since. */
  | 'erasure'
  /** Records past their age (R12): active-data retention is set. The caller judges the age; see `purge.ts`. */
  | 'purge'
  /** One person's records, on request. */
  | 'person'
  /** An export's file, past its time or withdrawn (R14, R15). */
  | 'archive'
  /** What the law kept of an erased account and lets go (R10). The caller judges the date; see `retained.ts`. */
  | 'retained';

type Filter = Readonly<Record<string, unknown>>;

const conditions: Readonly<Record<Purpose, Filter>> = {
  erasure: { state: 'expired', erasing: { $exists: true }, 'erasing.halted': { $exists: false } },
  purge: { state: { $ne: 'erased' }, 'lifecycle.overrides.activeRetentionDays': { $exists: true } },
  person: { state: { $ne: 'erased' } },
  // Also of an erased account: a part that was on its way when it was erased is nobody's to keep.
  archive: {},
  retained: { state: 'erased', retainedUntil: { $exists: true } },
};

/** One batch of deletions, of one account. */
export interface Deletion {
  readonly account: string;
  readonly purpose: Purpose;
  /** What goes of each data set, beside its being the account's: an empty filter takes all of it. */
  readonly sets: Readonly<Record<string, Filter>>;
  /** Further conditions on the account. */
  readonly only?: Filter;
  /** What else to change of the account, once it is known what goes. */
  readonly change?: (deleted: Readonly<Record<string, number>>) => mongo.UpdateFilter<AccountDocument>;
}

/** What went, by data set, and the account as it is then. */
export interface Deleted {
  readonly sets: Readonly<Record<string, number>>;
  readonly account: AccountDocument;
}

/**
 * Deletes inside a transaction of the caller's, through the gate.
 *
 * @returns nothing where the gate is closed to this deletion; the transaction is aborted then, and must not be used on
 */
export async function deleteIn(store: Store, session: ClientSession, deletion: Deletion): Promise<Deleted | undefined> {
  const { account, purpose, sets, only = {}, change } = deletion;
  const names = Object.keys(sets);
  const deleted: Record<string, number> = {};
  for (const name of names) {
    const set = dataSetNamed(name);
    const filter = { $and: [ownedBy(account, set), sets[name] ?? {}] };
    deleted[name] = (await store.connection.collection(set.collection).deleteMany(filter, { session })).deletedCount;
  }
  const after = await native(store.accounts).findOneAndUpdate(
    { $and: [{ _id: account }, unheld(names), conditions[purpose], only] },
    change?.(deleted) ?? { $inc: { passes: 1 } },
    { session, returnDocument: 'after' },
  );
  if (after === null) {
    await session.abortTransaction();
    return undefined;
  }
  return { sets: deleted, account: after };
}

/** {@link deleteIn} in a transaction of its own. */
export async function deleteThroughGate(store: Store, deletion: Deletion): Promise<Deleted | undefined> {
  return store.transaction((session) => deleteIn(store, session, deletion));
}

/** True of an account of which no hold protects any of these data sets: `null` also finds holds that name none. */
function unheld(names: readonly string[]): Filter {
  return { 'lifecycle.holds': { $not: { $elemMatch: { datasets: { $in: [null, ...names] } } } } };
}
