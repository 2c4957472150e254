/** A backup of a database, as a dump of its collections, and restoring it. */
import type { Connection, mongo } from 'mongoose';

export interface Dump {
  readonly collections: ReadonlyMap<string, readonly mongo.Document[]>;
}

function databaseOf(connection: Connection): mongo.Db {
  return connection.getClient().db(connection.name);
}

export async function dumpOf(connection: Connection): Promise<Dump> {
  const database = databaseOf(connection);
  const collections = new Map<string, mongo.Document[]>();
  for (const { name } of await database.listCollections({}, { nameOnly: true }).toArray()) {
    if (!name.startsWith('system.')) collections.set(name, await database.collection(name).find().toArray());
  }
  return { collections };
}

/** Puts a database back to what it was; of some collections, if they are named. */
export async function restore(connection: Connection, { collections }: Dump, only?: readonly string[]): Promise<void> {
  const database = databaseOf(connection);
  for (const { name } of await database.listCollections({}, { nameOnly: true }).toArray()) {
    if (name.startsWith('system.') || only?.includes(name) === false) continue;
    await database.collection(name).deleteMany({});
    const documents = collections.get(name) ?? [];
    if (documents.length > 0) await database.collection(name).insertMany([...documents]);
  }
}
