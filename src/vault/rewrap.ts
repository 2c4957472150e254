/**
 * Wrapping keys under another master key (R21). The keys themselves do not change, and nothing encrypted under them does.
 *
 * 1. A key is re-wrapped whole, all its versions and the key of its blind indexes, or not at all. What is written was opened again
 *    and compared before.
 * 2. It is written only over what was read: in a transaction that has seen the same revision, by its `_id`. A destruction or a
 *    new version that comes between conflicts with it, and the key is read again. A destroyed key never comes back.
 * 3. One that does not open stays as it is, and is named. Nothing is lost, and the others go on.
 * 4. Safe to repeat, and for several processes at once.
 */
import type { mongo } from 'mongoose';
import { MasterKeyError, VaultRegionError } from './errors';
import { keyTransaction, type KeyDocument, type KeyStore, type WrappedKey } from './key-store';
import type { KeyProvider } from './master-key';
import { systemKeyIds } from './system-keys';
import { contextOf, unwrapKey, wrapKey, type MasterKeys } from './master-keys';

/** A key that could not be re-wrapped, and why. */
export interface UnwrappedFailure {
  /** The key's id: names no account. */
  readonly key: string;
  readonly reason: string;
}

/** What became of some keys. */
export interface RewrapReport {
  readonly rewrapped: number;
  /** Were wrapped under the new master key before. */
  readonly already: number;
  readonly destroyed: number;
  readonly failures: readonly UnwrappedFailure[];
}

/** Keys re-wrapped in one transaction. */
const batchSize = 250;
/** Keys unwrapped and wrapped side by side: a master key may be held by a service elsewhere. */
const sideBySide = 25;
/** How often keys are read again that were changed meanwhile, before they are left to a later pass. */
const attempts = 5;

/** Re-wraps keys by their ids. Those that do not exist are passed over. */
export async function rewrapIds(
  keyStore: KeyStore,
  region: string,
  masters: MasterKeys,
  to: KeyProvider,
  ids: readonly string[],
): Promise<RewrapReport> {
  const found = await keyStore.keys.find({ _id: { $in: [...ids] } }).toArray();
  return rewrapDocuments({ keyStore, region, masters, to }, found);
}

/** Re-wraps the deployment's own keys, the mark of the rotation first: from then on new keys are wrapped under the new one. */
export async function rewrapSystemKeys(
  keyStore: KeyStore,
  region: string,
  masters: MasterKeys,
  to: KeyProvider,
): Promise<RewrapReport> {
  let report = nothing;
  for (const id of systemKeyIds) report = sum(report, await rewrapIds(keyStore, region, masters, to, [id]));
  return report;
}

/** How {@link rewrapKeys} goes on, and is watched. */
export interface Stretch {
  /** The last key that was seen to. */
  readonly after?: string;
  /** Asked after each batch. */
  readonly enough: () => boolean;
  /** Told after each batch. */
  readonly progress?: (after: string, report: RewrapReport) => void;
}

/**
 * Re-wraps keys in the order of their ids, until there are no more or it is enough.
 *
 * @returns what became of them, and the last one; that is absent once all are seen to
 */
export async function rewrapKeys(
  keyStore: KeyStore,
  region: string,
  masters: MasterKeys,
  to: KeyProvider,
  { after, enough, progress }: Stretch,
): Promise<RewrapReport & { readonly after?: string }> {
  // One cursor for a stretch: looking for the next few ids again and again costs more with each key there is.
  const cursor = keyStore.keys.find(after === undefined ? {} : { _id: { $gt: after } }, {
    sort: { _id: 1 },
    batchSize,
  });
  try {
    let report = nothing;
    for (;;) {
      const batch = await nextOf(cursor, batchSize);
      const last = batch.at(-1)?._id;
      if (last === undefined) return report;
      report = sum(report, await rewrapDocuments({ keyStore, region, masters, to }, batch));
      progress?.(last, report);
      if (enough()) return { ...report, after: last };
    }
  } finally {
    await cursor.close();
  }
}

async function nextOf(cursor: mongo.FindCursor<KeyDocument>, limit: number): Promise<KeyDocument[]> {
  const documents: KeyDocument[] = [];
  while (documents.length < limit) {
    const document = await cursor.next();
    if (document === null) break;
    documents.push(document);
  }
  return documents;
}

interface Rewrapping {
  readonly keyStore: KeyStore;
  readonly region: string;
  readonly masters: MasterKeys;
  readonly to: KeyProvider;
}

/** A key wrapped anew, and the revision it was read at. */
interface Rewrapped extends Required<Pick<KeyDocument, 'versions' | 'index'>> {
  readonly id: string;
  readonly revision: number;
}

