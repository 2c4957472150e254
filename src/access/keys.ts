/** API keys as they are stored: never the key itself. */
import { Schema, type Connection, type Model } from 'mongoose';
import type { Sealed } from '../data';
import type { Role } from '../lifecycle';
import type { Scope } from './principal';

/** A key. */
export interface ApiKeyDocument {
  readonly _id: string;
  /** A customer's under the account's key, any other under the staff's. */
  readonly name?: Sealed<string>;
  readonly role: Role;
  /** The account of a customer's key. */
  readonly account?: string;
  /** What it was given expressly. A key stored before there were scopes has none. */
  readonly scopes?: readonly Scope[];
  /** SHA-256 of the key, in hexadecimal. */
  readonly hash: string;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt?: Date;
  readonly revokedAt?: Date;
  /** The key it took over from, and the one that took over from it. */
  readonly rotatedFrom?: string;
  readonly rotatedTo?: string;
}

const schema = new Schema<ApiKeyDocument>(
  {
    _id: { type: String, required: true },
    name: Schema.Types.Mixed,
    role: { type: String, required: true },
    account: String,
    scopes: { type: [String], default: undefined },
    hash: { type: String, required: true },
    createdAt: { type: Date, required: true },
    createdBy: { type: String, required: true },
    expiresAt: Date,
    revokedAt: Date,
    rotatedFrom: String,
    rotatedTo: String,
  },
  { collection: 'apiKeys', versionKey: false, minimize: false, strict: 'throw' },
);
schema.index({ hash: 1 }, { unique: true });
// An account's keys go with it.
schema.index({ account: 1 }, { sparse: true });

const modelName = 'ApiKey';

/** The keys of a database. Call it before the database is prepared, so that its indexes are made. Safe to repeat. */
export function registerKeys(connection: Connection): Model<ApiKeyDocument> {
  const known = connection.models[modelName] as Model<ApiKeyDocument> | undefined;
  return known ?? connection.model<ApiKeyDocument>(modelName, schema);
}
