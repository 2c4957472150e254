/** A vault that encrypts nothing: what encryption costs is measured against it. */
import { mongo } from 'mongoose';
import type { Store } from '../src/data';
import { sealedOverhead, type Cipher } from '../src/vault';

/** Its values are as long as encrypted ones. */
const plainCipher: Cipher = {
  version: 1,
  seal(value) {
    const bytes = value instanceof Uint8Array ? value : Buffer.from(String(value));
    const stored = Buffer.alloc(bytes.length + sealedOverhead);
    stored.set(bytes);
    return stored;
  },
  open(stored) {
    const bytes = stored instanceof mongo.Binary ? stored.value() : stored;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length - sealedOverhead);
  },
  sealText: (text) => text,
  openText: (text) => text,
  reseal: (stored) => Buffer.from(stored instanceof mongo.Binary ? stored.value() : stored),
  resealText: (text) => text,
  index: (_field, value) => value,
};

/** The same store, as it would be if everything were kept in the clear. */
export function withoutEncryption(store: Store): Store {
  return {
    ...store,
    vault: {
      ...store.vault,
      makeKey: () => Promise.resolve(plainCipher),
      cipherOf: () => Promise.resolve(plainCipher),
      ciphersOf: (accounts) => Promise.resolve(new Map(accounts.map((account) => [account, plainCipher]))),
    },
  };
}
