/**
 * Erasing again what a restored backup brought back (R23). The ledger says that an account is erased, signed and outside of every
 * backup; what the database says against it is older.
 *
 * 1. First the account is closed to everybody, in one transaction: no records come in, its exports can no longer be fetched, and
 *    no hold stands. One that the backup holds was released before the account was erased; one placed since was placed on
 *    what was not there any more, and is counted in the audit entry (R8: an erased account never comes back).
 * 2. Then its data goes the way of every erasure, through the same gate. What a law obliges to keep is sealed again, as long
 *    as its key opens it; what nobody can open goes too, and is counted as lost.
 * 3. At last the tombstone takes the account's place, with its audit entry, and the key is destroyed, which may have come back as
 *    well.
 * 4. Each step may be repeated, by this process or another one.
 */
import type { ClientSession, mongo } from 'mongoose';
import { native } from '../database';
import { bySystem, type Lifecycle } from '../lifecycle';
import { KeyDestroyedError, KeyMissingError } from '../vault';
import type { AccountDocument } from './documents';
import { eraseRecords, type OutsideStore } from './erase';
import { ErasureIncompleteError } from './errors';
import { deleteIn, deleteThroughGate } from './gate';
import { dataSets, type DataSet } from './map';
import { tombstoneId } from './names';
import { planFor, recorded } from './plan';
import { activeProcessorNames } from './processors';
import { retainedOf } from './retained';
import { searchRemains } from './search';
import { findAccount, type Store } from './store';
import { withdrawExportsIn } from './withdraw';

/** An erasure as the ledger tells it. */
export interface LedgeredErasure {
  /** The account's pseudonym. */
  readonly subject: string;
  readonly erasedAt: Date;
  readonly certificate: string;
}

/** What was erased again of an account. */
export interface ErasedAgain {
  /** Records, by data set. */
  readonly sets: Readonly<Record<string, number>>;
  /** Of these, what a law obliged to keep and nobody could open any more. */
  readonly lost: Readonly<Record<string, number>>;
}

const attempts = 5;
const lawfulSets = dataSets.filter((set) => set.erasure === 'seal');
const lastSets = dataSets.filter((set) => set.erasure === 'delete-last');

/**
 * Erases an account again that the ledger knows as erased. Safe to repeat.
 *
 * @param outside further places where something of accounts lies
 * @throws {ErasureIncompleteError} the search found something, or the account was changed again and again
 */
export async function reErase(
  store: Store,
  account: string,
  erasure: LedgeredErasure,
  outside: readonly OutsideStore[] = [],
): Promise<ErasedAgain> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    await close(store, account, erasure);
    const lost = await eraseAll(store, account, outside);
    if (lost === undefined) continue;
    const { found } = await searchRemains(store, account, outside);
    if (found.length > 0) {
      const places = found.map(({ collection, records }) => `${records} in ${collection}`).join(', ');
      throw new ErasureIncompleteError(`the search after erasing an account again found ${places}`);
    }
    const again = await leaveTombstone(store, account, erasure, lost);
    if (again === undefined) continue;
    await store.vault.destroyKey(account);
    return again;
  }
  throw new ErasureIncompleteError('an account that is to be erased again is being changed; ask again');
}

/** Makes it an account that is being erased, whatever it was. */
async function close(store: Store, account: string, { erasedAt, certificate }: LedgeredErasure): Promise<void> {
  const names = await activeProcessorNames(store);
  const at = await store.databaseTime();
  await store.transaction(async (session) => {
    const found = await findAccount(store, account, session);
    if (found === null || found.state === 'erased' || isClosed(found)) return;
    const { holds, overrides, causes, closure = 'forced', since } = found.lifecycle;
    const lifecycle: Lifecycle = {
      state: 'expired',
      since,
      causes,
      closure,
      overrides,
      holds: [],
      erasingSince: at.toISOString(),
    };
    await native(store.accounts).updateOne(
      { _id: account },
      {
        $set: {
          state: 'expired',
          lifecycle,
          erasing: {
            since: at,
            done: found.erasing?.done ?? 0,
            total: found.erasing?.total ?? 0,
            sets: found.erasing?.sets ?? {},
            plan: recorded(planFor([], names)),
          },
          reErasing: {
            certificate,
            erasedAt,
            since: found.reErasing?.since ?? at,
            holds: holds.length + (found.reErasing?.holds ?? 0),
          },
        },
        $unset: { deadline: '', purging: '', heldBack: '' },
        $inc: { version: 1 },
      },
      { session },
    );
    await native(store.gates).updateOne({ _id: account }, { $set: { open: false } }, { session });
    await withdrawExportsIn(store, session, { account, at, actor: bySystem, reason: 'account.re-erased' });
  });
}

