/**
 * Giving entries their place in the log.
 *
 * 1. An entry waits, staged, from the transaction of its effect until a batch gives it the next position.
 * 2. A batch is one transaction: positions, tiles, and the newest checkpoint, signed once. It writes the one document that says
 *    how large the tree is, so two at a time conflict and the second begins anew. A process that dies in it has done nothing.
 * 3. Nothing is built on what is not as it was signed: the tree's right edge has to give the root of the newest checkpoint.
 */
import { mongo, type ClientSession, type Connection } from 'mongoose';
import { native } from '../database';
import type { Vault } from '../vault';
import {
  hourOf,
  leafOf,
  newest,
  staged,
  type AuditEntryDocument,
  type CheckpointDocument,
  type SequencedEntry,
} from './entries';
import type { AuditLog } from './log';
import { emptyRoot } from './merkle';
import { NoteError, noteKeyOf, openCheckpoint, originOf, signCheckpoint } from './note';
import { grow, growingTiles, rootAt, tileId, TileMissingError, tileWidth, type TileReader } from './tiles';

/** A region's database, as far as the log needs it. */
export interface LogStore {
  readonly connection: Connection;
  readonly region: string;
  readonly vault: Vault;
  readonly audit: AuditLog;
  transaction<T>(work: (session: ClientSession) => Promise<T>): Promise<T>;
  databaseTime(): Promise<Date>;
}

/** The log is not as it was signed. Nothing is added to it until somebody has looked: entries wait. */
export class AuditLogBrokenError extends Error {
  override readonly name = 'AuditLogBrokenError';
}

/** Entries given their places in one transaction, at most. */
const batchSize = 1000;

/** What a batch did. */
export interface Batch {
  /** Entries that got their positions. */
  readonly sequenced: number;
  /** Whether more may be waiting. */
  readonly more: boolean;
}

/**
 * Gives entries that wait their positions, in the order of their times.
 *
 * @throws {AuditLogBrokenError} the log is not as it was signed
 */
export async function sequenceBatch(store: LogStore, limit = batchSize): Promise<Batch> {
  const { entries } = store.audit;
  // Mostly nothing waits, and then no transaction is needed to say so.
  if ((await native(entries).findOne({ tile: staged }, { projection: { _id: 1 } })) === null) {
    return { sequenced: 0, more: false };
  }
  const now = await store.databaseTime();
  return store.transaction(async (session) => {
    const head = await headIn(store, session);
    const waiting = await native(entries).find<AuditEntryDocument>({ tile: staged }, { session, limit }).toArray();
    if (waiting.length === 0) return { sequenced: 0, more: false };
    const sequencedAt = new Date(Math.max(now.getTime(), head?.at.getTime() ?? 0));
    const size = head?.size ?? 0;
    const sequenced = waiting.sort(byTime).map((entry, index): SequencedEntry => {
      const position = size + index;
      return { ...entry, tile: Math.floor(position / tileWidth), position, sequencedAt };
    });
    await native(entries).bulkWrite(
      sequenced.map(({ _id, tile, position }) => ({
        updateOne: { filter: { _id }, update: { $set: { tile, position, sequencedAt } } },
      })),
      { session, ordered: false },
    );
    const root = await addLeaves(store, session, size, sequenced);
    await keepCheckpoint(store, session, { head, size: size + sequenced.length, root, at: sequencedAt });
    return { sequenced: sequenced.length, more: waiting.length === limit };
  });
}

/** By their times; of one account the steps of an instant in their order. */
function byTime(a: AuditEntryDocument, b: AuditEntryDocument): number {
  return a.at.getTime() - b.at.getTime() || (a.seq ?? 0) - (b.seq ?? 0) || (a._id < b._id ? -1 : 1);
}

/** The newest state of the log; nothing where it has no entries. */
async function headIn(store: LogStore, session: ClientSession): Promise<CheckpointDocument | null> {
  const head = await native(store.audit.checkpoints).findOne<CheckpointDocument>({ _id: newest }, { session });
  if (head !== null) await assertAsSigned(store, session, head);
  return head;
}

