/**
 * Encrypting values: AES-256-GCM under a data key, bound to the place they are stored at.
 *
 * An encrypted value is: format (1 byte), what it was (1 byte), key version (4 bytes, most significant first), nonce
 * (12 bytes), ciphertext, tag (16 bytes). The first six bytes and the place are authenticated with it, so that a value that is
 * altered or put anywhere else does not open (R21).
 *
 * Nonces are random. NIST SP 800-38D allows 2^32 values under one key that way; a key is an account's own, and is replaced
 * by rotation long before.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomFillSync,
  type KeyObject,
} from 'node:crypto';
import { mongo } from 'mongoose';
import { UnreadableValueError } from './errors';

/** Where a value is stored. Each part is authenticated. */
export interface Place {
  /** The collection, or another name of the store it lies in. */
  readonly collection: string;
  /** The field, in dotted form. */
  readonly field: string;
  /** The document it belongs to, where a value is not to move from one to another. */
  readonly id?: string;
}

/** Encrypts and opens values of one owner. Synchronous: its keys are in memory. */
export interface Cipher {
  /** The version new values are encrypted under. */
  readonly version: number;
  /** Encrypts a text, bytes, or anything BSON can hold. @returns bytes to store in place of it */
  seal(value: unknown, place: Place): Buffer;
  /** The value as it was. @throws {UnreadableValueError} it was altered, moved, or belongs to another owner */
  open(sealed: Uint8Array | mongo.Binary, place: Place): unknown;
  /** {@link seal} for what has to travel as text, such as a note in a message. Not bound to a document. */
  sealText(text: string, field: string): string;
  /** The text of {@link sealText}; one that never was encrypted is given back as it is. */
  openText(text: string, field: string): string;
  /**
   * What {@link seal} made, encrypted anew under the version in use, byte for byte the same inside.
   *
   * @throws {UnreadableValueError} as {@link open}
   */
  reseal(sealed: Uint8Array | mongo.Binary, place: Place): Buffer;
  /** {@link reseal} for what {@link sealText} made. */
  resealText(text: string, field: string): string;
  /**
   * A blind index: equal for equal values of one field and owner, of no use to anybody without the key. It stays the same
   * when keys are rotated. @returns 22 characters
   */
  index(field: string, value: string): string;
}

/** The keys of an owner, unwrapped. */
export interface CipherKeys {
  readonly region: string;
  /** The account or the system stream they belong to. */
  readonly owner: string;
  /** Data keys by version, 32 bytes each. */
  readonly data: ReadonlyMap<number, Buffer>;
  /** The version in use. */
  readonly current: number;
  /** For blind indexes, 32 bytes; never replaced. */
  readonly index: Buffer;
}

const format = 0xa1;
const kinds = { text: 0, bytes: 1, bson: 2 } as const;
/** Where a value says which version of its key it is encrypted under. */
const versionAt = 2;
const headerLength = 6;
const nonceLength = 12;
const tagLength = 16;
/** By how much bytes grow when they are encrypted. */
export const sealedOverhead = headerLength + nonceLength + tagLength;
const algorithm = 'aes-256-gcm';
const tagged = { authTagLength: tagLength };
/** What a sealed text begins with. No note anybody writes is taken for one: it would have to open as well. */
const textMark = 'sealed:1:';
/** Where sealed texts belong: they travel between messages, the account and the log. */
const textCollection = 'text';

