/**
 * Where wrapped keys lie: a store of its own (`ABLAUF_VAULT_URI`), apart from the data, its logs and its backups. Destroying
 * a key there is what makes an erasure reach every copy of the data.
 */
import { Schema, type ClientSession, type Connection, type mongo } from 'mongoose';
import { connect, inTransaction, native, type ConnectionOptions } from '../database';

/** A key as it is stored: under which master key, and wrapped by it. */
export interface WrappedKey {
  readonly wrapped: mongo.Binary;
  /** The master key's name; see `KeyProvider.id`. */
  readonly master: string;
}

/** One version of a data key. */
export interface KeyVersion extends WrappedKey {
  readonly version: number;
  /** When it was added, by the key store's clock where a rotation added it. */
  readonly at: Date;
  /** The rotation that added it; see `data-keys.ts`. */
  readonly rotation?: string;
}

/** The keys of one owner, or that there were some. */
export interface KeyDocument {
  /** `account/PSEUDONYM`, `retained/PSEUDONYM` or `system/NAME`: names no account. */
  readonly _id: string;
  readonly region: string;
  readonly createdAt: Date;
  /** The version in use. Absent once destroyed, as are the keys. */
  readonly current?: number;
  readonly versions?: readonly KeyVersion[];
  readonly index?: WrappedKey;
  /** Counts re-wrappings and new versions, so that two of them do not undo each other. */
  readonly revision: number;
  readonly destroyedAt?: Date;
}

const schema = new Schema<KeyDocument>(
  {
    _id: { type: String, required: true },
    region: { type: String, required: true },
    createdAt: { type: Date, required: true },
    current: Number,
    versions: Schema.Types.Mixed,
    index: Schema.Types.Mixed,
    revision: { type: Number, required: true },
    destroyedAt: Date,
  },
  { collection: 'vaultKeys', versionKey: false, strict: 'throw' },
);

/** An open key store. */
export interface KeyStore {
  readonly connection: Connection;
  readonly keys: mongo.Collection<KeyDocument>;
}

export interface KeyStoreOptions extends ConnectionOptions {
  /** Whether its collection is created where it is missing. @default true */
  readonly prepare?: boolean;
}

/** Connects to the key store, and creates its collection where it is missing. The connection recovers by itself. */
export async function openKeyStore(options: KeyStoreOptions): Promise<KeyStore> {
  const connection = await connect({ appName: 'ablauf-vault', ...options }, { readConcern: { level: 'majority' } });
  const model = connection.model<KeyDocument>('VaultKey', schema);
  if (options.prepare !== false) await model.createCollection();
  return { connection, keys: native(model) };
}

/** Several writes as one. Repeats `work` after a conflict, so that it must have no effects outside of the key store. */
export function keyTransaction<T>({ connection }: KeyStore, work: (session: ClientSession) => Promise<T>): Promise<T> {
  return inTransaction(connection, work);
}
