/**
 * What the law keeps of an erased account (R10): reading it, and erasing it once its date has passed.
 *
 * 1. It goes by the date: everything of one date is one lapse, with one certificate.
 * 2. A lapse begins only when Temporal's clock and the database server's both say that the date has passed, and agree. Until
 *    then it waits, and says so once.
 * 3. It is begun, goes in batches and is concluded in transactions with the tombstone: whoever repeats any of it finds
 *    how far it came, and nobody issues a second certificate.
 */
import type { ClientSession, mongo } from 'mongoose';
import { native } from '../database';
import { bySystem } from '../lifecycle';
import { issueCertificate, newCertificateId, type CertifiedDelay, type Retained } from './certificates';
import type { AccountDocument, Lapse, SealedDocument } from './documents';
import { completeLapse } from './destroy-key';
import { deleteThroughGate } from './gate';
import { findAccount, findAccountWith, type Store } from './store';

/** What the law keeps of an account, by data set, law and date, the first to go first. */
export function retainedOf(store: Store, account: string, session?: ClientSession): Promise<Retained[]> {
  return groupsOf(store, { subject: subjectOf(store, account) }, session);
}

function subjectOf({ vault }: Store, account: string): string {
  return vault.pseudonymOf(account);
}

interface Group {
  readonly _id: Pick<SealedDocument, 'dataset' | 'law' | 'until'>;
  readonly records: number;
}

async function groupsOf(
  store: Store,
  match: mongo.Filter<SealedDocument>,
  session?: ClientSession,
): Promise<Retained[]> {
  const groups = await native(store.sealed)
    .aggregate<Group>(
      [
        { $match: match },
        { $group: { _id: { until: '$until', dataset: '$dataset', law: '$law' }, records: { $sum: 1 } } },
        { $sort: { '_id.until': 1, '_id.dataset': 1, '_id.law': 1 } },
      ],
      session === undefined ? {} : { session },
    )
    .toArray();
  return groups.map(({ _id: { dataset, law, until }, records }) => ({
    dataset,
    records,
    law,
    until: until.toISOString(),
  }));
}

/**
 * When the next of what the law keeps of an account goes; `undefined` where nothing is kept any more. What has begun to go
 * comes first, even if nothing of it is left: its certificate is to be issued still.
 */
export async function nextLapse(store: Store, account: string, session?: ClientSession): Promise<Date | undefined> {
  const within = session === undefined ? {} : { session };
  const begun = await findAccountWith(store, account, { projection: { lapsing: 1 }, ...within });
  if (begun?.lapsing !== undefined) return begun.lapsing.until;
  const [first] = await native(store.sealed)
    .find(
      { subject: subjectOf(store, account) },
      { sort: { until: 1, _id: 1 }, limit: 1, projection: { until: 1 }, ...within },
    )
    .toArray();
  return first?.until;
}

/** By what it is judged whether a date has passed. */
export interface LapseJudgement {
  /** Temporal's clock; the database server is asked for its own. */
  readonly temporal: Date;
  /** By how much the two may differ, in milliseconds. */
  readonly tolerance: number;
}

/** What tells and asks while a lapse is carried out. */
export interface LapseHooks {
  readonly progress?: (erased: number, found: number) => void;
  /** Throws to stop between two batches. */
  readonly checkpoint?: () => void;
}

/** How a lapse went. */
export type LapseOutcome =
  | { readonly outcome: 'erased'; readonly records: number; readonly certificate: string }
  /** There is nothing of that date, or somebody else has carried it out. */
  | { readonly outcome: 'nothing' }
  /** The account is not erased: what is sealed of it stays. */
  | { readonly outcome: 'not-erased' }
  /** By one of two clocks the date has not passed; they agree otherwise. Ask again in a moment. */
  | { readonly outcome: 'not-due' }
  /** The two clocks disagree. Somebody has to look at them. */
  | { readonly outcome: 'delayed'; readonly temporal: string; readonly database: string };