/** Nothing has happened to it since it was closed. */
function isClosed({ state, erasing, reErasing, lifecycle }: AccountDocument): boolean {
  const halted = erasing === undefined || erasing.halted === true || lifecycle.holds.length > 0;
  return state === 'expired' && reErasing !== undefined && !halted;
}

/** @returns what had to go though a law obliges to keep it; nothing where the account was changed meanwhile */
async function eraseAll(
  store: Store,
  account: string,
  outside: readonly OutsideStore[],
): Promise<Readonly<Record<string, number>> | undefined> {
  const lost: Record<string, number> = {};
  const begun = await findAccount(store, account);
  if (begun?.state !== 'expired') return begun === null || begun.state === 'erased' ? lost : undefined;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { finished } = await eraseRecords(store, account, {}, outside);
      if (!finished) return undefined;
      break;
    } catch (error) {
      const isUnreadable = error instanceof KeyDestroyedError || error instanceof KeyMissingError;
      if (!isUnreadable || attempt === attempts) throw error;
      // Its key is gone, as it should be: what was to be kept under another one is lost with the database that had it.
      for (const set of lawfulSets) {
        const { [set.name]: gone = 0 } = (await removeAll(store, account, [set])) ?? {};
        if (gone > 0) lost[set.name] = (lost[set.name] ?? 0) + gone;
      }
    }
  }
  return (await removeAll(store, account, lastSets)) === undefined ? undefined : lost;
}

/** @returns how much went of each set; nothing where the gate is closed */
async function removeAll(
  store: Store,
  account: string,
  sets: readonly DataSet[],
): Promise<Readonly<Record<string, number>> | undefined> {
  const went = await deleteThroughGate(store, {
    account,
    purpose: 're-erasure',
    sets: Object.fromEntries(sets.map(({ name }) => [name, {}])),
    change: (deleted) => ({
      $inc: {
        version: 1,
        ...Object.fromEntries(Object.entries(deleted).map(([set, n]) => [`erasing.sets.${set}`, n])),
      },
    }),
  });
  return went?.sets;
}

async function leaveTombstone(
  store: Store,
  account: string,
  erasure: LedgeredErasure,
  lost: Readonly<Record<string, number>>,
): Promise<ErasedAgain | undefined> {
  const at = await store.databaseTime();
  return store.transaction(async (session) => {
    const found = await findAccount(store, account, session);
    if (found === null || found.state === 'erased') return { sets: {}, lost };
    if (!isClosed(found)) return undefined;
    const sets = found.erasing?.sets ?? {};
    const retained = await retainedOf(store, account, session);
    const last = retained.at(-1);
    await native(store.accounts).deleteOne({ _id: account }, { session });
    await native(store.gates).deleteOne({ _id: account }, { session });
    await native(store.accounts).insertOne(
      {
        ...tombstoneFor(store, tombstoneId(store, account), erasure),
        seq: found.seq + 1,
        version: found.version + 1,
        createdAt: found.createdAt,
        ...(last === undefined ? {} : { retainedUntil: new Date(last.until) }),
      },
      { session },
    );
    await auditAgain(store, session, account, at, erasure, {
      state: found.state,
      sets,
      lost,
      holds: found.reErasing?.holds ?? 0,
      retained: retained.map(({ dataset, records, until }) => ({ dataset, records, until })),
    });
    return { sets, lost };
  });
}

function tombstoneFor({ region }: Store, _id: string, { erasedAt, certificate }: LedgeredErasure): AccountDocument {
  return {
    _id,
    region,
    state: 'erased',
    since: erasedAt,
    erasedAt,
    lifecycle: { state: 'erased', since: erasedAt.toISOString(), causes: [], overrides: {}, holds: [] },
    inactive: [],
    seq: 1,
    version: 1,
    createdAt: erasedAt,
    certificateIds: [certificate],
  };
}

/**
 * Leaves the tombstone of an account that the database does not know, neither living nor erased: it was created and erased
 * after the backup. Its id stays taken (R8). Safe to repeat.
 */
export async function restoreTombstone(store: Store, erasure: LedgeredErasure): Promise<void> {
  const at = await store.databaseTime();
  const _id = `~${erasure.subject}`;
  await store.transaction(async (session) => {
    if ((await findAccount(store, _id, session)) !== null) return;
    await native(store.accounts).insertOne(tombstoneFor(store, _id, erasure), { session });
    await auditAgain(store, session, _id, at, erasure, { state: 'unknown' });
  });
  await store.vault.destroyKey(_id);
}

function auditAgain(
  store: Store,
  session: ClientSession,
  account: string,
  at: Date,
  { erasedAt, certificate }: LedgeredErasure,
  details: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  return store.audit.append(session, {
    at,
    actor: bySystem,
    action: 'account.re-erased',
    account,
    details: { certificate, erasedAt: erasedAt.toISOString(), ...details },
  });
}

