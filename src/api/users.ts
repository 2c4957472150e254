/** Opening what is stored of people. */
import type { Logger } from 'pino';
import type { UserDocument } from '../access';
import { reveal, type Opened } from '../data';
import { KeyDestroyedError, KeyMissingError, UnreadableValueError, type Vault } from '../vault';

/** A person, opened; one whose name cannot be is shown without, since they are known by their id. */
export async function openUser(
  vault: Vault,
  document: UserDocument,
  log: Pick<Logger, 'error'>,
): Promise<Opened<UserDocument>> {
  try {
    const { account } = document;
    const cipher = account === undefined ? await vault.systemCipher('staff') : await vault.cipherOf(account);
    return reveal(cipher, 'users', document);
  } catch (error) {
    if (error instanceof UnreadableValueError) log.error({ err: error, user: document._id }, 'a name cannot be opened');
    else if (!(error instanceof KeyDestroyedError || error instanceof KeyMissingError)) throw error;
    const { name: _name, email: _email, ...nameless } = document;
    return nameless;
  }
}
