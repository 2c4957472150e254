/**
 * Free text about a customer (R21): why it was suspended, what a hold is for. It travels in messages, through the account's
 * workflow, and into the log; all the way it is encrypted under the account's key, as text, and it is opened only to be
 * shown. What decides about an account never looks at it.
 */
import type { CommandName } from '../lifecycle';
import { isSealedText, UnreadableValueError, type Cipher } from '../vault';

/** Where free text stands, by the name of its field, in whatever it stands in. */
const noteFields = ['note', 'reason'] as const;
type NoteField = (typeof noteFields)[number];

/** Which fields of a message are free text; a suspension's reason is one of a few words. */
function noteFieldsOf(name: CommandName): readonly NoteField[] {
  return name === 'placeHold' ? ['reason'] : ['note'];
}

/** Whether a message says anything in words of its sender's. */
export function holdsNotes(name: CommandName, body: unknown): boolean {
  return isObject(body) && noteFieldsOf(name).some((field) => typeof body[field] === 'string');
}

/** A message with its free text encrypted, as it is to travel. */
export function sealNotes<B>(cipher: Cipher, name: CommandName, body: B): B {
  return mapFields(body, noteFieldsOf(name), (field, text) => cipher.sealText(text, field));
}

/**
 * A message with its free text opened; what came in the clear is left as it is.
 *
 * @throws {UnreadableValueError} it was not encrypted for this account
 */
export function openMessage<B>(cipher: Cipher, name: CommandName, body: B): B {
  return mapFields(body, noteFieldsOf(name), (field, text) => cipher.openText(text, field));
}

/** Anything with the free text in it opened, however deep. What does not open is left out. */
export function openNotes<T>(cipher: Cipher, value: T): T {
  return walk(value, (field, text) => {
    try {
      return cipher.openText(text, field);
    } catch (error) {
      if (error instanceof UnreadableValueError) return undefined;
      throw error;
    }
  }) as T;
}

/** Anything with the free text in it left out: nobody can open it any more. */
export function withoutNotes<T>(value: T): T {
  return walk(value, () => undefined) as T;
}

function mapFields<B>(body: B, fields: readonly NoteField[], change: (field: NoteField, text: string) => string): B {
  if (!isObject(body)) return body;
  const changed = fields.flatMap((field) => {
    const text = body[field];
    return typeof text === 'string' ? [[field, change(field, text)] as const] : [];
  });
  return { ...body, ...Object.fromEntries(changed) };
}

function walk(value: unknown, open: (field: NoteField, text: string) => string | undefined): unknown {
  if (Array.isArray(value)) return value.map((item) => walk(item, open));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) => {
      if (typeof inner !== 'string' || !isNoteField(name) || !isSealedText(inner)) return [[name, walk(inner, open)]];
      const text = open(name, inner);
      return text === undefined ? [] : [[name, text]];
    }),
  );
}

function isNoteField(name: string): name is NoteField {
  return (noteFields as readonly string[]).includes(name);
}

/** An object of ours, and no date or the like. */
function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // By its place rather than its identity: copies made by the platform have a prototype of their own.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
