/**
 * The master key (R21): what all other keys are wrapped under. It never encrypts data. Behind an interface, so that a key
 * management service can hold it instead.
 */
import { hkdfSync } from 'node:crypto';
import { MasterKeyError } from './errors';
import { unwrapUnder, wrapUnder } from './wrapping';

/** Wraps and unwraps keys. `context` names what a key is for; unwrapping under another context fails. */
export interface KeyProvider {
  /** Names the master key, and says nothing of it. */
  readonly id: string;
  wrap(key: Buffer, context: string): Promise<Buffer>;
  /**
   * @throws {MasterKeyError} it was not wrapped by this key, for this context
   * @throws {MasterKeyRefusedError} whoever holds the master key does not let us use it
   * @throws {MasterKeyAwayError} whoever holds the master key does not answer: nothing is known, ask again
   */
  unwrap(wrapped: Buffer, context: string): Promise<Buffer>;
}

/** A shorter one could be guessed by whoever has a backup of the key store. */
export const leastMasterKeyLength = 20;
const salt = 'ablauf';

/**
 * A master key given as text, such as `LITELLM_MASTER_KEY`. The wrapping key is derived from it with HKDF-SHA-256, one for each
 * region: the same master key given to two regions by mistake opens nothing of the other (R25).
 *
 * @throws {MasterKeyError} it is shorter than 20 characters
 */
export function localKeyProvider(masterKey: string, region: string): KeyProvider {
  if (masterKey.length < leastMasterKeyLength) {
    throw new MasterKeyError(
      `the master key has ${masterKey.length} characters; it needs at least ${leastMasterKeyLength}`,
    );
  }
  const derive = (purpose: string, length: number) =>
    Buffer.from(hkdfSync('sha256', masterKey, salt, `ablauf/1/${region}/${purpose}`, length));
  const wrapping = derive('wrap', 32);
  return {
    id: `local-${derive('id', 8).toString('hex')}`,
    wrap: (key, context) => Promise.resolve(wrapUnder(wrapping, key, Buffer.from(context))),
    unwrap(wrapped, context) {
      try {
        return Promise.resolve(unwrapUnder(wrapping, wrapped, Buffer.from(context)));
      } catch {
        return Promise.reject(new MasterKeyError(`the key ${context} does not open under the master key it names`));
      }
    },
  };
}
