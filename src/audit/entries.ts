/** The audit log: who did what to which account, and when (R19). Entries are only ever added. */
import { native } from '../database';
import { randomUUID } from 'node:crypto';
import { Schema, type ClientSession, type Connection, type Model } from 'mongoose';
import type { Actor } from '../lifecycle';

/** An entry as it is stored. It never holds customer content. */
export interface AuditEntryDocument {
  readonly _id: string;
  readonly region: string;
  readonly at: Date;
  readonly actor: Actor;
  /** A dotted verb, such as `account.suspended`. */
  readonly action: string;
  readonly account?: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly requestId?: string;
  /** The account's own counting of its recorded steps; absent for what did not pass through its workflow. */
  readonly seq?: number;
  /** What the workflow calls the step, so that a repeat is told from a contradiction. */
  readonly transitionId?: string;
}

/** What the caller of {@link AuditLog.append} says; the rest is filled in. */
export type NewAuditEntry = Omit<AuditEntryDocument, '_id' | 'region'> & { readonly id?: string };

const schema = new Schema<AuditEntryDocument>(
  {
    _id: { type: String, required: true },
    region: { type: String, required: true },
    at: { type: Date, required: true },
    actor: { type: Schema.Types.Mixed, required: true },
    action: { type: String, required: true },
    account: String,
    details: { type: Schema.Types.Mixed, required: true },
    requestId: String,
    seq: Number,
    transitionId: String,
  },
  { collection: 'auditEntries', versionKey: false, minimize: false, strict: 'throw' },
);
// An account's timeline, oldest first, and the guard that no two steps share a number.
schema.index({ account: 1, at: 1, seq: 1, _id: 1 });
schema.index({ account: 1, seq: 1 }, { unique: true, partialFilterExpression: { seq: { $exists: true } } });
schema.index({ at: 1, _id: 1 });

/** The log of one region's database. */
export interface AuditLog {
  readonly entries: Model<AuditEntryDocument>;
  /** Adds an entry inside the transaction of the effect it describes: without the entry, the act does not happen. */
  append(session: ClientSession, entry: NewAuditEntry): Promise<AuditEntryDocument>;
  /** The entry an account recorded under a number, if any. */
  findStep(session: ClientSession, account: string, seq: number): Promise<AuditEntryDocument | null>;
}

/** Opens the log on a connection. */
export function openAuditLog(connection: Connection, region: string): AuditLog {
  const entries = connection.model<AuditEntryDocument>('AuditEntry', schema);
  return {
    entries,
    async append(session, { id, ...entry }) {
      const document: AuditEntryDocument = { _id: id ?? randomUUID(), region, ...entry };
      await native(entries).insertOne(document, { session });
      return document;
    },
    findStep(session, account, seq) {
      return entries.findOne({ account, seq }, null, { session }).lean<AuditEntryDocument>().exec();
    },
  };
}