/** A cipher with an owner's keys. */
export function createCipher({ region, owner, data, current, index }: CipherKeys): Cipher {
  const keys = new Map([...data].map(([version, key]): [number, KeyObject] => [version, createSecretKey(key)]));
  const owned = `${region}\0${owner}\0`;
  const places = new Map<string, Map<string, Buffer>>();
  /** What a value at a place is bound to, but for its document: kept, since values come in thousands of one field. */
  const prefixOf = (collection: string, field: string): Buffer => {
    const fields = places.get(collection) ?? new Map<string, Buffer>();
    const prefix = fields.get(field) ?? Buffer.from(`${owned}${collection}\0${field}\0`);
    if (!fields.has(field)) places.set(collection, fields.set(field, prefix));
    return prefix;
  };
  const keyOf = (version: number): KeyObject => {
    const key = keys.get(version);
    if (key === undefined) throw new UnreadableValueError(`no key of version ${version} is known for a value`);
    return key;
  };
  const encrypt = (kind: number, plain: Buffer, { collection, field, id = '' }: Place): Buffer => {
    const sealed = Buffer.allocUnsafe(plain.length + sealedOverhead);
    sealed[0] = format;
    sealed[1] = kind;
    sealed.writeUInt32BE(current, versionAt);
    takeNonce(sealed, headerLength);
    const nonce = sealed.subarray(headerLength, headerLength + nonceLength);
    const encryption = createCipheriv(algorithm, keyOf(current), nonce, tagged);
    encryption.setAAD(authenticated(sealed, prefixOf(collection, field), id));
    encryption.update(plain).copy(sealed, headerLength + nonceLength);
    encryption.final();
    encryption.getAuthTag().copy(sealed, sealed.length - tagLength);
    return sealed;
  };
  const decrypt = (sealed: Buffer, { collection, field, id = '' }: Place): Buffer => {
    if (!isSealed(sealed)) {
      throw new UnreadableValueError(`a value of ${collection}.${field} is not encrypted as it should be`);
    }
    const nonce = sealed.subarray(headerLength, headerLength + nonceLength);
    const key = keyOf(sealed.readUInt32BE(versionAt));
    const decryption = createDecipheriv(algorithm, key, nonce, tagged);
    decryption.setAAD(authenticated(sealed, prefixOf(collection, field), id));
    decryption.setAuthTag(sealed.subarray(sealed.length - tagLength));
    const plain = decryption.update(sealed.subarray(headerLength + nonceLength, sealed.length - tagLength));
    try {
      decryption.final();
    } catch {
      throw new UnreadableValueError(`a value of ${collection}.${field} was altered, or belongs elsewhere`);
    }
    return plain;
  };
  const cipher: Cipher = {
    version: current,
    seal(value, place) {
      const [kind, plain] = plainOf(value);
      return encrypt(kind, plain, place);
    },
    open(value, place) {
      const sealed = bytesOf(value);
      const plain = decrypt(sealed, place);
      return valueOf(sealed[1] ?? 0, plain);
    },
    reseal(value, place) {
      const sealed = bytesOf(value);
      const plain = decrypt(sealed, place);
      return encrypt(sealed[1] ?? 0, plain, place);
    },
    sealText(text, field) {
      return asText(cipher.seal(text, { collection: textCollection, field }));
    },
    openText(text, field) {
      if (!text.startsWith(textMark)) return text;
      return String(cipher.open(bytesOfText(text), { collection: textCollection, field }));
    },
    resealText(text, field) {
      return asText(cipher.reseal(bytesOfText(text), { collection: textCollection, field }));
    },
    index(field, value) {
      return createHmac('sha256', index)
        .update(`${region}\0${field}\0${value}`)
        .digest()
        .subarray(0, 16)
        .toString('base64url');
    },
  };
  return cipher;
}

/** Whether a text is one that {@link Cipher.sealText} made. */
export function isSealedText(text: string): boolean {
  return text.startsWith(textMark);
}

/**
 * Which version of its key a value says it is encrypted under, as bytes or as text; nothing where it is not encrypted. It says
 * so without anybody's having opened it: one that was altered may say anything.
 */
export function versionOf(value: unknown): number | undefined {
  if (typeof value === 'string') return isSealedText(value) ? versionOf(bytesOfText(value)) : undefined;
  if (!(value instanceof Uint8Array) && !(value instanceof mongo.Binary)) return undefined;
  const sealed = bytesOf(value);
  return isSealed(sealed) ? sealed.readUInt32BE(versionAt) : undefined;
}

function isSealed(bytes: Buffer): boolean {
  return bytes.length >= sealedOverhead && bytes[0] === format;
}

function asText(sealed: Buffer): string {
  return `${textMark}${sealed.toString('base64url')}`;
}

function bytesOfText(text: string): Buffer {
  return Buffer.from(text.slice(textMark.length), 'base64url');
}

function plainOf(value: unknown): [kind: number, plain: Buffer] {
  if (typeof value === 'string') return [kinds.text, Buffer.from(value)];
  if (value instanceof Uint8Array) return [kinds.bytes, Buffer.from(value.buffer, value.byteOffset, value.byteLength)];
  return [kinds.bson, Buffer.from(mongo.BSON.serialize({ value }))];
}

function valueOf(kind: number, plain: Buffer): unknown {
  if (kind === kinds.text) return plain.toString();
  if (kind === kinds.bytes) return plain;
  return (mongo.BSON.deserialize(plain) as { value: unknown }).value;
}

/** A driver gives bytes back as `Binary`, or as a buffer where it was told to. A value stored in the clear is neither. */
function bytesOf(value: unknown): Buffer {
  if (value instanceof Buffer) return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof mongo.Binary) return bytesOf(value.value());
  throw new UnreadableValueError('a value that should be encrypted is not');
}

/** Where what is authenticated is put together: ciphers take a copy at once. */
let scratch = Buffer.alloc(512);

function authenticated(sealed: Buffer, prefix: Buffer, id: string): Buffer {
  const start = headerLength + prefix.length;
  // No character takes more than three bytes of UTF-8 for each unit of the text.
  if (scratch.length < start + 3 * id.length) scratch = Buffer.alloc(2 * (start + 3 * id.length));
  sealed.copy(scratch, 0, 0, headerLength);
  prefix.copy(scratch, headerLength);
  return scratch.subarray(0, start + scratch.write(id, start));
}

/** Random bytes for nonces, fetched for many at once: one at a time costs as much as the encryption. */
const pool = Buffer.alloc(nonceLength * 1024);
let taken = pool.length;

function takeNonce(target: Buffer, at: number): void {
  if (taken === pool.length) {
    randomFillSync(pool);
    taken = 0;
  }
  pool.copy(target, at, taken, taken + nonceLength);
  taken += nonceLength;
}
