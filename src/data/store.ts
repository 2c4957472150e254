/** The database as this product sees it: its collections, transactions, and its clock. */
import type { ClientSession, Connection } from 'mongoose';
import { openAuditLog, type AuditLog } from '../audit';
import { connect, inTransaction, native, type ConnectionOptions } from '../database';
import type { Vault } from '../vault';
import type { AccountDocument } from './documents';
import { modelsOn, type Models } from './models';
import { tombstoneId, tombstoneIdPattern } from './names';
import { claimRegion } from './region';

/** One region's database. */
export interface Store extends Models {
  readonly connection: Connection;
  readonly region: string;
  readonly audit: AuditLog;
  /** The keys everything personal is encrypted with. */
  readonly vault: Vault;
  /**
   * Runs several writes as one. Repeats `work` after a conflict with another transaction, so `work` must not have
   * effects outside of it. Errors of ours end it without effect.
   */
  transaction<T>(work: (session: ClientSession) => Promise<T>): Promise<T>;
  /**
   * What the database server's own clock says: one of the two that have to agree before anything is erased. Tests that
   * skip time move it.
   */
  databaseTime(): Promise<Date>;
  /** Closes the database and the vault. */
  close(): Promise<void>;
}

export interface StoreOptions extends ConnectionOptions {
  readonly region: string;
  /** Open already; closed with the store. */
  readonly vault: Vault;
}

/** Connects to the database. The connection recovers by itself after the server went away and came back. */
export async function openStore({ region, vault, ...options }: StoreOptions): Promise<Store> {
  return storeOn(await connect(options), region, vault);
}

/** How an account is looked for. */
export interface FindOptions {
  readonly session?: ClientSession;
  /** The fields that are wanted; all where nothing is said. */
  readonly projection?: Readonly<Record<string, 1>>;
}

/**
 * An account or its tombstone, by the account's id or the tombstone's; inside a transaction where a session is given. What
 * is changed of it is changed by its `_id`, which is not the id asked for once the account is erased.
 */
export async function findAccount(store: Store, id: string, session?: ClientSession): Promise<AccountDocument | null> {
  return findAccountWith(store, id, session === undefined ? {} : { session });
}

/** {@link findAccount}, and not more of it than is wanted. */
export async function findAccountWith(store: Store, id: string, options: FindOptions): Promise<AccountDocument | null> {
  const accounts = native(store.accounts);
  // Living accounts are asked for all day, and found by the first question.
  const living = await accounts.findOne<AccountDocument>({ _id: id }, options);
  if (living !== null || tombstoneIdPattern.test(id)) return living;
  return accounts.findOne<AccountDocument>({ _id: tombstoneId(store, id) }, options);
}

/** The store on an open connection. */
function storeOn(connection: Connection, region: string, vault: Vault): Store {
  return {
    ...modelsOn(connection),
    connection,
    region,
    audit: openAuditLog(connection, region, vault),
    vault,
    transaction: (work) => inTransaction(connection, work),
    async databaseTime() {
      const { localTime } = await connection.getClient().db().admin().command({ hello: 1 });
      if (!(localTime instanceof Date)) throw new Error('the database server does not say what time it is');
      return localTime;
    },
    async close() {
      await connection.close();
      await vault.close();
    },
  };
}

/**
 * Creates what is missing: collections (a transaction must not create them) and their indexes. Safe to repeat.
 *
 * @throws {WrongRegionError | WrongKeyStoreError} the database is not ours; see {@link claimRegion}
 */
export async function prepareStore(store: Store): Promise<void> {
  await claimRegion(store);
  for (const model of Object.values(store.connection.models)) {
    await model.createCollection();
    await model.createIndexes();
  }
}
