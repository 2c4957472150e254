/** The keys whose older versions something may still be encrypted under (R21). */
import { currentVersions, KeyDestroyedError, keysOf, systemKeyOf, type Cipher } from '../vault';
import { KeyNotHeardOfError } from './errors';
import type { KeyName } from './key-places';
import type { Store } from './store';

/** Ciphers of keys that have more than one version. */
export type KeyRing = Readonly<Partial<Record<KeyName, Cipher>>>;

/**
 * An account's.
 *
 * @throws {KeyNotHeardOfError} this process does not know yet which version is in use
 */
export function ringOfAccount(store: Store, account: string): Promise<KeyRing> {
  const { vault } = store;
  const ids = keysOf(vault, account);
  return ringOf(store, [
    ['account', ids.account, () => vault.cipherOf(account)],
    // Asked for only where there is one: it would be made.
    ['retained', ids.retained, () => vault.retainedCipherOf(account)],
  ]);
}

/** The deployment's own. @throws {KeyNotHeardOfError} */
export function ringOfDeployment(store: Store): Promise<KeyRing> {
  return ringOf(
    store,
    (['secrets', 'staff'] as const).map((name) => [name, systemKeyOf(name), () => store.vault.systemCipher(name)]),
  );
}

async function ringOf(
  { vault }: Store,
  keys: readonly (readonly [KeyName, string, () => Promise<Cipher>])[],
): Promise<KeyRing> {
  const standings = await currentVersions(
    vault,
    keys.map(([, id]) => id),
  );
  const ring: Partial<Record<KeyName, Cipher>> = {};
  for (const [name, id, ask] of keys) {
    const standing = standings.get(id);
    if (standing?.hasOthers !== true) continue;
    const cipher = await ask().catch(withoutDestroyed);
    if (cipher === undefined) continue;
    // What another process has just put in use is known here half a minute later.
    if (cipher.version < standing.current) {
      throw new KeyNotHeardOfError(
        `version ${standing.current} of ${id} is in use, and here ${cipher.version} is known`,
      );
    }
    ring[name] = cipher;
  }
  return ring;
}

/** The account was erased at this moment: nothing of it can be read any more. */
function withoutDestroyed(error: unknown): undefined {
  if (!(error instanceof KeyDestroyedError)) throw error;
}
