/**
 * What an account is called. As long as there is one it goes by its id; once it is erased nothing stored says that any more,
 * and it goes by its pseudonym, a keyed hash of the id (R22). Its tombstone's own id is `~` and the pseudonym. It is found by
 * the account's id and by the tombstone's.
 */
import type { Vault } from '../vault';
import { ownedBy, type DataSet } from './map';

/** Who knows how accounts are called: a store, say. */
interface Named {
  readonly vault: Pick<Vault, 'pseudonymOf'>;
}

/** The id of a tombstone: no account's id begins so. */
export const tombstoneIdPattern = /^~[A-Za-z0-9_-]{43}$/;

/** The id of the tombstone an account has, or will have. */
export function tombstoneId({ vault }: Named, account: string): string {
  return `~${vault.pseudonymOf(account)}`;
}

/** What the documents of a data set call an account. */
export function nameIn({ vault }: Named, account: string, { owner }: Pick<DataSet, 'owner'>): string {
  return 'by' in owner ? vault.pseudonymOf(account) : account;
}

/** What finds the documents of an account in a data set, whichever way it names accounts. */
export function ownedIn(store: Named, account: string, set: Pick<DataSet, 'owner'>): Readonly<Record<string, unknown>> {
  return ownedBy(nameIn(store, account, set), set);
}
