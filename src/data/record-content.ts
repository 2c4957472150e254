/**
 * What a customer's records hold, encrypted under the account's key (R21): the body, and the person it names.
 *
 * The two are encrypted as one value: a person's name alone would cost as much as the whole body, for every record that
 * comes in or goes out; and neither can be exchanged without the other. The value is bound to its category and its record.
 * Before it is encrypted it is text: a line with the name as JSON, empty where nobody is named, and then the body.
 */
import { mongo } from 'mongoose';
import { UnreadableValueError, type Cipher } from '../vault';
import type { RecordDocument } from './documents';
import type { Category } from './map';
import type { Sealed } from './protect';

/** A record's content, and whom it names. */
export interface RecordContent {
  /** JSON text. */
  readonly body: string;
  readonly user?: string;
}

/** The same as it goes into a file: both as the bytes of JSON text. */
export interface RecordBytes {
  readonly body: Buffer;
  readonly user?: Buffer;
}

const newline = 0x0a;

/** Encrypts what a record holds. @param id the record's `_id` */
export function protectContent(
  cipher: Cipher,
  category: Category,
  id: string,
  { body, user }: RecordContent,
): Sealed<Uint8Array> {
  const text = `${user === undefined ? '' : JSON.stringify(user)}\n${body}`;
  // As bytes, so that they are bytes again when they are opened: most of them never become a string.
  return new mongo.Binary(cipher.seal(Buffer.from(text), { collection: category, field: 'body', id }));
}

/**
 * What {@link protectContent} was given.
 *
 * @throws {UnreadableValueError} it was altered, moved, or stored in the clear
 */
export function openContent(
  cipher: Cipher,
  category: Category,
  { _id, body: sealed }: Pick<RecordDocument, '_id' | 'body'>,
): RecordContent {
  const { body, user } = openContentBytes(cipher, category, _id, sealed);
  return { body: body.toString(), ...(user === undefined ? {} : { user: JSON.parse(user.toString()) as string }) };
}

/** {@link openContent}, without making text of it. */
export function openContentBytes(
  cipher: Cipher,
  category: Category,
  id: string,
  sealed: Uint8Array | mongo.Binary,
): RecordBytes {
  const opened = openNamed(cipher, category, id, sealed);
  const end = Buffer.isBuffer(opened) ? opened.indexOf(newline) : -1;
  if (!Buffer.isBuffer(opened) || end === -1) {
    throw new UnreadableValueError(`the record ${id} of ${category} is not made as records are`);
  }
  const body = opened.subarray(end + 1);
  return end === 0 ? { body } : { body, user: opened.subarray(0, end) };
}

/** Of many records, somebody will want to know which one. */
function openNamed(cipher: Cipher, category: Category, id: string, sealed: Uint8Array | mongo.Binary): unknown {
  try {
    return cipher.open(sealed, { collection: category, field: 'body', id });
  } catch (error) {
    if (!(error instanceof UnreadableValueError)) throw error;
    throw new UnreadableValueError(`the record ${id} of ${category} was altered, or put there from elsewhere`, {
      cause: error,
    });
  }
}

/** What finds the records that name a person, within their account and nowhere else. */
export function userIndexOf(cipher: Cipher, user: string): string {
  return cipher.index('user', user);
}
