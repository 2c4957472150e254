/** The database as this product sees it: its collections, their shapes and indexes, and transactions. */
import mongoose, { Schema, type ClientSession, type Connection, type Model } from 'mongoose';
import { openAuditLog, type AuditLog } from '../audit';
import type { AccountState, Deadline, Lifecycle, Plan } from '../lifecycle';
import { categories, type Category } from './data-sets';

/** How far an erasure has come. */
export interface ErasureProgress {
  readonly since: Date;
  readonly done: number;
  readonly total: number;
  /** Records erased so far, by data set. */
  readonly sets: Readonly<Record<string, number>>;
  /** A hold was placed since erasure last began: it has to begin anew, after the notice, before anything more goes (R9). */
  readonly halted?: true;
}

/** A stretch of time in which an account was not active; data of that time is not kept (R15). */
export interface Inactivity {
  readonly from: Date;
  readonly to?: Date;
}

/** An account, or the tombstone it leaves. */
export interface AccountDocument {
  readonly _id: string;
  readonly region: string;
  readonly name?: string;
  readonly email?: string;
  readonly plan?: Plan;
  readonly locale?: 'en' | 'de';
  readonly state: AccountState;
  readonly since: Date;
  readonly deadline?: { readonly action: Deadline['action']; readonly at: Date };
  /** The workflow's own state, as of step `seq`. */
  readonly lifecycle: Lifecycle;
  readonly inactive: readonly Inactivity[];
  readonly erasing?: ErasureProgress;
  /** Events refused because the account is erased or being erased (R15). */
  readonly lateRefused?: number;
  /** The number of the last recorded step. */
  readonly seq: number;
  /** Counts every change, of the course or of the profile; the API's `ETag`. */
  readonly version: number;
  readonly createdAt: Date;
  readonly erasedAt?: Date;
}

/** What a new account will carry, until its workflow has begun. */
export interface AccountDraft {
  readonly _id: string;
  readonly account: string;
  readonly name: string;
  readonly email: string;
  readonly plan: Plan;
  readonly locale: 'en' | 'de';
  readonly createdAt: Date;
}

/** One part of one request a customer made. Its `_id` is `ACCOUNT:CALL`, which is what makes ingest idempotent. */
export interface RecordDocument {
  readonly _id: string;
  readonly account: string;
  readonly callId: string;
  readonly at: Date;
  readonly model?: string;
  readonly user?: string;
  readonly body: unknown;
}

/** Opened while records may be written for an account, closed when its erasure begins. Counts what came to it. */
export interface GateDocument {
  readonly _id: string;
  readonly open: boolean;
  /** Transactions that wrote records. */
  readonly passed: number;
  /** Events left out because they happened while the account was not active (R15). */
  readonly discarded?: number;
  /** Events refused since its erasure began (R15). */
  readonly refused?: number;
}

/** The settings' own id: none an account could have, so that no search for an account finds it. */
export const settingsId = '/policy';

/** The deployment's defaults where they were changed at run time. */
export interface SettingsDocument {
  readonly _id: typeof settingsId;
  readonly gracePeriod?: string;
  readonly expiryPeriod?: string;
  readonly version: number;
}

const plain = { versionKey: false, minimize: false, strict: 'throw' } as const;

const accountSchema = new Schema<AccountDocument>(
  {
    _id: { type: String, required: true },
    region: { type: String, required: true },
    name: String,
    email: String,
    plan: String,
    locale: String,
    state: { type: String, required: true },
    since: { type: Date, required: true },
    deadline: { type: new Schema({ action: String, at: Date }, { _id: false }) },
    lifecycle: { type: Schema.Types.Mixed, required: true },
    inactive: { type: Schema.Types.Mixed, required: true },
    erasing: Schema.Types.Mixed,
    lateRefused: Number,
    seq: { type: Number, required: true },
    version: { type: Number, required: true },
    createdAt: { type: Date, required: true },
    erasedAt: Date,
  },
  { ...plain, collection: 'accounts' },
);
// Lists go by id; the other indexes serve their filters: state, plan, what is due, exact name and e-mail.
accountSchema.index({ state: 1, _id: 1 });
accountSchema.index({ 'deadline.at': 1, _id: 1 }, { partialFilterExpression: { 'deadline.at': { $exists: true } } });
accountSchema.index({ plan: 1, _id: 1 });
accountSchema.index({ name: 1 });
accountSchema.index({ email: 1 });

