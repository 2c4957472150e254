/**
 * Cursors: where a page ended, opaque to clients. Each says which list it belongs to and carries a checksum, so that one
 * that was altered or taken from another list is refused instead of answered with something odd.
 */
import { hash } from 'node:crypto';
import type { z } from 'zod';
import { invalid } from './problems';

const checksumLength = 8;

/** Writes a cursor for a list. */
export function cursorFor(list: string, position: readonly (string | number | null)[]): string {
  const payload = Buffer.from(JSON.stringify(position)).toString('base64url');
  return `${payload}${checksumOf(list, payload)}`;
}

/** Reads a cursor of a list. @throws {Problem} it is none */
export function positionIn<S extends z.ZodType>(
  list: string,
  cursor: string | undefined,
  schema: S,
): z.output<S> | undefined {
  if (cursor === undefined) return undefined;
  const payload = cursor.slice(0, -checksumLength);
  if (cursor !== `${payload}${checksumOf(list, payload)}`) throw wrongCursor();
  try {
    return schema.parse(JSON.parse(Buffer.from(payload, 'base64url').toString()));
  } catch {
    throw wrongCursor();
  }
}

/** A page, from one item more than it holds. */
export function pageOf<T, R>(
  found: readonly T[],
  limit: number,
  list: string,
  position: (item: T) => readonly (string | number | null)[],
  represent: (item: T) => R,
): { items: R[]; nextCursor: string | null } {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  const more = found.length > limit && last !== undefined;
  return { items: items.map(represent), nextCursor: more ? cursorFor(list, position(last)) : null };
}

function checksumOf(list: string, payload: string): string {
  return hash('sha256', `${list}\n${payload}`, 'base64url').slice(0, checksumLength);
}

function wrongCursor() {
  return invalid([{ path: 'cursor', detail: 'is not a cursor of this list' }]);
}
