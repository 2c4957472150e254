/**
 * New versions of data keys (R21).
 *
 * 1. A version is added before it is used, and every process may go on with the keys it last read for a while
 *    ({@link Vault.cacheFor}). Only once twice that has passed, by the key store's own clock, is anything encrypted under it:
 *    by then whoever reads what others write knows it.
 * 2. A rotation has an id, which its versions carry: to add or to use one again changes nothing.
 * 3. What is judged is read in the transaction that writes. A key that is destroyed meanwhile stays so.
 * 4. A version once added is never taken away: what names it may lie in a backup, or in a history of Temporal's.
 *
 * Keys of blind indexes and of pseudonyms are never replaced, since what they yield must stay the same; the key that signs is
 * replaced another way.
 */
import { randomBytes } from 'node:crypto';
import type { ClientSession, mongo } from 'mongoose';
import { keyTransaction, type KeyDocument, type KeyStore, type KeyVersion } from './key-store';
import type { KeyProvider } from './master-key';
import type { SystemKey } from './system-keys';
import type { Vault } from './vault';
import { contextOf, wrapKey } from './master-keys';

/** System keys whose data keys anything is encrypted under. */
const systemKeys = ['payloads', 'secrets', 'staff'] as const satisfies readonly SystemKey[];

/** What became of some keys. */
export interface KeyTally {
  /** Changed now. */
  readonly changed: number;
  /** Found as they are to be, from an earlier try. */
  readonly known: number;
  /** Destroyed, never made, or made since the rotation began: there is nothing to do. */
  readonly passed: number;
  /** How long to wait before asking again, in milliseconds; 0 where nothing is left to wait for. */
  readonly waitFor: number;
}

const keyLength = 32;
const attempts = 10;
/** Keys wrapped side by side: a master key may be held by a service elsewhere. */
const sideBySide = 25;
/** A copy read just before a version was added is used for as long as copies are; half of this is room for what is slow. */
const margin = 2;

/** The ids of what an account has in the key store: its own key, and that of what the law keeps of it. */
export function keysOf({ pseudonymOf }: Pick<Vault, 'pseudonymOf'>, account: string) {
  const pseudonym = pseudonymOf(account);
  return { account: `account/${pseudonym}`, retained: `retained/${pseudonym}` } as const;
}

/** The id of a system stream's key. */
export function systemKeyOf(name: (typeof systemKeys)[number]): string {
  return `system/${name}`;
}

/**
 * The ids of data keys after one, in order: those of accounts, those of what the law keeps, and the deployment's own. Those
 * that are destroyed are among them.
 */
export async function keysAfter({ keyStore }: Vault, after: string | undefined, limit: number): Promise<string[]> {
  const ids = await keyStore.keys
    .find({ _id: { $gt: after ?? '', $lt: 'system/' } }, { projection: { _id: 1 }, sort: { _id: 1 }, limit })
    .toArray();
  const found = ids.map(({ _id }) => _id);
  if (found.length === limit) return found;
  const system = systemKeys.map(systemKeyOf).filter((id) => id > (after ?? ''));
  return [...found, ...system].slice(0, limit);
}

/** How a key stands in the key store at this moment, past every cache. */
export interface KeyStanding {
  /** The version in use. */
  readonly current: number;
  /** There are others that values may be encrypted under. */
  readonly hasOthers: boolean;
}

/** The standing of keys by id; those that are destroyed or were never made are left out. */
export async function currentVersions({ keyStore }: Vault, ids: readonly string[]): Promise<Map<string, KeyStanding>> {
  const documents = await keyStore.keys
    .find({ _id: { $in: [...ids] } }, { projection: { current: 1, 'versions.version': 1, destroyedAt: 1 } })
    .toArray();
  return new Map(
    documents.flatMap(({ _id, current, versions = [], destroyedAt }): [string, KeyStanding][] =>
      current === undefined || destroyedAt !== undefined ? [] : [[_id, { current, hasOthers: versions.length > 1 }]],
    ),
  );
}

/**
 * Adds a version to each key, for later use. Safe to repeat.
 *
 * @returns with `waitFor`, until the youngest of them may be used
 */
