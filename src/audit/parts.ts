/**
 * What an entry says of persons. It lies beside the entry, encrypted, and the log holds a commitment to it: a hash over 32
 * random bytes and the part. Whoever opens the part can tell that it is the one the log was written with; once its key is
 * destroyed the commitment says nothing, to anybody, and the log verifies as before (R20).
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mongo } from 'mongoose';
import { isSealedText, type Cipher } from '../vault';
import { canonicalJson, plain } from './canonical';

/** What concerns the customer, under the account's key; and what concerns staff, under the log's own. */
export type PartName = 'customer' | 'staff';

/** What a part may say. */
export interface PersonalPart {
  readonly account?: string;
  /** Who acted, where that is a person or a key of one. */
  readonly actor?: string;
  /** Where they came from. */
  readonly address?: string;
  /** What was taken out of the details, by JSON pointer (RFC 6901). */
  readonly details?: Readonly<Record<string, string>>;
}

const collection = 'auditEntries';
const saltLength = 32;

/** A part as it is stored, and the commitment to it. */
export function sealPart(cipher: Cipher, id: string, name: PartName, part: PersonalPart) {
  const salt = randomBytes(saltLength);
  const text = canonicalJson(plain(part));
  const sealed = cipher.seal(Buffer.concat([salt, Buffer.from(text)]), { collection, field: name, id });
  return { sealed: new mongo.Binary(sealed), commitment: commitmentTo(salt, text) };
}

/**
 * Opens a part.
 *
 * @returns nothing where it is not the one that was committed to
 * @throws {UnreadableValueError} it was altered, or moved
 */
export function openPart(
  cipher: Cipher,
  id: string,
  name: PartName,
  sealed: mongo.Binary,
  commitment: string,
): PersonalPart | undefined {
  const bytes = Buffer.from(
    cipher.open(sealed as unknown as Uint8Array, { collection, field: name, id }) as Uint8Array,
  );
  const text = bytes.subarray(saltLength).toString();
  const computed = commitmentTo(bytes.subarray(0, saltLength), text);
  const isSame =
    computed.length === commitment.length && timingSafeEqual(Buffer.from(computed), Buffer.from(commitment));
  return isSame ? (JSON.parse(text) as PersonalPart) : undefined;
}

function commitmentTo(salt: Buffer, text: string): string {
  return hash('sha256', Buffer.concat([salt, Buffer.from(text)]), 'base64');
}

/** What people write in their own words, whom an entry is about, and addresses, by where they stand in an entry's details. */
const personalPlaces = [/^\/note$/, /^\/user$/, /^\/hold\/reason$/, /^\/(before|after)\/entries\/\d+\/(cidr|note)$/];

/**
 * Details parted into what anybody may know and what is personal: free text, people, addresses, and whatever came encrypted as text.
 */
export function partDetails(details: unknown): {
  readonly facts: unknown;
  readonly personal: Readonly<Record<string, string>>;
} {
  const personal: Record<string, string> = {};
  const walk = (value: unknown, pointer: string): unknown => {
    if (typeof value === 'string' && (isSealedText(value) || personalPlaces.some((place) => place.test(pointer)))) {
      personal[pointer] = value;
      return null;
    }
    if (Array.isArray(value)) return value.map((item, at) => walk(item, `${pointer}/${at}`));
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([name, inner]): [string, unknown] => {
      const below = `${pointer}/${escaped(name)}`;
      return [name, walk(inner, below)];
    });
    return Object.fromEntries(entries.filter(([name]) => !(`${pointer}/${escaped(name)}` in personal)));
  };
  return { facts: walk(details, ''), personal };
}

/** What {@link partDetails} was given. */
export function joinDetails(facts: unknown, personal: Readonly<Record<string, string>>): unknown {
  const joined = plain(facts);
  for (const [pointer, text] of Object.entries(personal)) {
    const names = pointer.split('/').slice(1).map(unescaped);
    const last = names.pop() ?? '';
    let node = joined as Record<string, unknown> | undefined;
    for (const name of names) node = node?.[name] as Record<string, unknown> | undefined;
    if (typeof node === 'object') node[last] = text;
  }
  return joined;
}

function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function unescaped(name: string): string {
  return name.replaceAll('~1', '/').replaceAll('~0', '~');
}
