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
  /** An entry that is neither in a tile of the log nor waiting for its place. */
  stray(): Promise<AuditEntryDocument | undefined>;
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
    entriesIn: (wanted) => entries.find<AuditEntryDocument>({ tile: { $in: [...wanted] } }).toArray(),
    entry: (id) => entries.findOne<AuditEntryDocument>({ _id: id }),
    async *checkpoints() {
      // The hours sort as the sizes do.
      for await (const found of checkpoints.find<CheckpointDocument>({}).sort({ _id: 1 })) {
        if (found._id !== newest) yield found;
      }
    },
    async stray() {
      const size = (await head())?.size ?? 0;
      // Those that got their places after that are looked for in vain, and found to be in order.
      const last = Math.floor(size / tileWidth) + tilesAhead;
      const projection = { tile: 1, position: 1 };
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

/** How far the log may have grown while it is looked through: a million entries. */
const tilesAhead = 4096;
