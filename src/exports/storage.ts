/** Where the bytes of archives are kept, whichever product keeps them. */
import type { ClientSession } from 'mongoose';

/**
 * A place for the parts of archives. A part's key is `ACCOUNT:EXPORT/PART`, so that everything of an account, and
 * everything of an export, is found by how its keys begin.
 */
export interface ArchiveStorage {
  readonly kind: 'gridfs' | 's3';
  /**
   * Stores a part, encrypted already, and records that it is stored.
   *
   * @param record runs in a transaction; where it throws the part does not count, and is removed with its export at the
   * latest
   */
  put(key: string, pieces: readonly Uint8Array[], record: (session: ClientSession) => Promise<void>): Promise<void>;
  /** Reads a part as it is stored from `start` up to but not including `end`, in pieces of at most {@link pieceBytes}. */
  read(key: string, start: number, end: number): AsyncIterable<Uint8Array>;
  /**
   * Removes what is kept of one export, in bounded batches, each of them through the deletion gate.
   *
   * @returns whether all of it is gone; `false` where a hold forbids it, or the account is not there any more
   */
  remove(account: string, exportId: string): Promise<boolean>;
  /**
   * Removes everything kept of an account whose erasure has begun, through the deletion gate.
   *
   * @returns how many parts went; nothing where the gate is closed
   */
  removeAll(account: string): Promise<number | undefined>;
  /** How many parts are kept of an account: what the search after an erasure asks (R6). */
  find(account: string): Promise<number>;
  /** The exports of which anything is kept, each at least once. */
  exportsKept(): AsyncIterable<{ readonly account: string; readonly exportId: string }>;
}

/** The most that is sent to a client between two looks at whether it may still have it (R15). */
export const pieceBytes = 255 * 1024;

/** The key of a part. @param attempt tells the parts of one place in the archive from each other */
export function keyOf(account: string, exportId: string, place: number, attempt: string): string {
  return `${prefixOf(account, exportId)}${String(place).padStart(6, '0')}-${attempt}`;
}

/** Which part of its archive a key is of, counting from 0. */
export function placeIn(key: string): number {
  return Number(key.slice(key.lastIndexOf('/') + 1, key.lastIndexOf('-')));
}

/** How all keys of an account begin, or all of one of its exports. */
export function prefixOf(account: string, exportId?: string): string {
  return exportId === undefined ? `${account}:` : `${account}:${exportId}/`;
}

/** What a key says of itself. */
export function ownerOf(key: string): { account: string; exportId: string } {
  const [account = '', rest = ''] = key.split(':');
  return { account, exportId: rest.slice(0, rest.indexOf('/')) };
}
