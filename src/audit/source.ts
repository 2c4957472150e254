/** Where a verification reads the log from. Nothing it reads is believed. */
import type { Connection } from 'mongoose';
import { native } from '../database';
import {
  auditModelsOn,
  newest,
  staged,
  type AuditEntryDocument,
  type CheckpointDocument,
  type TileDocument,
} from './entries';
import { originOf } from './note';
import { tileWidth } from './tiles';

/** A log to be verified. */
export interface LogSource {
  readonly origin: string;
  head(): Promise<CheckpointDocument | null>;
  /** The tiles with these ids, as far as they are there. */
  tiles(ids: readonly string[]): Promise<readonly TileDocument[]>;
  /** Every entry that says it is in one of these tiles of level 0. */
  entriesIn(tiles: readonly number[]): Promise<readonly AuditEntryDocument[]>;
  entry(id: string): Promise<AuditEntryDocument | null>;
  /** The checkpoints that were kept, the smallest tree first. */
  checkpoints(): AsyncIterable<CheckpointDocument>;
  /**
   * An entry that is neither in a tile of the log nor waiting for its place.
   *
   * @param verified how many entries were found in their places: where there are no others, none need be looked at again
   */
  stray(verified: number): Promise<AuditEntryDocument | undefined>;
}

/** The log in a region's database. Reads, and never writes. */
export function sourceIn(connection: Connection, region: string): LogSource {
  const models = auditModelsOn(connection);
  const entries = native(models.entries);
  const tiles = native(models.tiles);
  const checkpoints = native(models.checkpoints);
  const head = () => checkpoints.findOne<CheckpointDocument>({ _id: newest });
  return {
    origin: originOf(region),
    head,
    tiles: (ids) => tiles.find<TileDocument>({ _id: { $in: [...ids] } }).toArray(),
    entriesIn: (wanted) =>
      // All of them in one answer.
      entries.find<AuditEntryDocument>({ tile: { $in: [...wanted] } }, { batchSize: mostEntries }).toArray(),
    entry: (id) => entries.findOne<AuditEntryDocument>({ _id: id }),
    async *checkpoints() {
      // The hours sort as the sizes do.
      for await (const found of checkpoints.find<CheckpointDocument>({}).sort({ _id: 1 })) {
        if (found._id !== newest) yield found;
      }
    },
    async stray(verified) {
      const projection = { tile: 1, position: 1 };
      const waiting = await entries.find<AuditEntryDocument>({ tile: staged }, { projection }).toArray();
      const placed = waiting.find(({ position }) => position !== undefined);
      if (placed !== undefined) return placed;
      // In this order: what comes in between can make it look like more, and never like less.
      if ((await entries.countDocuments({})) === verified + waiting.length) return undefined;
      const size = (await head())?.size ?? 0;
      // Those that got their places after that are looked for in vain, and found to be in order.
      const last = Math.floor(size / tileWidth) + tilesAhead;
      for await (const found of entries.find<AuditEntryDocument>({}, { projection })) {
        const { tile, position } = found;
        if (tile === staged && position === undefined) continue;
        if (!Number.isInteger(tile) || tile < 0 || tile > last || Math.floor((position ?? -1) / tileWidth) !== tile) {
          return found;
        }
      }
      return undefined;
    },
  };
}

/** Entries in one answer, where there are no more bytes than one may have. */
const mostEntries = 100_000;

/** How far the log may have grown while it is looked through: a million entries. */
const tilesAhead = 4096;
