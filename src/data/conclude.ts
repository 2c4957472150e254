/** Proving that an erasure left nothing, and turning the account into its tombstone (R6, R8, R22). */
import type { mongo } from 'mongoose';
import { native } from '../database';
import { dataSets, ownedBy } from './map';
import { ErasureBlockedError, ErasureIncompleteError } from './errors';
import { appendEntry, repeated, type RecordedStep, type StepRecord } from './record-step';
import type { AccountDocument } from './documents';
import { findAccount, type Store } from './store';

/** Something an erasure left behind. */
export interface Leftover {
  readonly collection: string;
  readonly records: number;
}

/** What the search leaves out: the account's own documents, which the tombstone replaces, and what the list says is kept. */
const declaredRemainder = dataSets
  .filter((set) => set.erasure === 'keep' || set.erasure === 'reduce')
  .map((set) => set.collection);

/**
 * Searches the database for an account, by a way of its own: it does not walk the list of data sets but asks the server
 * what collections there are, so that one nobody declared is searched too. Only the declared remainder is left out.
 */
export async function searchRemains(store: Store, account: string): Promise<Leftover[]> {
  const database = store.connection.getClient().db(store.connection.name);
  const left: Leftover[] = [];
  for (const { name } of await database.listCollections({}, { nameOnly: true }).toArray()) {
    if (name.startsWith('system.') || declaredRemainder.includes(name)) continue;
    const collection = database.collection<{ _id: string }>(name);
    const declared = dataSets.find((set) => set.collection === name);
    // One question for each index: a single one with all of them would read large collections from end to end.
    const questions: mongo.Filter<{ _id: string }>[] = [
      declared === undefined ? { account } : ownedBy(account, declared),
      { _id: account },
      { _id: { $gte: `${account}:`, $lt: `${account};` } },
      ...(declared === undefined ? [{ accountId: account }] : []),
    ];
    let records = 0;
    for (const question of questions) records = Math.max(records, await collection.countDocuments(question));
    if (records > 0) left.push({ collection: name, records });
  }
  return left;
}

/**
 * Ends an erasure: removes what belongs to the account beside its records, searches for remains, and records the
 * erasure with what was erased, while the account's document is reduced to a tombstone. Safe to repeat.
 *
 * @throws {ErasureIncompleteError} the search found something; nothing is recorded as erased
 * @throws {ErasureBlockedError} a hold stands, or the account is not being erased
 */
export async function concludeErasure(store: Store, step: StepRecord): Promise<RecordedStep> {
  const recorded = await store.transaction(async (session) => {
    const account = await findAccount(store, step.account, session);
    if (account !== null && account.seq >= step.seq) return repeated(store, session, account, step);
    assertErasing(account, step.account);
    for (const set of dataSets) {
      if (set.erasure !== 'delete-last') continue;
      await store.connection.collection(set.collection).deleteMany(ownedBy(step.account, set), { session });
    }
    // Touching the account makes a hold recorded meanwhile a conflict, not a surprise (R9).
    await native(store.accounts).updateOne({ _id: step.account }, { $inc: { version: 1 } }, { session });
    return undefined;
  });
  if (recorded !== undefined) return recorded;
  const left = await searchRemains(store, step.account);
  if (left.length > 0) {
    const places = left.map(({ collection, records }) => `${records} in ${collection}`).join(', ');
    throw new ErasureIncompleteError(`the search after erasing account ${step.account} found ${places}`);
  }
  return store.transaction(async (session) => {
    const account = await findAccount(store, step.account, session);
    if (account !== null && account.seq >= step.seq) return repeated(store, session, account, step);
    const erasing = assertErasing(account, step.account);
    const version = erasing.version + 1;
    const gate = await native(store.gates).findOneAndDelete({ _id: step.account }, { session });
    const tombstone: AccountDocument = {
      _id: step.account,
      region: store.region,
      state: 'erased',
      since: new Date(step.at),
      erasedAt: new Date(step.at),
      lifecycle: step.lifecycle,
      inactive: [],
      seq: step.seq,
      version,
      createdAt: erasing.createdAt,
      ...(gate?.refused === undefined ? {} : { lateRefused: gate.refused }),
    };
    await native(store.accounts).replaceOne({ _id: step.account }, tombstone, { session });
    await appendEntry(store, session, {
      ...step,
      details: {
        ...step.details,
        erased: erasing.erasing?.sets ?? {},
        late: { discarded: gate?.discarded ?? 0, refused: gate?.refused ?? 0 },
        searched: 'every collection',
        except: declaredRemainder,
        found: 0,
      },
    });
    return { seq: step.seq, version };
  });
}

function assertErasing(account: AccountDocument | null, id: string): AccountDocument {
  if (account?.state !== 'expired' || account.erasing === undefined) {
    throw new ErasureBlockedError(`account ${id} is not being erased`);
  }
  if (account.erasing.halted === true)
    throw new ErasureBlockedError(`a legal hold stopped the erasure of account ${id}`);
  if (account.lifecycle.holds.length > 0) throw new ErasureBlockedError(`a legal hold stands on account ${id}`);
  return account;
}
