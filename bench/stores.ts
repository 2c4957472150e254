/** Databases and accounts for benchmarks, made directly: what is measured does not depend on how they came about. */
import {
  openStore,
  prepareStore,
  protectProfile,
  type AccountDocument,
  type GuardSettings,
  type Store,
} from '../src/data';
import { localKeyProvider, openKeyStore, openVault } from '../src/vault';
import { begin, type Lifecycle, type Settings } from '../src/lifecycle';
import { databaseUri, side, type Ground } from './harness';

export const region = 'eu-central-1';
export const masterKey = 'sk-bench-master-key-of-some-length';
export const settings: Settings = { gracePeriod: 'P14D', expiryPeriod: 'P30D', notice: 'P7D', minPeriod: 'PT1M' };

/** Lets as many erasures begin as a benchmark likes. */
export const guard: GuardSettings = { clockTolerance: 300_000, share: 1, minimum: 1_000_000 };

/** The vault's database, beside the data's. */
export function vaultUri(uri: string): string {
  const vault = new URL(uri);
  vault.pathname = `${vault.pathname}_vault`;
  return vault.href;
}

/** Opens a benchmark's database and its vault. */
export async function openBenchStore(uri: string): Promise<Store> {
  const keyStore = await openKeyStore({ uri: vaultUri(uri) });
  const vault = await openVault({ keyStore, region, master: localKeyProvider(masterKey, region) });
  return openStore({ uri, region, vault });
}

/** Opens an empty database of the benchmark's own. */
export async function freshStore(ground: Ground, name: string): Promise<Store> {
  const store = await openBenchStore(databaseUri(ground, name));
  await store.connection.dropDatabase();
  await prepareStore(store);
  return store;
}

export async function dropStore(store: Store): Promise<void> {
  await store.connection.dropDatabase();
  await store.vault.keyStore.connection.dropDatabase();
  await store.close();
}

type Profile = Awaited<ReturnType<typeof protectProfile>>;

async function profileOf(store: Store, id: string): Promise<Profile> {
  const cipher = await store.vault.makeKey(id);
  return protectProfile(store, cipher, id, { name: `Name of ${id}`, email: `${id}@example.org` });
}

/** Puts accounts into a database, with open gates and without workflows. @param lifecycle active when absent @param purgeAt when records age */
export async function addAccounts(
  store: Store,
  ids: readonly string[],
  lifecycle: Lifecycle = begin({ state: 'active', overrides: {} }, new Date().toISOString(), settings),
  purgeAt?: Date,
): Promise<void> {
  const createdAt = new Date();
  // Those that only wait for a sweep have no profile, which would cost a key each.
  const profiles = new Map<string, Profile>();
  if (purgeAt === undefined) await side(ids, 16, async (id) => profiles.set(id, await profileOf(store, id)));
  const documents = ids.map((_id): AccountDocument => ({
    _id,
    region,
    ...profiles.get(_id),
    plan: 'standard',
    locale: 'en',
    state: lifecycle.state,
    since: new Date(lifecycle.since),
    lifecycle,
    inactive: [],
    seq: 1,
    version: 1,
    createdAt,
  }));
  await store.accounts.insertMany(documents);
  const due = purgeAt === undefined ? {} : { purgeAt };
  await store.gates.insertMany(ids.map((_id) => ({ _id, open: true, passed: 0, ...due })));
}
