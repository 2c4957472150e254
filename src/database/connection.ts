/** Connecting to a database of ours, and writing to it in transactions: the data's and the key store's alike. */
import mongoose, { type ClientSession, type Connection, type ConnectOptions } from 'mongoose';
import type { ClientTls } from '../transit';

export interface ConnectionOptions {
  readonly uri: string;
  /** How long to look for a server before saying that there is none, in milliseconds. @default 2000 */
  readonly selectionTimeout?: number;
  /** How long one operation may take before its connection is given up, in milliseconds. */
  readonly socketTimeout?: number;
  readonly appName?: string;
  /** Speaks TLS, with these authorities and our own certificate (R21); what the URI says where absent. */
  readonly tls?: ClientTls;
}

const durable = { w: 'majority', journal: true } as const;

/**
 * Connects. The connection recovers by itself after the server went away and came back.
 *
 * @param more what else the driver is to be told
 */
export async function connect(
  { uri, selectionTimeout = 2000, socketTimeout, appName = 'ablauf', tls }: ConnectionOptions,
  more: ConnectOptions = {},
): Promise<Connection> {
  const connection = mongoose.createConnection(uri, {
    serverSelectionTimeoutMS: selectionTimeout,
    heartbeatFrequencyMS: 1000,
    connectTimeoutMS: 2000,
    appName,
    writeConcern: durable,
    autoIndex: false,
    autoCreate: false,
    bufferCommands: false,
    ...more,
    ...(tls === undefined ? {} : { ...tls, tls: true }),
    ...(socketTimeout === undefined ? {} : { socketTimeoutMS: socketTimeout }),
  });
  return connection.asPromise();
}

/**
 * Runs several writes as one. Repeats `work` after a conflict with another transaction, so `work` must not have effects
 * outside of it. Errors of ours end it without effect.
 */
export function inTransaction<T>(connection: Connection, work: (session: ClientSession) => Promise<T>): Promise<T> {
  return connection
    .getClient()
    .withSession((session) =>
      session.withTransaction(() => work(session), { readConcern: { level: 'snapshot' }, writeConcern: durable }),
    );
}
