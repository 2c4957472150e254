/** Profiles as accounts store them, for tests that put accounts into the database themselves. */
import { protectProfile, type AccountDocument, type Store } from '../../src/data';

/** The stored profile of an account, whose key is made if it has none. */
export async function profileIn(
  store: Store,
  account: string,
  name = `Name of ${account}`,
): Promise<Pick<AccountDocument, 'name' | 'email' | 'nameIndex' | 'emailIndex'>> {
  const cipher = await store.vault.makeKey(account);
  return protectProfile(store, cipher, account, { name, email: `${account}@example.org` });
}

/** A note as it is stored with an account, whose key is made if it has none. */
export async function noteIn(store: Store, account: string, field: 'note' | 'reason', text: string): Promise<string> {
  return (await store.vault.makeKey(account)).sealText(text, field);
}