async function rewrapDocuments(rewrapping: Rewrapping, documents: readonly KeyDocument[]): Promise<RewrapReport> {
  const { keyStore, to } = rewrapping;
  let report = nothing;
  let left = documents;
  for (let attempt = 1; left.length > 0; attempt += 1) {
    const todo = left.filter((document) => !isUnder(document, to.id));
    const destroyed = left.filter(({ destroyedAt }) => destroyedAt !== undefined).length;
    const { fresh, failures } = await wrapAll(rewrapping, todo);
    const changed = await replace(keyStore, fresh);
    report = sum(report, {
      rewrapped: fresh.length - changed.length,
      already: left.length - todo.length - destroyed,
      destroyed,
      failures,
    });
    if (attempt === attempts) break;
    left = changed.length === 0 ? [] : await keyStore.keys.find({ _id: { $in: changed } }).toArray();
  }
  return report;
}

/** Whether there is nothing to re-wrap of a key. */
function isUnder({ destroyedAt, versions = [], index }: KeyDocument, master: string): boolean {
  if (destroyedAt !== undefined) return true;
  return [...versions, ...(index === undefined ? [] : [index])].every((wrapped) => wrapped.master === master);
}

async function wrapAll(
  rewrapping: Rewrapping,
  documents: readonly KeyDocument[],
): Promise<{ fresh: Rewrapped[]; failures: UnwrappedFailure[] }> {
  const fresh: Rewrapped[] = [];
  const failures: UnwrappedFailure[] = [];
  for (let at = 0; at < documents.length; at += sideBySide) {
    await Promise.all(
      documents.slice(at, at + sideBySide).map(async (document) => {
        try {
          fresh.push(await wrapAnew(rewrapping, document));
        } catch (error) {
          // Whatever else went wrong may go right when it is tried again.
          if (!(error instanceof MasterKeyError || error instanceof VaultRegionError)) throw error;
          failures.push({ key: document._id, reason: error.message });
        }
      }),
    );
  }
  return { fresh, failures };
}

async function wrapAnew(
  { region, masters, to }: Rewrapping,
  { _id, region: its, versions = [], index, revision }: KeyDocument,
): Promise<Rewrapped> {
  if (its !== region) throw new VaultRegionError(`the key ${_id} belongs to ${its}, not to ${region}`);
  if (versions.length === 0 || index === undefined) throw new MasterKeyError(`the key ${_id} is not complete`);
  const anew = async (wrapped: WrappedKey, context: string): Promise<WrappedKey> => {
    const key = await unwrapKey(masters, wrapped, context);
    const fresh = await wrapKey(to, key, context);
    // What it replaces is gone for good.
    const opened = await to.unwrap(Buffer.from(fresh.wrapped.value()), context);
    if (!opened.equals(key)) throw new Error(`the key ${context} does not open as it was wrapped under ${to.id}`);
    return fresh;
  };
  return {
    id: _id,
    revision,
    versions: await Promise.all(
      versions.map(async (version) => ({
        ...version,
        ...(await anew(version, contextOf(region, _id, version.version))),
      })),
    ),
    index: await anew(index, contextOf(region, _id, 'index')),
  };
}

/** Writes over what was read, and over nothing else. @returns the ids of those that were changed meanwhile */
async function replace(keyStore: KeyStore, fresh: readonly Rewrapped[]): Promise<string[]> {
  if (fresh.length === 0) return [];
  return keyTransaction(keyStore, async (session) => {
    const known = await keyStore.keys
      .find({ _id: { $in: fresh.map(({ id }) => id) } }, { session, projection: { revision: 1, destroyedAt: 1 } })
      .toArray();
    const present = new Map(
      known.filter(({ destroyedAt }) => destroyedAt === undefined).map(({ _id, revision }) => [_id, revision]),
    );
    const unchanged = fresh.filter(({ id, revision }) => present.get(id) === revision);
    if (unchanged.length > 0) {
      await keyStore.keys.bulkWrite(
        unchanged.map(({ id, versions, index }) => ({
          updateOne: { filter: { _id: id }, update: { $set: { versions, index }, $inc: { revision: 1 } } },
        })),
        { session, ordered: true },
      );
    }
    return fresh.filter((one) => !unchanged.includes(one)).map(({ id }) => id);
  });
}

const nothing: RewrapReport = { rewrapped: 0, already: 0, destroyed: 0, failures: [] };

function sum(a: RewrapReport, b: RewrapReport): RewrapReport {
  return {
    rewrapped: a.rewrapped + b.rewrapped,
    already: a.already + b.already,
    destroyed: a.destroyed + b.destroyed,
    failures: [...a.failures, ...b.failures],
  };
}