async function assertAsSigned(store: LogStore, session: ClientSession, head: CheckpointDocument): Promise<void> {
  const root = Buffer.from(head.root.value());
  try {
    const origin = originOf(store.region);
    const keys = (await store.vault.publicKeys()).map((key) => noteKeyOf(origin, key));
    const signed = openCheckpoint(head.note, origin, keys);
    if (signed.size !== head.size || !signed.root.equals(root) || signed.at.getTime() !== head.at.getTime()) {
      throw new AuditLogBrokenError(`the head of the audit log is not what was signed at size ${signed.size}`);
    }
    if (!(await rootAt(head.size, tileReader(store.audit, session))).equals(root)) {
      throw new AuditLogBrokenError(
        `the tiles of the audit log do not give the root that was signed at size ${head.size}`,
      );
    }
  } catch (error) {
    if (error instanceof NoteError || error instanceof TileMissingError) {
      throw new AuditLogBrokenError(`the audit log is not as it was signed: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** Reads tiles from the database. */
export function tileReader({ tiles }: AuditLog, session?: ClientSession): TileReader {
  return async (ids) => {
    const found = await native(tiles)
      .find({ _id: { $in: [...ids] } }, session === undefined ? {} : { session })
      .toArray();
    return new Map(found.map(({ _id, hashes }): [string, Buffer] => [_id, Buffer.from(hashes.value())]));
  };
}

/** Adds the leaves of a batch to the tiles. @returns the root of the tree with them */
async function addLeaves(
  { audit }: LogStore,
  session: ClientSession,
  size: number,
  added: readonly SequencedEntry[],
): Promise<Buffer> {
  const tiles = native(audit.tiles);
  const ids = growingTiles(size).map(tileId);
  const known = await tiles.find({ _id: { $in: ids } }, { session }).toArray();
  const growing = new Map(known.map(({ _id, hashes }): [string, Buffer] => [_id, Buffer.from(hashes.value())]));
  const grown = grow(size, growing, added.map(leafOf));
  for (const [id, { level, index, hashes }] of grown) {
    const before = known.find(({ _id }) => _id === id);
    const more = added.filter(({ tile }) => tile === index).map(({ _id }) => _id);
    const change = {
      hashes: new mongo.Binary(hashes),
      ...(level === 0 ? { entries: [...(before?.entries ?? []), ...more] } : {}),
    };
    if (before === undefined) await tiles.insertOne({ _id: id, level, index, ...change }, { session });
    else await tiles.updateOne({ _id: id }, { $set: change }, { session });
  }
  const now = new Map([...growing, ...[...grown].map(([id, { hashes }]): [string, Buffer] => [id, hashes])]);
  return rootAt(size + added.length, (wanted) =>
    Promise.resolve(new Map([...now].filter(([id]) => wanted.includes(id)))),
  );
}

interface NewState {
  readonly head: CheckpointDocument | null;
  readonly size: number;
  readonly root: Buffer;
  readonly at: Date;
}

/** Signs the log's new state, and keeps it as the newest and as the last one of its hour. */
async function keepCheckpoint(
  store: LogStore,
  session: ClientSession,
  { head, size, root, at }: NewState,
): Promise<void> {
  const checkpoints = native(store.audit.checkpoints);
  const note = signCheckpoint({ origin: originOf(store.region), size, root, at }, await store.vault.signer());
  const state = { size, root: new mongo.Binary(root), at, note };
  if (head === null) await checkpoints.insertOne({ _id: newest, ...state, start: 0 }, { session });
  else await checkpoints.updateOne({ _id: newest }, { $set: state }, { session });
  const hour = hourOf(at);
  const known = await checkpoints.findOne({ _id: hour }, { session, projection: { _id: 1 } });
  if (known === null) await checkpoints.insertOne({ _id: hour, ...state }, { session });
  else await checkpoints.updateOne({ _id: hour }, { $set: state }, { session });
}

/** The log's newest state, as it is signed; of a log without entries too. */
export async function newestCheckpoint(store: LogStore): Promise<string> {
  const head = await native(store.audit.checkpoints).findOne<CheckpointDocument>({ _id: newest });
  if (head !== null) return head.note;
  const at = await store.databaseTime();
  return signCheckpoint({ origin: originOf(store.region), size: 0, root: emptyRoot, at }, await store.vault.signer());
}

/** The log's newest state; nothing where it has no entries. */
export async function newestState({ audit, region }: LogStore) {
  const head = await native(audit.checkpoints).findOne<CheckpointDocument>({ _id: newest });
  return head === null ? undefined : { origin: originOf(region), size: head.size, at: head.at, note: head.note };
}