/** Records erased in one transaction, at most. */
const batchSize = 200;

/**
 * Erases what the law let go of an account on a date, and issues the certificate that says so. Safe to repeat. Erases
 * nothing unless two clocks say that the date has passed.
 */
export async function eraseLapsed(
  store: Store,
  account: string,
  until: Date,
  judgement: LapseJudgement,
  hooks: LapseHooks = {},
): Promise<LapseOutcome> {
  const outcome = await carryOut(store, account, until, judgement, hooks);
  // Also where there is nothing: whoever carried it out may have come no further.
  if (outcome.outcome === 'erased' || outcome.outcome === 'nothing') await completeLapse(store, account);
  return outcome;
}

async function carryOut(
  store: Store,
  account: string,
  until: Date,
  judgement: LapseJudgement,
  hooks: LapseHooks,
): Promise<LapseOutcome> {
  const begun = await begin(store, account, until, judgement);
  if ('outcome' in begun) return begun;
  const found = countOf(begun);
  for (;;) {
    hooks.checkpoint?.();
    const erased = await eraseBatch(store, account, until);
    if (erased === undefined) break;
    hooks.progress?.(erased, found);
  }
  return conclude(store, account, until);
}

const nothing = { outcome: 'nothing' } as const;

async function begin(
  store: Store,
  account: string,
  until: Date,
  { temporal, tolerance }: LapseJudgement,
): Promise<Lapse | LapseOutcome> {
  const database = await store.databaseTime();
  const clocks = { temporal, database };
  return store.transaction(async (session) => {
    const tombstone = await findAccount(store, account, session);
    if (tombstone?.state !== 'erased') return { outcome: 'not-erased' };
    // What began was judged then.
    if (tombstone.lapsing?.until.getTime() === until.getTime()) return tombstone.lapsing;
    // One date after the other: what began is concluded first.
    if (tombstone.lapsing !== undefined) return nothing;
    const found = await groupsOf(store, { subject: subjectOf(store, account), until }, session);
    if (found.length === 0) return nothing;
    if (Math.abs(temporal.getTime() - database.getTime()) > tolerance) {
      await recordDelay(store, session, tombstone._id, until, clocks);
      return { outcome: 'delayed', temporal: temporal.toISOString(), database: database.toISOString() };
    }
    if (temporal < until || database < until) return { outcome: 'not-due' };
    const lapsing: Lapse = {
      until,
      since: database,
      clocks,
      found: found.map(({ dataset, law, records }) => ({ dataset, law, records })),
      erased: 0,
    };
    const update = { $set: { lapsing }, $inc: { version: 1 } };
    await native(store.accounts).updateOne({ _id: tombstone._id }, update, { session });
    return lapsing;
  });
}

/** @returns how many are gone by now; nothing once none is left */
async function eraseBatch(store: Store, account: string, until: Date): Promise<number | undefined> {
  const next = await native(store.sealed)
    .find({ subject: subjectOf(store, account), until }, { limit: batchSize, projection: { _id: 1 } })
    .toArray();
  if (next.length === 0) return undefined;
  const went = await deleteThroughGate(store, {
    account,
    purpose: 'retained',
    sets: { sealed: { _id: { $in: next.map(({ _id }) => _id) }, until } },
    only: ({ lapsing }) => lapsing?.until.getTime() === until.getTime(),
    change: ({ sealed = 0 }) => ({ $inc: { 'lapsing.erased': sealed, version: 1 } }),
  });
  // The gate is closed where somebody else has concluded it: then there is nothing more to do here.
  return went?.account.lapsing?.erased;
}