export async function addVersions(vault: Vault, rotation: string, ids: readonly string[]): Promise<KeyTally> {
  let left = ids;
  let [changed, known, passed] = [0, 0, 0];
  for (let attempt = 1; left.length > 0; attempt += 1) {
    if (attempt > attempts) throw new Error(`keys changed again and again while versions were added to them`);
    // Wrapped outside of the transaction: the master key may be asked for over the network.
    const seen = await read(vault.keyStore, left);
    const lacking = seen.filter((key) => isComplete(key) && versionOf(key, rotation) === undefined);
    const master = await vault.wrapping();
    const fresh = new Map<string, FreshVersion>();
    for (let at = 0; at < lacking.length; at += sideBySide) {
      const wrapping = lacking.slice(at, at + sideBySide).map(async (key) => {
        fresh.set(key._id, await freshVersion(vault.region, master, key));
      });
      await Promise.all(wrapping);
    }
    const outcome = await keyTransaction(vault.keyStore, async (session) => {
      const keys = await read(vault.keyStore, left, session);
      const at = await clockOf(vault.keyStore);
      const revisions = new Map(seen.map(({ _id, revision }) => [_id, revision]));
      const unlike = keys.filter(({ _id, revision }) => revisions.get(_id) !== revision);
      const same = keys.filter(({ _id, revision }) => revisions.get(_id) === revision);
      const additions = same.flatMap(({ _id }) => {
        const version = fresh.get(_id);
        return version === undefined ? [] : [{ _id, version: { ...version, at, rotation } }];
      });
      await updateEach(
        vault.keyStore,
        additions.map(({ _id, version }) => ({ _id, update: { $push: { versions: version }, $inc: { revision: 1 } } })),
        session,
      );
      const there = same.filter((key) => versionOf(key, rotation) !== undefined).length;
      return { unlike: unlike.map(({ _id }) => _id), added: additions.length, there };
    });
    changed += outcome.added;
    known += outcome.there;
    passed += left.length - outcome.unlike.length - outcome.added - outcome.there;
    left = outcome.unlike;
  }
  return { changed, known, passed, waitFor: changed + known === 0 ? 0 : margin * vault.cacheFor };
}

/**
 * Has new values encrypted under what {@link addVersions} added, once every process knows it. Safe to repeat; where a later
 * rotation came first, its version stays in use.
 *
 * @returns with `waitFor` above 0 where it is too early for some of them: those stay as they are
 */
export async function useVersions(vault: Vault, rotation: string, ids: readonly string[]): Promise<KeyTally> {
  return keyTransaction(vault.keyStore, async (session) => {
    const keys = await read(vault.keyStore, ids, session);
    const now = (await clockOf(vault.keyStore)).getTime();
    let [known, waitFor] = [0, 0];
    const changes: KeyUpdate[] = [];
    for (const key of keys) {
      const added = versionOf(key, rotation);
      if (added === undefined || key.current === undefined) continue;
      const early = added.at.getTime() + margin * vault.cacheFor - now;
      if (key.current >= added.version) {
        known += 1;
      } else if (early > 0) {
        waitFor = Math.max(waitFor, early);
      } else {
        changes.push({ _id: key._id, update: { $set: { current: added.version }, $inc: { revision: 1 } } });
      }
    }
    await updateEach(vault.keyStore, changes, session);
    const passed = ids.length - keys.filter((key) => versionOf(key, rotation) !== undefined).length;
    return { changed: changes.length, known, passed, waitFor };
  });
}

function isComplete({ versions, destroyedAt }: KeyDocument): boolean {
  return versions !== undefined && destroyedAt === undefined;
}

function versionOf({ versions = [] }: KeyDocument, rotation: string): KeyVersion | undefined {
  return versions.find((version) => version.rotation === rotation);
}

type FreshVersion = Pick<KeyVersion, 'version' | 'wrapped' | 'master'>;

async function freshVersion(
  region: string,
  master: KeyProvider,
  { _id, versions = [] }: KeyDocument,
): Promise<FreshVersion> {
  const version = 1 + Math.max(...versions.map((one) => one.version));
  return { version, ...(await wrapKey(master, randomBytes(keyLength), contextOf(region, _id, version))) };
}

/** A change of one key. */
interface KeyUpdate {
  readonly _id: string;
  readonly update: mongo.UpdateFilter<KeyDocument>;
}

/** By id alone: what is judged of a key was read in the same transaction. */
async function updateEach({ keys }: KeyStore, changes: readonly KeyUpdate[], session: ClientSession): Promise<void> {
  if (changes.length === 0) return;
  const operations = changes.map(({ _id, update }) => ({ updateOne: { filter: { _id }, update } }));
  await keys.bulkWrite(operations, { session });
}

function read({ keys }: KeyStore, ids: readonly string[], session?: ClientSession): Promise<KeyDocument[]> {
  return keys.find({ _id: { $in: [...ids] } }, session === undefined ? {} : { session }).toArray();
}

/** What the key store's server says the time is: versions are as old as it says, whichever process added them. */
async function clockOf({ connection }: KeyStore): Promise<Date> {
  const { localTime } = await connection.getClient().db().admin().command({ hello: 1 });
  if (!(localTime instanceof Date)) throw new Error('the key store does not say what time it is');
  return localTime;
}
