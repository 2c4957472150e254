import type { ClientSession } from 'mongoose';
import { native } from '../database';
import type { AccountDocument } from './documents';
import type { Store } from './store';

/**
 * The pseudonyms of all accounts under a legal hold, whichever data sets it names: what the audit log says of them is kept
 * for as long (R9, R20). Looks through all accounts.
 */
export async function heldSubjects(store: Store, session: ClientSession): Promise<Set<string>> {
  const projection = { 'lifecycle.holds.id': 1 } as const;
  const held = new Set<string>();
  const accounts = native(store.accounts).find<AccountDocument>(
    { 'lifecycle.holds.0': { $exists: true } },
    { session, projection },
  );
  for await (const { _id } of accounts) held.add(store.vault.pseudonymOf(_id));
  return held;
}
