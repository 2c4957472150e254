/** What an account is called: by its id while there is one, and in what outlives it by its pseudonym (R22). */
import { ownedBy, type DataSet } from './map';
import type { Store } from './store';

/** What finds the documents of an account in a data set, whichever way the set names accounts. */
export function ownedIn(
  { vault }: Pick<Store, 'vault'>,
  account: string,
  set: Pick<DataSet, 'owner'>,
): Readonly<Record<string, unknown>> {
  return ownedBy('by' in set.owner ? vault.pseudonymOf(account) : account, set);
}
