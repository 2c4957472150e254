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
import { heldBy, isHeld } from '../lifecycle';
import type { AccountDocument } from './documents';
import { dataSetNamed, type DataSet } from './map';
import { nameIn, ownedIn } from './names';
import { findAccount, type Store } from './store';

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
  /** What a restore brought back of an account that the ledger knows as erased (R23); see `re-erase.ts`. */
  | 're-erasure'
  /** What the law kept of an erased account and lets go (R10). The caller judges the date; see `retained.ts`. */
  | 'retained';

type Filter = Readonly<Record<string, unknown>>;

/** Whether a purpose applies to an account as it is. */
const applies: Readonly<Record<Purpose, (account: AccountDocument) => boolean>> = {
  erasure: ({ state, erasing }) => state === 'expired' && erasing !== undefined && erasing.halted !== true,
  purge: ({ state, lifecycle }) => state !== 'erased' && lifecycle.overrides.activeRetentionDays !== undefined,
  person: ({ state }) => state !== 'erased',
  // Also of an erased account: a part that was on its way when it was erased is nobody's to keep.
  archive: () => true,
  're-erasure': ({ state, reErasing }) => state === 'erased' || reErasing !== undefined,
  retained: ({ state, retainedUntil }) => state === 'erased' && retainedUntil !== undefined,
};

/** One batch of deletions, of one account. */
export interface Deletion {
  readonly account: string;
  readonly purpose: Purpose;
  /** What goes of each data set, beside its being the account's: an empty filter takes all of it. */
  readonly sets: Readonly<Record<string, Filter>>;
  /** A further condition on the account. */
  readonly only?: (account: AccountDocument) => boolean;
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
  const { account, purpose, sets, only, change } = deletion;
  const names = Object.keys(sets);
  // Read in the snapshot that is written to below: whatever changes the account meanwhile makes the two conflict.
  const found = await findAccount(store, account, session);
  const held = heldBy(found?.lifecycle.holds ?? []);
  if (
    found === null ||
    names.some((name) => isHeld(held, name)) ||
    !applies[purpose](found) ||
    only?.(found) === false
  ) {
    await session.abortTransaction();
    return undefined;
  }
  const deleted: Record<string, number> = {};
  for (const name of names) {
    const set = dataSetNamed(name);
    const filter = ofAccount(store, account, set, sets[name] ?? {});
    deleted[name] = (await store.connection.collection(set.collection).deleteMany(filter, { session })).deletedCount;
  }
  const { _id } = found;
  await native(store.accounts).updateOne({ _id }, change?.(deleted) ?? { $inc: { passes: 1 } }, { session });
  // Not by findAndModify: the embedded database looks through the whole collection for that.
  const after = await findAccount(store, _id, session);
  if (after === null) throw new Error(`account ${account} is gone in the middle of a transaction`);
  return { sets: deleted, account: after };
}

/** {@link deleteIn} in a transaction of its own. */
export async function deleteThroughGate(store: Store, deletion: Deletion): Promise<Deleted | undefined> {
  return store.transaction((session) => deleteIn(store, session, deletion));
}

/**
 * A filter that finds nothing but the account's own. Conditions on one field are joined here rather than by `$and`: the
 * embedded database uses an index for plain conditions only.
 */
function ofAccount(store: Store, account: string, set: DataSet, filter: Filter): Filter {
  const owned = ownedIn(store, account, set);
  const ids = idsIn(filter);
  if (ids !== undefined) {
    // No account's id holds a colon, so what begins with it and one is the account's, whichever field says so.
    const beginning = `${nameIn(store, account, set)}:`;
    if (ids.every((id) => typeof id === 'string' && id.startsWith(beginning))) return filter;
    return { $and: [owned, filter] };
  }
  const collides = Object.keys(owned).some((field) => field in filter);
  return collides ? { $and: [owned, filter] } : { ...owned, ...filter };
}

/** The ids a filter lists, where it does. */
function idsIn({ _id }: Filter): readonly unknown[] | undefined {
  if (typeof _id !== 'object' || _id === null || !('$in' in _id)) return undefined;
  return Array.isArray(_id.$in) ? (_id.$in as unknown[]) : undefined;
}
