/** Proving that an erasure left nothing, and leaving the tombstone in place of the account (R6, R8, R22). */
import type { ClientSession } from 'mongoose';
import { native } from '../database';
import { deadlineOf, type Lifecycle } from '../lifecycle';
import {
  issueCertificate,
  newCertificateId,
  type ErasedSet,
  type ErasureCertificate,
  type Retained,
} from './certificates';
import { delaysEnded, recordDelay } from './delays';
import { destroyAccountKey } from './destroy-key';
import type { AccountDocument } from './documents';
import type { ErasureHooks, OutsideStore } from './erase';
import { ErasureBlockedError, ErasureIncompleteError } from './errors';
import { deleteIn } from './gate';
import { certifiedCourse, type CertifiedCourse } from './honoured';
import { dataSets, type DataSet } from './map';
import { ownedIn, tombstoneId } from './names';
import { assertAsPlanned } from './plan';
import { createProcessorRequests, processorRequestsOf } from './processors';
import { appendEntry, repeated, type RecordedStep, type StepRecord } from './record-step';
import { retainedOf } from './retained';
import { searchRemains, type Search } from './search';
import { findAccount, type Store } from './store';

/** What follows an erasure: processors to be told, and what the law keeps to be waited for (R10). */
export interface ConcludedErasure extends RecordedStep {
  /** What the account is called from now on: its pseudonym. */
  readonly subject: string;
  /** The ids of requests to processors. */
  readonly told: readonly string[];
  /** Something was sealed. */
  readonly retained: boolean;
}

/** What goes at the very end: it belongs to the account as long as there is one. */
const lastSets = Object.fromEntries(
  dataSets.filter((set) => set.erasure === 'delete-last').map(({ name }) => [name, {}]),
);

/**
 * Ends an erasure: removes what belongs to the account beside its records, searches for remains, and records the
 * erasure with its certificate, while a tombstone takes the place of the account's document; then destroys the account's
 * key, and completes the certificate. Safe to repeat, whichever of these steps it came to.
 *
 * @throws {ErasureIncompleteError} the search found something; nothing is recorded as erased
 * @throws {ErasureBlockedError} a hold stands, or the account is not being erased
 * @throws {PlanDeviationError} this process would do something else than the plan in force says
 */
export async function concludeErasure(
  store: Store,
  step: StepRecord,
  outside: readonly OutsideStore[] = [],
  { checkpoint }: Pick<ErasureHooks, 'checkpoint'> = {},
): Promise<ConcludedErasure> {
  const before = await findAccount(store, step.account);
  const recorded = before !== null && before.seq >= step.seq;
  const concluded = recorded
    ? await repeat(store, step)
    : await leaveTombstone(store, step, before, outside, checkpoint);
  // Not before: until the tombstone stands a hold may come, and what it protects has to stay readable (R9).
  await destroyAccountKey(store, step.account);
  return concluded;
}

/** An account that turned out to be erased, and what follows that. */
export interface FinishedErasure extends Omit<ConcludedErasure, 'receipt' | 'withdrawn'> {
  readonly lifecycle: Lifecycle;
}

/**
 * Does what is left to do of an erasure that is recorded, by whomever: for a workflow that did not hear of it. Safe to repeat.
 *
 * @returns nothing where the account is not erased
 */
export async function finishErasure(store: Store, account: string): Promise<FinishedErasure | undefined> {
  const tombstone = await findAccount(store, account);
  if (tombstone?.state !== 'erased') return undefined;
  await destroyAccountKey(store, account);
  const { seq, version, lifecycle } = tombstone;
  return { seq, version, lifecycle, ...(await followingOf(store, tombstone)) };
}

