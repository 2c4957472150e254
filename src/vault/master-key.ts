/**
 * The master key (R21): what all other keys are wrapped under. It never encrypts data. Behind an interface, so that a key
 * management service can hold it instead.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { MasterKeyError } from './errors';

/** Wraps and unwraps keys. `context` names what a key is for; unwrapping under another context fails. */
export interface KeyProvider {
  /** Names the master key, and says nothing of it. */
  readonly id: string;
  wrap(key: Buffer, context: string): Promise<Buffer>;
  /** @throws {MasterKeyError} it was not wrapped by this key, for this context */
  unwrap(wrapped: Buffer, context: string): Promise<Buffer>;
}

/** A shorter one could be guessed by whoever has a backup of the key store. */
export const leastMasterKeyLength = 20;
const salt = 'ablauf';
const nonceLength = 12;
const tagLength = 16;

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
    wrap(key, context) {
      const nonce = randomBytes(nonceLength);
      const cipher = createCipheriv('aes-256-gcm', wrapping, nonce, { authTagLength: tagLength });
      cipher.setAAD(Buffer.from(context));
      const sealed = Buffer.concat([cipher.update(key), cipher.final()]);
      return Promise.resolve(Buffer.concat([nonce, sealed, cipher.getAuthTag()]));
    },
    unwrap(wrapped, context) {
      try {
        const decipher = createDecipheriv('aes-256-gcm', wrapping, wrapped.subarray(0, nonceLength), {
          authTagLength: tagLength,
        });
        decipher.setAAD(Buffer.from(context));
        decipher.setAuthTag(wrapped.subarray(wrapped.length - tagLength));
        const key = decipher.update(wrapped.subarray(nonceLength, wrapped.length - tagLength));
        return Promise.resolve(Buffer.concat([key, decipher.final()]));
      } catch {
        return Promise.reject(new MasterKeyError(`the key ${context} does not open under the master key it names`));
      }
    },
  };
}
