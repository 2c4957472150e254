/** Free text about a customer, opened to be shown. */
import { openNotes, withoutNotes } from '../data';
import { KeyDestroyedError, KeyMissingError } from '../vault';
import type { Workshop } from './workshop';

/** What is to be shown of an account, its free text opened; left out where it cannot be, as of an erased account. */
export async function opened<T>({ store }: Workshop, account: string, shown: T): Promise<T> {
  try {
    return openNotes(await store.vault.cipherOf(account), shown);
  } catch (error) {
    if (error instanceof KeyDestroyedError || error instanceof KeyMissingError) return withoutNotes(shown);
    throw error;
  }
}
