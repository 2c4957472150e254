/**
 * Entries as they are stored. What a leaf of the tree is made of is public: it names accounts by pseudonym and persons not
 * at all. What names them lies beside it; see `parts.ts`.
 */
import { Schema, type Connection, type mongo } from 'mongoose';
import type { Actor } from '../lifecycle';
import { canonicalJson } from './canonical';
import { leafHash } from './merkle';

/** An entry as it is stored. It never holds customer content. */
export interface AuditEntryDocument {
  /** Of an account's step a keyed hash of the account and the number, of any other entry random. */
  readonly _id: string;
  readonly region: string;
  readonly at: Date;
  /** What kind of actor it was. Its id is here only where that is not a person's. */
  readonly actor: { readonly type: Actor['type']; readonly role?: Actor['role']; readonly id?: string };
  /** A dotted verb, such as `account.suspended`. */
  readonly action: string;
  /** The pseudonym of the account it concerns. */
  readonly subject?: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly requestId?: string;
  /** The account's own counting of its recorded steps; absent for what did not pass through its workflow. */
  readonly seq?: number;
  /** What the workflow calls the step, so that a repeat is told from a contradiction. */
  readonly transitionId?: string;
  /** A blind index of the actor: a customer's under the account's key, any other under the deployment's. */
  readonly actorIndex?: string;
  /** To the parts below; see `parts.ts`. */
  readonly commitments: { readonly customer?: string; readonly staff?: string };
  readonly customer?: mongo.Binary;
  readonly staff?: mongo.Binary;
  /** The tile of the tree it is in, or {@link staged}. */
  readonly tile: number;
  /** Its index in the tree, once it has one. */
  readonly position?: number;
  /** When it got that, by the database's clock. */
  readonly sequencedAt?: Date;
}

/** An entry that has its place in the log. */
export type SequencedEntry = AuditEntryDocument & Required<Pick<AuditEntryDocument, 'position' | 'sequencedAt'>>;

/** The entry that says that others have passed the log's retention; its details say before which position. */
export const prunedAction = 'audit.pruned';

/** The tile of an entry that waits for its position. */
export const staged = -1;

const entrySchema = new Schema<AuditEntryDocument>(
  {
    _id: { type: String, required: true },
    region: { type: String, required: true },
    at: { type: Date, required: true },
    actor: { type: Schema.Types.Mixed, required: true },
    action: { type: String, required: true },
    subject: String,
    details: { type: Schema.Types.Mixed, required: true },
    requestId: String,
    seq: Number,
    transitionId: String,
    actorIndex: String,
    commitments: { type: Schema.Types.Mixed, required: true },
    customer: Buffer,
    staff: Buffer,
    tile: { type: Number, required: true },
    position: Number,
    sequencedAt: Date,
  },
  { collection: 'auditEntries', versionKey: false, minimize: false, strict: 'throw' },
);
// An account's timeline, oldest first. No two of its steps share a number because they would share an id.
entrySchema.index({ subject: 1, at: 1, seq: 1, _id: 1 });
entrySchema.index({ at: 1, _id: 1 });
entrySchema.index({ actorIndex: 1, at: 1 }, { sparse: true });
// One index finds what waits for a position, and what a tile holds.
entrySchema.index({ tile: 1 });

/** A tile of the tree; see `tiles.ts`. Its id is `LEVEL/INDEX`. */
export interface TileDocument {
  readonly _id: string;
  readonly level: number;
  readonly index: number;
  readonly hashes: mongo.Binary;
  /** The ids of the entries in a tile of level 0, in order. */
  readonly entries?: readonly string[];
}

const tileSchema = new Schema<TileDocument>(
  {
    _id: { type: String, required: true },
    level: { type: Number, required: true },
    index: { type: Number, required: true },
    hashes: { type: Buffer, required: true },
    entries: { type: [String], default: undefined },
  },
  { collection: 'auditTiles', versionKey: false, strict: 'throw' },
);

/** The state of the log: the newest one, by the id {@link newest}, and the last one of each hour, by the hour. */
export interface CheckpointDocument {
  readonly _id: string;
  readonly size: number;
  readonly root: mongo.Binary;
  readonly at: Date;
  /** What was signed. */
  readonly note: string;
  /** Entries before this position have passed the log's retention; of the newest alone. */
  readonly start?: number;
  /** Entries before this position are deleted; of the newest alone. */
  readonly pruned?: number;
}

/** The hour a checkpoint is kept under. */
export function hourOf(at: Date): string {
  return at.toISOString().slice(0, 'YYYY-MM-DDTHH'.length);
}

/** The id of the log's newest state. */
export const newest = 'newest';

const checkpointSchema = new Schema<CheckpointDocument>(
  {
    _id: { type: String, required: true },
    size: { type: Number, required: true },
    root: { type: Buffer, required: true },
    at: { type: Date, required: true },
    note: { type: String, required: true },
    start: Number,
    pruned: Number,
  },
  { collection: 'auditCheckpoints', versionKey: false, strict: 'throw' },
);

/** The models of the log on a connection. */
export function auditModelsOn(connection: Connection) {
  return {
    entries: connection.model<AuditEntryDocument>('AuditEntry', entrySchema),
    tiles: connection.model<TileDocument>('AuditTile', tileSchema),
    checkpoints: connection.model<CheckpointDocument>('AuditCheckpoint', checkpointSchema),
  } as const;
}

/** Whether an entry has its place. */
export function isSequenced(entry: AuditEntryDocument): entry is SequencedEntry {
  return entry.position !== undefined && entry.sequencedAt !== undefined;
}

/** What a leaf says, as canonical JSON: everything of an entry but its encrypted parts. */
export function leafText(entry: SequencedEntry): string {
  const { _id, customer: _customer, staff: _staff, tile: _tile, ...rest } = entry;
  return canonicalJson({ id: _id, ...rest });
}

/** The hash an entry is in the tree by. */
export function leafOf(entry: SequencedEntry): Buffer {
  return leafHash(leafText(entry));
}