async function leaveTombstone(
  store: Store,
  step: StepRecord,
  before: AccountDocument | null,
  outside: readonly OutsideStore[],
  checkpoint: ErasureHooks['checkpoint'],
): Promise<ConcludedErasure> {
  const { plan } = assertErasing(before, step.account).erasing;
  await assertAsPlanned(store, step.account, plan);
  const deletion = { account: step.account, purpose: 'erasure', sets: lastSets } as const;
  const only = ({ lifecycle, erasing }: AccountDocument) =>
    lifecycle.holds.length === 0 && erasing?.plan.hash === plan.hash;
  // Touching the account makes a hold recorded meanwhile a conflict, not a surprise (R9).
  const change = (deleted: Readonly<Record<string, number>>) => ({
    $inc: { version: 1, ...Object.fromEntries(Object.entries(deleted).map(([set, n]) => [`erasing.sets.${set}`, n])) },
  });
  const gone = await store.transaction((session) => deleteIn(store, session, { ...deletion, only, change }));
  if (gone === undefined) throw new ErasureBlockedError(`account ${step.account} may not be erased as things are`);
  const search = await searchRemains(store, step.account, outside, checkpoint);
  const searchedAt = await store.databaseTime();
  if (search.found.length > 0) {
    const places = search.found.map(({ collection, records }) => `${records} in ${collection}`).join(', ');
    const detail = `the search after erasing account ${step.account} found ${places}`;
    await recordDelay(store, step.account, 'remains-found', detail, await store.databaseTime());
    throw new ErasureIncompleteError(detail);
  }
  const course = await certifiedCourse(store, step.account, before?.lifecycle.since ?? '');
  return store.transaction(async (session): Promise<ConcludedErasure> => {
    const account = await findAccount(store, step.account, session);
    // Somebody else has concluded it meanwhile.
    if (account?.state === 'erased') return repeatIn(store, session, account, step);
    const erasing = assertErasing(account, step.account);
    // Something was recorded since this was asked for: what was searched then says nothing of now.
    if (erasing.seq !== step.seq - 1) throw new ErasureBlockedError(`account ${step.account} has changed since`);
    const at = new Date(step.at);
    const gate = await native(store.gates).findOne({ _id: step.account }, { session });
    await native(store.gates).deleteOne({ _id: step.account }, { session });
    const retained = await retainedOf(store, step.account, session);
    const late = { discarded: gate?.discarded ?? 0, refused: gate?.refused ?? 0 };
    const certificate = newCertificateId();
    const told = await createProcessorRequests(store, session, { account: step.account, certificate, at });
    const version = erasing.version + 1;
    const tombstone: AccountDocument = {
      _id: tombstoneId(store, step.account),
      region: store.region,
      state: 'erased',
      since: at,
      // As its certificate says: when nothing was found any more, which may be long after it was decided.
      erasedAt: searchedAt,
      lifecycle: step.lifecycle,
      inactive: [],
      seq: step.seq,
      version,
      createdAt: erasing.createdAt,
      certificateIds: [certificate],
      ...(retained.length === 0 ? {} : { retainedUntil: lastOf(retained) }),
      ...(late.refused === 0 ? {} : { lateRefused: late.refused }),
    };
    await native(store.accounts).deleteOne({ _id: erasing._id }, { session });
    await native(store.accounts).insertOne(tombstone, { session });
    const entry = await appendEntry(store, session, {
      ...step,
      details: {
        ...step.details,
        certificate,
        plan: erasing.erasing.plan.hash,
        erased: erasing.erasing.sets,
        retained: retained.map(({ dataset, records, until }) => ({ dataset, records, until })),
        late,
        searched: search.collections.length,
        except: search.except,
        found: 0,
        told: told.length,
      },
    });
    // The entry just written is among what is kept.
    const kept = await keptOf(store, session, step.account);
    const content = contentOf(store, erasing, { at: searchedAt, late, retained, search, told, kept, course });
    await issueCertificate(store, session, {
      id: certificate,
      account: step.account,
      kind: 'erasure',
      issuedAt: searchedAt,
      entry,
      content,
    });
    return {
      seq: step.seq,
      version,
      subject: store.vault.pseudonymOf(step.account),
      told: told.map(({ request }) => request),
      retained: retained.length > 0,
    };
  });
}

/** How much is kept of an account on purpose; what the law keeps is told apart, under the data set it comes from. */
async function keptOf(
  store: Store,
  session: ClientSession,
  account: string,
): Promise<Readonly<Record<string, number>>> {
  const kept: Record<string, number> = {};
  for (const set of dataSets) {
    if (set.erasure !== 'keep' || set.name === 'sealed') continue;
    const collection = store.connection.collection(set.collection);
    kept[set.name] = await collection.countDocuments(ownedIn(store, account, set), { session });
  }
  return kept;
}

/** The same answer again, from what is on record. */
async function repeat(store: Store, step: StepRecord): Promise<ConcludedErasure> {
  return store.transaction(async (session) => {
    const account = await findAccount(store, step.account, session);
    if (account === null) throw new ErasureBlockedError(`there is no account ${step.account}`);
    return repeatIn(store, session, account, step);
  });
}

