/** Sessions as they are stored: never what opens one. And what has been used and may not be used again. */
import { Schema, type Connection, type Model } from 'mongoose';
import type { Sealed } from '../data';
import type { Role } from '../lifecycle';

/** A person signed in somewhere. It goes when it ends. */
export interface SessionDocument {
  /** Names it to its person and to administrators. It opens nothing. */
  readonly _id: string;
  readonly user: string;
  readonly role: Role;
  /** The account of a customer's session. */
  readonly account?: string;
  readonly provider: string;
  /** SHA-256 of its token, in hexadecimal. */
  readonly hash: string;
  /** A blind index of the provider's own session, where it has said which. */
  readonly providerSession?: string;
  /** What the provider wants to be shown when the person signs out. */
  readonly idToken: Sealed<string>;
  /** When the person last proved to their provider who they are. */
  readonly authenticatedAt: Date;
  /** The last use, to the minute, and where from and what with. */
  readonly usedAt: Date;
  readonly address?: Sealed<string>;
  readonly userAgent?: Sealed<string>;
  /** When it ends however much it is used. */
  readonly endsAt: Date;
  /** When it ends if it is not used again. */
  readonly until: Date;
}

/** Something that counts once: a completed sign-in, a provider's word that somebody signed out. */
export interface SpentDocument {
  /** A hash of what it was. */
  readonly _id: string;
  /** From when on its own time is over, so that it need not be remembered. */
  readonly until: Date;
}

const plain = { versionKey: false, minimize: false, strict: 'throw' } as const;

const sessionSchema = new Schema<SessionDocument>(
  {
    _id: { type: String, required: true },
    user: { type: String, required: true },
    role: { type: String, required: true },
    account: String,
    provider: { type: String, required: true },
    hash: { type: String, required: true },
    providerSession: String,
    idToken: { type: Schema.Types.Mixed, required: true },
    authenticatedAt: { type: Date, required: true },
    usedAt: { type: Date, required: true },
    address: Schema.Types.Mixed,
    userAgent: Schema.Types.Mixed,
    endsAt: { type: Date, required: true },
    until: { type: Date, required: true },
  },
  { ...plain, collection: 'sessions' },
);
sessionSchema.index({ hash: 1 }, { unique: true });
sessionSchema.index({ user: 1 });
// A customer's sessions go with the account.
sessionSchema.index({ account: 1 }, { sparse: true });
sessionSchema.index({ providerSession: 1 }, { sparse: true });
// One that is over opens nothing from that moment on; that its document goes may take the server a minute.
sessionSchema.index({ until: 1 }, { expireAfterSeconds: 0 });

const spentSchema = new Schema<SpentDocument>(
  { _id: { type: String, required: true }, until: { type: Date, required: true } },
  { ...plain, collection: 'spentSignIns' },
);
spentSchema.index({ until: 1 }, { expireAfterSeconds: 0 });

/** The collections. */
export interface SessionModels {
  readonly sessions: Model<SessionDocument>;
  readonly spent: Model<SpentDocument>;
}

/** The sessions of a database. Call it before the database is prepared, so that its indexes are made. Safe to repeat. */
export function registerSessions(connection: Connection): SessionModels {
  return {
    sessions:
      (connection.models['Session'] as Model<SessionDocument> | undefined) ??
      connection.model<SessionDocument>('Session', sessionSchema),
    spent:
      (connection.models['SpentSignIn'] as Model<SpentDocument> | undefined) ??
      connection.model<SpentDocument>('SpentSignIn', spentSchema),
  };
}
