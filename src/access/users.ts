/** People who have signed in. A person is known by their provider's issuer and subject, of which only a keyed hash is stored. */
import { Schema, type Connection, type Model } from 'mongoose';
import type { Sealed } from '../data';
import type { Role } from '../lifecycle';
import type { Cipher } from '../vault';

/** A person. */
export interface UserDocument {
  readonly _id: string;
  /** The provider they signed in with. */
  readonly provider: string;
  /** As the provider calls them; a customer's under the account's key, any other under the staff's. */
  readonly name?: Sealed<string>;
  readonly email?: Sealed<string>;
  /** What the provider's claims made them when they last signed in. */
  readonly role: Role;
  /** A customer's account. */
  readonly account?: string;
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
  /** Since when they may not sign in. */
  readonly blockedAt?: Date;
}

const schema = new Schema<UserDocument>(
  {
    _id: { type: String, required: true },
    provider: { type: String, required: true },
    name: Schema.Types.Mixed,
    email: Schema.Types.Mixed,
    role: { type: String, required: true },
    account: String,
    firstSeenAt: { type: Date, required: true },
    lastSeenAt: { type: Date, required: true },
    blockedAt: Date,
  },
  { collection: 'users', versionKey: false, minimize: false, strict: 'throw' },
);
// A customer's people go with their account.
schema.index({ account: 1 }, { sparse: true });

const modelName = 'User';

/** The people of a database. Call it before the database is prepared. Safe to repeat. */
export function registerUsers(connection: Connection): Model<UserDocument> {
  const known = connection.models[modelName] as Model<UserDocument> | undefined;
  return known ?? connection.model<UserDocument>(modelName, schema);
}

/**
 * The id of whoever an issuer calls by this name. The same person has the same one, and nobody without the key can tell who it is.
 *
 * @param lookups the cipher of blind indexes over all accounts
 */
export function userIdOf(lookups: Cipher, issuer: string, subject: string): string {
  return `usr_${lookups.index('user', `${issuer}\n${subject}`)}`;
}