async function repeatIn(
  store: Store,
  session: ClientSession,
  account: AccountDocument,
  step: StepRecord,
): Promise<ConcludedErasure> {
  const recorded = await repeated(store, session, account, step);
  return { ...recorded, ...(await followingOf(store, account)) };
}

/** What follows the erasure of an account that is erased. */
async function followingOf(
  store: Store,
  { _id, certificateIds, retainedUntil }: AccountDocument,
): Promise<Pick<ConcludedErasure, 'subject' | 'told' | 'retained'>> {
  const told = await processorRequestsOf(store, certificateIds?.[0] ?? '');
  return { subject: store.vault.pseudonymOf(_id), told, retained: retainedUntil !== undefined };
}

type Erasing = AccountDocument & Required<Pick<AccountDocument, 'erasing'>>;

function assertErasing(account: AccountDocument | null, id: string): Erasing {
  if (account?.state !== 'expired' || account.erasing === undefined) {
    throw new ErasureBlockedError(`account ${id} is not being erased`);
  }
  if (account.erasing.halted === true)
    throw new ErasureBlockedError(`a legal hold stopped the erasure of account ${id}`);
  if (account.lifecycle.holds.length > 0) throw new ErasureBlockedError(`a legal hold stands on account ${id}`);
  return { ...account, erasing: account.erasing };
}

interface Findings {
  /** When it was searched and found to be erased: later than it was asked for, perhaps by days. */
  readonly at: Date;
  readonly late: ErasureCertificate['late'];
  readonly retained: readonly Retained[];
  readonly search: Search;
  readonly told: ErasureCertificate['processors'];
  /** By data set. */
  readonly kept: Readonly<Record<string, number>>;
  readonly course: CertifiedCourse;
}

/** What the certificate says: each data set of the plan, what became of it, and why anything is left. */
function contentOf(
  store: Store,
  account: Erasing,
  { at, late, retained, search, told, kept, course }: Findings,
): ErasureCertificate {
  const { erasing, lifecycle } = account;
  const { closure = 'voluntary', period, overrides } = lifecycle;
  const { suspendedAt, holds } = course;
  return {
    region: store.region,
    account: {
      openedAt: account.createdAt.toISOString(),
      ...(closure === 'forced' && suspendedAt !== undefined ? { suspendedAt } : {}),
      closedAt: lifecycle.since,
      closure,
      dueAt: deadlineOf(lifecycle)?.at ?? at.toISOString(),
      erasedAt: at.toISOString(),
    },
    planHash: erasing.plan.hash,
    sets: dataSets.map((set) => setOf(set, erasing, retained, kept[set.name] ?? 0)),
    retained,
    late,
    policy: {
      ...(period === undefined ? {} : { expiryPeriod: period.length }),
      ...(period?.notBefore === undefined ? {} : { notBefore: period.notBefore }),
      ...(overrides.activeRetentionDays === undefined ? {} : { activeRetentionDays: overrides.activeRetentionDays }),
    },
    holds,
    delays: delaysEnded(account, at).map(({ reason, since, until = at }) => ({
      reason,
      since: since.toISOString(),
      until: until.toISOString(),
    })),
    search: { at: at.toISOString(), collections: search.collections, except: search.except, found: 0 },
    processors: told,
  };
}

function setOf(
  set: DataSet,
  { sets, plan }: Erasing['erasing'],
  retained: readonly Retained[],
  keptOnPurpose: number,
): ErasedSet {
  const rule = plan.steps.find(({ dataset }) => dataset === set.name)?.rule ?? 'R6';
  const went = sets[set.name] ?? 0;
  const kept = retained.filter(({ dataset }) => dataset === set.name);
  const left = kept.reduce((sum, { records }) => sum + records, 0);
  return {
    dataset: set.name,
    found: went + keptOnPurpose,
    erased: went - left,
    left: left + keptOnPurpose,
    rule,
    ...(left === 0 ? {} : { reason: kept.map(({ law }) => law).join('; '), until: lastOf(kept).toISOString() }),
    ...(set.reason === undefined ? {} : { reason: set.reason }),
    ...(set.erasure === 'reduce'
      ? { reason: 'reduced to what proves the erasure and keeps the id from being used again' }
      : {}),
  };
}

function lastOf(retained: readonly Retained[]): Date {
  return new Date(Math.max(...retained.map(({ until }) => Date.parse(until))));
}
