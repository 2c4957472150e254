/** Wrapping one key under another: AES-256-GCM, bound to what the key is for. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
const nonceLength = 12;
const tagLength = 16;

/** @param authenticated comes with it from elsewhere, and has to be the same when it is unwrapped */
export function wrapUnder(wrapping: Buffer, key: Buffer, authenticated: Buffer): Buffer {
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv(algorithm, wrapping, nonce, { authTagLength: tagLength });
  cipher.setAAD(authenticated);
  return Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
}

/** @throws {Error} it was not wrapped under this key, with the same authenticated bytes */
export function unwrapUnder(wrapping: Buffer, wrapped: Buffer, authenticated: Buffer): Buffer {
  const nonce = wrapped.subarray(0, nonceLength);
  const decipher = createDecipheriv(algorithm, wrapping, nonce, { authTagLength: tagLength });
  decipher.setAAD(authenticated);
  decipher.setAuthTag(wrapped.subarray(-tagLength));
  return Buffer.concat([decipher.update(wrapped.subarray(nonceLength, -tagLength)), decipher.final()]);
}
