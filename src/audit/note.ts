/**
 * Signed notes (c2sp.org/signed-note) and checkpoints (c2sp.org/tlog-checkpoint): the state of the log in a few lines that
 * anybody keeps, and anybody with the public key checks.
 */
import { createPublicKey, hash, verify, type KeyObject } from 'node:crypto';
import type { PublicKey, Signer } from '../vault';
import { hashLength } from './merkle';

/** A note that is no note, or that nobody we trust has signed. */
export class NoteError extends Error {
  override readonly name = 'NoteError';
}

/** A key that notes are checked with. */
export interface NoteKey {
  /** Whose it is; a log's key is named by the log's origin. */
  readonly name: string;
  /** What it is found by, four bytes. */
  readonly id: Buffer;
  readonly key: KeyObject;
}

/** Ed25519, in the table of signature types of signed notes. */
const ed25519 = 0x01;
const idLength = 4;
const dash = '\u2014';
const rawLength = 32;

/** A key as notes know it. @param raw 32 bytes */
function noteKey(name: string, raw: Buffer): NoteKey {
  if (!isKeyName(name)) throw new NoteError(`${JSON.stringify(name)} cannot be the name of a key`);
  if (raw.length !== rawLength) throw new NoteError(`the key of ${name} is not an Ed25519 key`);
  const id = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ed25519), raw]), 'buffer');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' });
  return { name, id: id.subarray(0, idLength), key };
}

/** A key of a key set (RFC 8037), as notes know it. */
export function noteKeyOf(name: string, { x }: Pick<PublicKey, 'x'>): NoteKey {
  return noteKey(name, Buffer.from(x, 'base64url'));
}

/** Reads a key in the notation of signed notes: `NAME+ID+KEY`. @throws {NoteError} it is none, or its id is wrong */
export function readNoteKey(text: string): NoteKey {
  const [, name = '', id = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text.trim()) ?? [];
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes[0] !== ed25519) throw new NoteError('the key is not NAME+ID+KEY with an Ed25519 key');
  const key = noteKey(name, bytes.subarray(1));
  if (key.id.toString('hex') !== id) throw new NoteError(`the key of ${name} is not the one its id says`);
  return key;
}

/** A key in the notation of signed notes, as {@link readNoteKey} reads it. */
export function writeNoteKey(name: string, { x }: Pick<PublicKey, 'x'>): string {
  const raw = Buffer.from(x, 'base64url');
  const key = Buffer.concat([Buffer.of(ed25519), raw]).toString('base64');
  return `${name}+${noteKey(name, raw).id.toString('hex')}+${key}`;
}

function isKeyName(name: string): boolean {
  return name !== '' && !/[\s+]/u.test(name);
}

/** A text, signed. @param text lines, each ended by a newline */
export function signNote(text: string, name: string, signer: Signer): string {
  if (!isNoteText(text)) throw new NoteError('a note is one or more lines of text');
  const { id } = noteKeyOf(name, signer.publicKey);
  const signature = Buffer.concat([id, signer.sign(Buffer.from(text))]);
  return `${text}\n${dash} ${name} ${signature.toString('base64')}\n`;
}

/** Whether a text has no control characters but newlines, and ends with one. */
function isNoteText(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- that is what is looked for
  return text.endsWith('\n') && !/[\u0000-\u0009\u000b-\u001f]/.test(text);
}

/**
 * The text of a note, if one of the keys has signed it. Signatures of others are passed over, as the format has it; one
 * that names a key of ours and is wrong makes the note wrong.
 *
 * @throws {NoteError}
 */
export function openNote(note: string, keys: readonly NoteKey[]): string {
  // The last empty line parts the text from the signatures.
  const split = note.lastIndexOf('\n\n');
  const text = note.slice(0, split + 1);
  const lines = note.slice(split + 2);
  if (split < 0 || !isNoteText(text) || !lines.endsWith('\n')) throw new NoteError('this is not a signed note');
  let signed = false;
  for (const line of lines.slice(0, -1).split('\n')) {
    const [, name = '', encoded = ''] = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
    const bytes = Buffer.from(encoded, 'base64');
    if (name === '' || bytes.length <= idLength) throw new NoteError('a signature of the note cannot be read');
    const key = keys.find((one) => one.name === name && bytes.subarray(0, idLength).equals(one.id));
    if (key === undefined) continue;
    if (!verify(null, Buffer.from(text), key.key, bytes.subarray(idLength))) {
      throw new NoteError(`the signature of ${name} is wrong`);
    }
    signed = true;
  }
  if (!signed) throw new NoteError('no key that is known has signed the note');
  return text;
}

/** The state of a log: how many entries, and the root of the tree over them. */
export interface Checkpoint {
  /** Which log, such as `ablauf/eu-central-1/audit`. */
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  /** When it was signed, by the database's clock: no entry counted in it came later, none beyond it earlier. */
  readonly at: Date;
}

const timePrefix = 'time ';

/** The origin of a region's audit log, which its key is named by too. */
export function originOf(region: string): string {
  return `ablauf/${region}/audit`;
}

/** Signs a checkpoint. Its time stands in an extension line. */
export function signCheckpoint({ origin, size, root, at }: Checkpoint, signer: Signer): string {
  const lines = [origin, String(size), root.toString('base64'), `${timePrefix}${at.toISOString()}`];
  return signNote(`${lines.join('\n')}\n`, origin, signer);
}

/**
 * Reads a checkpoint of a log.
 *
 * @throws {NoteError} it is none, is another log's, or nobody we trust has signed it
 */
export function openCheckpoint(note: string, origin: string, keys: readonly NoteKey[]): Checkpoint {
  return readCheckpoint(openNote(note, keys), origin);
}

function readCheckpoint(text: string, expected: string): Checkpoint {
  const [origin, size = '', encoded = '', ...extensions] = text.slice(0, -1).split('\n');
  if (origin !== expected) throw new NoteError(`the checkpoint is of ${origin ?? ''}, not of ${expected}`);
  const root = Buffer.from(encoded, 'base64');
  if (!/^(0|[1-9][0-9]{0,15})$/.test(size) || root.length !== hashLength || root.toString('base64') !== encoded) {
    throw new NoteError('the checkpoint does not say a size and a root');
  }
  const time = extensions.find((line) => line.startsWith(timePrefix))?.slice(timePrefix.length) ?? '';
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) throw new NoteError('the checkpoint does not say when it was signed');
  return { origin, size: Number(size), root, at };
}