async function conclude(store: Store, account: string, until: Date): Promise<LapseOutcome> {
  return store.transaction(async (session) => {
    const tombstone = await findAccount(store, account, session);
    const lapse = tombstone?.lapsing;
    if (tombstone === null || lapse?.until.getTime() !== until.getTime()) return nothing;
    const { _id } = tombstone;
    const left = await native(store.sealed).countDocuments({ subject: subjectOf(store, _id), until }, { session });
    const records = countOf(lapse);
    if (left > 0 || lapse.erased !== records) {
      throw new Error(`of ${records} kept until ${until.toISOString()}, ${lapse.erased} went and ${left} are left`);
    }
    const at = await store.databaseTime();
    const retained = await retainedOf(store, _id, session);
    const certificate = newCertificateId();
    const last = retained.at(-1);
    await native(store.accounts).updateOne(
      { _id },
      {
        $set: {
          certificateIds: [...(tombstone.certificateIds ?? []), certificate],
          ...(last === undefined ? {} : { retainedUntil: new Date(last.until) }),
        },
        $unset: { lapsing: '', ...(last === undefined ? { retainedUntil: '' } : {}) },
        $inc: { version: 1 },
      },
      { session },
    );
    const details = { until: until.toISOString(), sets: lapse.found, certificate };
    const entry = { at, actor: bySystem, action: 'retained.erased', account: _id, details };
    const { _id: entryId } = await store.audit.append(session, entry);
    await certify(store, session, tombstone, lapse, { id: certificate, entry: entryId, retained, at });
    return { outcome: 'erased', records, certificate };
  });
}

interface Certifying {
  /** Of the certificate. */
  readonly id: string;
  /** The id of the audit entry. */
  readonly entry: string;
  readonly retained: readonly Retained[];
  readonly at: Date;
}

async function certify(
  store: Store,
  session: ClientSession,
  { _id: account, certificateIds }: AccountDocument,
  { until, clocks, found }: Lapse,
  { id, entry, retained, at }: Certifying,
): Promise<void> {
  const [first] = certificateIds ?? [];
  await issueCertificate(store, session, {
    id,
    entry,
    kind: 'retained-erasure',
    account,
    issuedAt: at,
    content: {
      region: store.region,
      ...(first === undefined ? {} : { follows: first }),
      erasedAt: at.toISOString(),
      clocks: { temporal: clocks.temporal.toISOString(), database: clocks.database.toISOString() },
      sets: found.map(({ dataset, law, records }) => ({
        dataset,
        found: records,
        erased: records,
        left: 0,
        rule: 'R10',
        law,
        keptUntil: until.toISOString(),
      })),
      retained,
      delays: await delaysOf(store, session, account, until, at),
    },
  });
}

function countOf({ found }: Lapse): number {
  return found.reduce((sum, { records }) => sum + records, 0);
}

// Delays

const delayed = 'retained.erasure-delayed';

/** Says once for each date that its erasure has to wait, and what the clocks said. */
async function recordDelay(
  store: Store,
  session: ClientSession,
  account: string,
  until: Date,
  { temporal, database }: Lapse['clocks'],
): Promise<void> {
  if (await wasDelayed(store, session, account, until)) return;
  // Two who say it at once would both say it: writing the tombstone too makes it a conflict.
  await native(store.accounts).updateOne({ _id: account }, { $inc: { passes: 1 } }, { session });
  const details = {
    until: until.toISOString(),
    reason: 'clocks-disagree',
    temporal: temporal.toISOString(),
    database: database.toISOString(),
  };
  await store.audit.append(session, { at: database, actor: bySystem, action: delayed, account, details });
}

async function wasDelayed(store: Store, session: ClientSession, account: string, until: Date): Promise<boolean> {
  const entry = await native(store.audit.entries).findOne(
    { subject: store.vault.pseudonymOf(account), action: delayed, 'details.until': until.toISOString() },
    { session, projection: { _id: 1 } },
  );
  return entry !== null;
}

/** It counts from the date: what a clock said that was wrong is in the audit log. */
async function delaysOf(
  store: Store,
  session: ClientSession,
  account: string,
  until: Date,
  at: Date,
): Promise<CertifiedDelay[]> {
  if (!(await wasDelayed(store, session, account, until))) return [];
  return [{ reason: 'clocks-disagree', since: until.toISOString(), until: at.toISOString() }];
}