/** Documents removed in one transaction, at most. */
const batchSize = 200;

/**
 * Erases again what the law had kept of an erased account, and had let go by an instant (R10). Safe to repeat.
 *
 * @returns how much went
 */
export async function reEraseLapsed(store: Store, erasure: LedgeredErasure): Promise<number> {
  const { subject, erasedAt, certificate } = erasure;
  const account = `~${subject}`;
  const lapsed = { subject, until: { $lte: erasedAt } };
  let went = 0;
  for (;;) {
    const next = await native(store.sealed)
      .find(lapsed, { limit: batchSize, projection: { _id: 1 } })
      .toArray();
    if (next.length === 0) break;
    const ids = { _id: { $in: next.map(({ _id }) => _id) } };
    const deleted = await deleteThroughGate(store, { account, purpose: 're-erasure', sets: { sealed: ids } });
    if (deleted === undefined) throw new ErasureIncompleteError(`what was kept of ${account} cannot be erased again`);
    went += deleted.sets['sealed'] ?? 0;
  }
  const at = await store.databaseTime();
  const left = await store.transaction(async (session) => {
    const tombstone = await findAccount(store, account, session);
    const retained = await retainedOf(store, account, session);
    if (tombstone?.state !== 'erased') return retained.length;
    const known = tombstone.certificateIds ?? [];
    if (known.includes(certificate) && went === 0) return retained.length;
    await native(store.accounts).updateOne({ _id: account }, lapseOf(tombstone, certificate, retained.at(-1)?.until), {
      session,
    });
    const details = { certificate, erasedAt: erasedAt.toISOString(), records: went };
    await store.audit.append(session, { at, actor: bySystem, action: 'retained.re-erased', account, details });
    return retained.length;
  });
  if (left === 0) await store.vault.destroyKey(account, 'retained');
  return went;
}

function lapseOf(
  { certificateIds = [] }: AccountDocument,
  certificate: string,
  last: string | undefined,
): mongo.UpdateFilter<AccountDocument> {
  return {
    $set: {
      certificateIds: certificateIds.includes(certificate) ? certificateIds : [...certificateIds, certificate],
      ...(last === undefined ? {} : { retainedUntil: new Date(last) }),
    },
    $unset: { lapsing: '', ...(last === undefined ? { retainedUntil: '' } : {}) },
    $inc: { version: 1 },
  };
}

/**
 * Removes records whose account is erased: a backup of some collections was restored, and not of the others. Looks through
 * all there are, which is worth it after a restore and at no other time.
 *
 * @returns how many went, by data set
 */
export async function removeOrphans(store: Store): Promise<Readonly<Record<string, number>>> {
  const removed: Record<string, number> = {};
  for (const set of dataSets) {
    if (!['delete', 'delete-last', 'seal'].includes(set.erasure)) continue;
    for await (const accounts of orphanedIn(store, set)) {
      for (const account of accounts) {
        const gone = await removeOrphansOf(store, account, set);
        if (gone > 0) removed[set.name] = (removed[set.name] ?? 0) + gone;
      }
    }
  }
  return removed;
}

async function removeOrphansOf(store: Store, account: string, set: DataSet): Promise<number> {
  const at = await store.databaseTime();
  return store.transaction(async (session) => {
    const gone = await deleteIn(store, session, { account, purpose: 're-erasure', sets: { [set.name]: {} } });
    const records = gone?.sets[set.name] ?? 0;
    if (gone === undefined || records === 0) return 0;
    const details = { dataset: set.name, records };
    await store.audit.append(session, { at, actor: bySystem, action: 'records.re-erased', account, details });
    return records;
  });
}

const namesAtOnce = 500;

/** The accounts that something in a set belongs to, and that are erased; some at a time. */
async function* orphanedIn(store: Store, { collection, owner }: DataSet): AsyncIterable<string[]> {
  const field = 'field' in owner ? owner.field : 'prefixOf' in owner ? owner.prefixOf : '_id';
  const name = 'field' in owner ? `$${field}` : { $arrayElemAt: [{ $split: [`$${field}`, ':'] }, 0] };
  const found = store.connection.collection(collection).aggregate<{ _id: unknown }>([{ $group: { _id: name } }]);
  let names: string[] = [];
  for await (const { _id } of found) {
    if (typeof _id === 'string') names.push(_id);
    if (names.length < namesAtOnce) continue;
    yield await erasedOf(store, names);
    names = [];
  }
  yield await erasedOf(store, names);
}

async function erasedOf(store: Store, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  const known = await native(store.accounts)
    .find({ _id: { $in: names.flatMap((name) => [name, tombstoneId(store, name)]) } }, { projection: { _id: 1 } })
    .toArray();
  const ids = new Set(known.map(({ _id }) => _id));
  return names.filter((name) => !ids.has(name) && ids.has(tombstoneId(store, name)));
}
