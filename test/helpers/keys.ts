/** Keys put into a key store directly, and told apart by what they are wrapped under. */
import { randomBytes } from 'node:crypto';
import { mongo } from 'mongoose';
import { contextOf, openKeyStore, type KeyDocument, type KeyProvider, type KeyStore } from '../../src/vault';
import { required } from './system';

/** Where a key store of a test's own will be. */
export function newVaultUri(): string {
  const uri = new URL(required('ABLAUF_TEST_MONGODB'));
  uri.pathname = `/test_${randomBytes(6).toString('hex')}_vault`;
  return uri.href;
}

/** A key store of a test's own. Remove it with {@link dropKeyStore}. */
export function emptyKeyStore(): Promise<KeyStore> {
  return openKeyStore({ uri: newVaultUri() });
}

export async function dropKeyStore({ connection }: KeyStore): Promise<void> {
  await connection.dropDatabase();
  await connection.close();
}

/** A key as it is stored, wrapped under a master key. */
export async function keyDocument(region: string, id: string, master: KeyProvider): Promise<KeyDocument> {
  const wrap = async (version: number | 'index') => ({
    wrapped: new mongo.Binary(await master.wrap(randomBytes(32), contextOf(region, id, version))),
    master: master.id,
  });
  const at = new Date();
  return {
    _id: id,
    region,
    createdAt: at,
    current: 1,
    versions: [{ version: 1, at, ...(await wrap(1)) }],
    index: await wrap('index'),
    revision: 1,
  };
}

/** Adds keys of accounts there are none of. @returns their ids */
export async function addKeys(
  { keys }: KeyStore,
  region: string,
  master: KeyProvider,
  count: number,
): Promise<string[]> {
  const ids = Array.from({ length: count }, () => `account/${randomBytes(32).toString('base64url')}`);
  for (let at = 0; at < count; at += 1000) {
    const documents = await Promise.all(ids.slice(at, at + 1000).map((id) => keyDocument(region, id, master)));
    await keys.insertMany(documents);
  }
  return ids;
}

/** How many keys are wrapped under each master key, by its id. */
export async function mastersOf({ keys }: KeyStore): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for await (const { versions = [], index } of keys.find({})) {
    const masters = new Set([...versions, ...(index === undefined ? [] : [index])].map(({ master }) => master));
    for (const master of masters) found[master] = (found[master] ?? 0) + 1;
  }
  return found;
}
