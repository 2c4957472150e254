/** Exports as they are stored, and where their files lie when GridFS keeps them. The data map declares every field. */
import { Schema, type Connection, type Model } from 'mongoose';

/** What has become of an export. An expired one is told to clients as withdrawn, with that reason. */
export type ExportStatus = 'running' | 'ready' | 'failed' | 'withdrawn' | 'expired';

/** A stretch of an archive as it is stored: one gzip member of one data set, or the manifest. */
export interface StoredPart {
  /** What the storage knows it by: `ACCOUNT:EXPORT/PART`. */
  readonly key: string;
  readonly dataset: string;
  /** Before it is encrypted; see `sealed-part.ts`. */
  readonly bytes: number;
  readonly records: number;
}

/** A finished file of an archive. */
export interface ExportFile {
  readonly name: string;
  readonly dataset: string;
  readonly records: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** Up to where the parts reach: everything before is stored. */
export interface ExportCursor {
  /** The place of the data set in {@link ExportDocument.datasets}. */
  readonly set: number;
  /** The last record stored of it; absent where it begins. */
  readonly after?: { readonly at?: Date; readonly id: string };
}

/** An export, from its request to its end. */
export interface ExportDocument {
  readonly _id: string;
  readonly account: string;
  /** The id of who asked for it. */
  readonly requestedBy: string;
  readonly at: Date;
  readonly status: ExportStatus;
  /** A word that says why it failed or was taken back. */
  readonly reason?: string;
  /** The data sets it takes, in the data map's order. */
  readonly datasets: readonly string[];
  readonly from?: Date;
  /** Exclusive. What comes in later with an earlier time may be left out. */
  readonly to: Date;
  /** Records of the four categories written and counted, and when that last moved on. */
  readonly progress: { readonly done: number; readonly total?: number; readonly at: Date };
  readonly cursor: ExportCursor;
  readonly parts: readonly StoredPart[];
  /** Present once it is ready. */
  readonly files?: readonly ExportFile[];
  /** What is written so far; of the whole archive once it is ready. Not counting what encryption adds. */
  readonly bytes: number;
  /** Records of the four categories. */
  readonly records: number;
  /** Of the whole archive. */
  readonly sha256?: string;
  readonly storage: string;
  readonly readyAt?: Date;
  readonly expiresAt?: Date;
  readonly endedAt?: Date;
  /** Present while the storage may hold bytes of it. */
  readonly stored?: true;
}

/** A file of GridFS. Its `_id` is the part's key. */
export interface ArchiveFileDocument {
  readonly _id: string;
  readonly length: number;
  readonly chunkSize: number;
  readonly uploadDate: Date;
  readonly filename: string;
}

const plain = { versionKey: false, minimize: false, strict: 'throw' } as const;

const exportSchema = new Schema<ExportDocument>(
  {
    _id: { type: String, required: true },
    account: { type: String, required: true },
    requestedBy: { type: String, required: true },
    at: { type: Date, required: true },
    status: { type: String, required: true },
    reason: String,
    datasets: { type: Schema.Types.Mixed, required: true },
    from: Date,
    to: { type: Date, required: true },
    progress: { type: Schema.Types.Mixed, required: true },
    cursor: { type: Schema.Types.Mixed, required: true },
    parts: { type: Schema.Types.Mixed, required: true },
    files: { type: Schema.Types.Mixed },
    bytes: { type: Number, required: true },
    records: { type: Number, required: true },
    sha256: String,
    storage: { type: String, required: true },
    readyAt: Date,
    expiresAt: Date,
    endedAt: Date,
    stored: Boolean,
  },
  { ...plain, collection: 'exports' },
);
// An account's list, newest first; and for the sweep what still takes room, by what has become of it.
exportSchema.index({ account: 1, at: -1, _id: -1 });
exportSchema.index({ status: 1, _id: 1 }, { partialFilterExpression: { stored: true } });

const fileSchema = new Schema<ArchiveFileDocument>(
  {
    _id: { type: String, required: true },
    length: { type: Number, required: true },
    chunkSize: { type: Number, required: true },
    uploadDate: { type: Date, required: true },
    filename: { type: String, required: true },
  },
  { ...plain, collection: 'archives.files' },
);

/** A chunk of a file, as GridFS lays it out. */
export interface ArchiveChunkDocument {
  readonly files_id: string;
  readonly n: number;
  readonly data: Buffer;
}

const chunkSchema = new Schema<ArchiveChunkDocument>(
  {
    files_id: { type: String, required: true },
    n: { type: Number, required: true },
    data: { type: Buffer, required: true },
  },
  { ...plain, collection: 'archives.chunks' },
);
// Reads a file in order; by the beginning of `files_id` everything of an account or of an export is found.
chunkSchema.index({ files_id: 1, n: 1 }, { unique: true });

/** The collections of exports on a connection. */
export interface ExportModels {
  readonly exports: Model<ExportDocument>;
  readonly files: Model<ArchiveFileDocument>;
  readonly chunks: Model<ArchiveChunkDocument>;
}

/** The exports of a database. Call it before the database is prepared, so that its indexes are made. Safe to repeat. */
export function registerExports(connection: Connection): ExportModels {
  return {
    exports: modelOn(connection, 'Export', exportSchema),
    files: modelOn(connection, 'ArchiveFile', fileSchema),
    chunks: modelOn(connection, 'ArchiveChunk', chunkSchema),
  };
}

function modelOn<T>(connection: Connection, name: string, schema: Schema<T>): Model<T> {
  const known = connection.models[name] as Model<T> | undefined;
  return known ?? connection.model<T>(name, schema);
}