/** Drafts whose workflow never began go after a day. A workflow that begins later finds none and gives up. */
const draftLifeSeconds = 24 * 60 * 60;
const draftSchema = new Schema<AccountDraft>(
  {
    _id: { type: String, required: true },
    account: { type: String, required: true },
    name: { type: String, required: true },
    email: { type: String, required: true },
    plan: { type: String, required: true },
    locale: { type: String, required: true },
    createdAt: { type: Date, required: true },
  },
  { ...plain, collection: 'accountDrafts' },
);
draftSchema.index({ createdAt: 1 }, { expireAfterSeconds: draftLifeSeconds });
draftSchema.index({ account: 1 });

const gateSchema = new Schema<GateDocument>(
  {
    _id: { type: String, required: true },
    open: { type: Boolean, required: true },
    passed: { type: Number, required: true },
    discarded: Number,
    refused: Number,
  },
  { ...plain, collection: 'gates' },
);

const settingsSchema = new Schema<SettingsDocument>(
  {
    _id: { type: String, required: true },
    gracePeriod: String,
    expiryPeriod: String,
    version: { type: Number, required: true },
  },
  { ...plain, collection: 'settings' },
);

function recordSchema(collection: Category): Schema<RecordDocument> {
  const schema = new Schema<RecordDocument>(
    {
      _id: { type: String, required: true },
      account: { type: String, required: true },
      callId: { type: String, required: true },
      at: { type: Date, required: true },
      model: String,
      user: String,
      body: Schema.Types.Mixed,
    },
    { ...plain, collection },
  );
  // Reads go newest first; erasure and purge go by stretches of time.
  schema.index({ account: 1, at: 1, _id: -1 });
  return schema;
}

/** One region's database. */
export interface Store {
  readonly connection: Connection;
  readonly region: string;
  readonly accounts: Model<AccountDocument>;
  readonly drafts: Model<AccountDraft>;
  readonly gates: Model<GateDocument>;
  readonly settings: Model<SettingsDocument>;
  readonly records: Readonly<Record<Category, Model<RecordDocument>>>;
  readonly audit: AuditLog;
  /**
   * Runs several writes as one. Repeats `work` after a conflict with another transaction, so `work` must not have
   * effects outside of it. Errors of ours end it without effect.
   */
  transaction<T>(work: (session: ClientSession) => Promise<T>): Promise<T>;
}

export interface StoreOptions {
  readonly uri: string;
  readonly region: string;
  /** How long to look for a server before saying that there is none, in milliseconds. @default 2000 */
  readonly selectionTimeout?: number;
  /** How long one operation may take before its connection is given up, in milliseconds. */
  readonly socketTimeout?: number;
  readonly appName?: string;
}

/** Connects to the database. The connection recovers by itself after the server went away and came back. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const connection = mongoose.createConnection(options.uri, {
    serverSelectionTimeoutMS: options.selectionTimeout ?? 2000,
    heartbeatFrequencyMS: 1000,
    connectTimeoutMS: 2000,
    appName: options.appName ?? 'ablauf',
    writeConcern: { w: 'majority', journal: true },
    autoIndex: false,
    autoCreate: false,
    bufferCommands: false,
    ...(options.socketTimeout === undefined ? {} : { socketTimeoutMS: options.socketTimeout }),
  });
  await connection.asPromise();
  return storeOn(connection, options.region);
}

/** An account or its tombstone, whole; inside a transaction where a session is given. */
export function findAccount(store: Store, id: string, session?: ClientSession): Promise<AccountDocument | null> {
  return store.accounts
    .findById(id, null, session === undefined ? {} : { session })
    .lean<AccountDocument>()
    .exec();
}

/** The store on an open connection. */
function storeOn(connection: Connection, region: string): Store {
  const records = Object.fromEntries(
    categories.map((category) => [
      category,
      connection.model<RecordDocument>(`Record_${category}`, recordSchema(category)),
    ]),
  ) as Record<Category, Model<RecordDocument>>;
  return {
    connection,
    region,
    accounts: connection.model<AccountDocument>('Account', accountSchema),
    drafts: connection.model<AccountDraft>('AccountDraft', draftSchema),
    gates: connection.model<GateDocument>('Gate', gateSchema),
    settings: connection.model<SettingsDocument>('Settings', settingsSchema),
    records,
    audit: openAuditLog(connection, region),
    transaction: (work) =>
      connection.getClient().withSession((session) =>
        session.withTransaction(() => work(session), {
          readConcern: { level: 'snapshot' },
          writeConcern: { w: 'majority', journal: true },
        }),
      ),
  };
}

/** Creates what is missing: collections (a transaction must not create them) and their indexes. Safe to repeat. */
export async function prepareStore(store: Store): Promise<void> {
  for (const model of Object.values(store.connection.models)) {
    await model.createCollection();
    await model.createIndexes();
  }
}
