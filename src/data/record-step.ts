/**
 * Recording a step of an account's course: the account as it is from now on and the audit entry that says so, in one
 * transaction.
 *
 * 1. A step is recorded at most once: it is known by account, number and transition id.
 * 2. The same number with another transition id is a contradiction to stop on, never a repeat.
 * 3. Nothing else changes an account's course, and nothing changes it without an entry.
 */
import { native } from '../database';
import type { ClientSession } from 'mongoose';
import {
  deadlineOf,
  heldBy,
  isDue,
  isErasable,
  type Actor,
  type Details,
  type Instant,
  type Lifecycle,
  type LifecycleAction,
} from '../lifecycle';
import {
  AccountExistsError,
  AccountMissingError,
  SequenceConflictError,
  SequenceGapError,
  VersionMismatchError,
  WrongRegionError,
} from './errors';
import type { AccountDocument, AccountDraft, ErasureProgress, Inactivity } from './documents';
import { delaysEnded } from './delays';
import { profileOf } from './profile';
import { reportPurge } from './purge-tally';
import { findAccount, type Store } from './store';
import { withdrawExportsIn, withdrawnAt } from './withdraw';

/** A step, as the workflow asks for it to be recorded. Plain JSON. */
export interface StepRecord {
  readonly account: string;
  /** 1 for the account's creation, then one more for each step. */
  readonly seq: number;
  readonly transitionId: string;
  readonly at: Instant;
  readonly actor: Actor;
  readonly requestId?: string;
  readonly action: LifecycleAction;
  readonly details: Details;
  /** The account's course once the step is taken. */
  readonly lifecycle: Lifecycle;
  /** The step on record that this one follows, where a restore has lost those in between. */
  readonly after?: number;
  /** The version the caller saw; the step is not taken if the account has changed since. */
  readonly ifVersion?: number;
}

/** What an erasure had already taken when a hold was placed in the middle of it (R9). */
export interface HoldReceipt {
  readonly erasureSince: Instant;
  /** Records erased, by data set. */
  readonly erased: Readonly<Record<string, number>>;
}

export interface RecordedStep {
  readonly seq: number;
  readonly version: number;
  readonly receipt?: HoldReceipt;
  /** The exports that were withdrawn because the account is no longer active (R15). */
  readonly withdrawn?: readonly string[];
}

/**
 * Records a step. Safe to repeat.
 *
 * @throws {SequenceConflictError} another step has this number
 * @throws {SequenceGapError} the step before it is not recorded yet
 * @throws {VersionMismatchError} the account is not at `ifVersion`
 * @throws {AccountMissingError} there is no such account
 */
export async function recordStep(store: Store, step: StepRecord): Promise<RecordedStep> {
  return store.transaction((session) => recordStepIn(store, session, step));
}

/** {@link recordStep} inside a transaction of the caller's, with further changes of the account it belongs with. */
export async function recordStepIn(
  store: Store,
  session: ClientSession,
  step: StepRecord,
  extra: Pick<AccountDocument, 'erasing' | 'delays'> = {},
): Promise<RecordedStep> {
  const before = await findAccount(store, step.account, session);
  if (before === null) throw new AccountMissingError(`there is no account ${step.account}`);
  if (before.region !== store.region) throw new WrongRegionError(`account ${step.account} belongs to ${before.region}`);
  if (before.seq >= step.seq) return repeated(store, session, before, step);
  if (before.seq !== (step.after ?? step.seq - 1)) {
    throw new SequenceGapError(
      `account ${step.account} is at step ${before.seq}, not at ${step.after ?? step.seq - 1}`,
    );
  }
  if (step.ifVersion !== undefined && before.version !== step.ifVersion) {
    throw new VersionMismatchError(`account ${step.account} is at version ${before.version}, not ${step.ifVersion}`);
  }
  const version = before.version + 1;
  const inactive = inactivityAfter(before, step.lifecycle);
  const erasing = step.lifecycle.erasingSince === undefined ? undefined : (extra.erasing ?? erasingAfter(before, step));
  await native(store.accounts).updateOne(
    { _id: step.account },
    update({
      ...courseFields(step.lifecycle),
      inactive,
      seq: step.seq,
      version,
      erasing,
      purging: undefined,
      ...formerlyAfter(before, step),
      ...(extra.delays === undefined ? delaysAfter(before, step) : { delays: extra.delays }),
    }),
    { session },
  );
  if (before.purging !== undefined) {
    await reportPurge(store, session, step.account, before.purging, new Date(step.at));
  }
  await wakeSweep(store, session, step);
  const takenBack = leavesActive(before, step) || keepsLess(before, step);
  const withdrawn = takenBack ? await withdrawExportsIn(store, session, withdrawalFor(step)) : [];
  await appendEntry(store, session, step);
  return { seq: step.seq, version, ...receiptFor(step, before), ...(withdrawn.length === 0 ? {} : { withdrawn }) };
}

/** R15: what a locked account's customer may no longer have includes what was exported before. */
function leavesActive({ state }: AccountDocument, { lifecycle }: StepRecord): boolean {
  return state === 'active' && lifecycle.state !== 'active';
}

/** R12: an archive made before holds what is to go now. One made from now on holds nothing past its age. */
function keepsLess({ lifecycle: was }: AccountDocument, { lifecycle: is }: StepRecord): boolean {
  const before = was.overrides.activeRetentionDays ?? Infinity;
  return (is.overrides.activeRetentionDays ?? Infinity) < before;
}

function withdrawalFor({ account, at, actor, action, requestId }: StepRecord) {
  return { account, at: new Date(at), actor, reason: action, ...(requestId === undefined ? {} : { requestId }) };
}

/**
 * R12: when the policy changes or a hold ends, records may be past their age already: the next sweep looks. By the earlier
 * of the two clocks, so that one that is fast by years does not put it off by as much.
 */
async function wakeSweep(store: Store, session: ClientSession, step: StepRecord): Promise<void> {
  if (step.action !== 'policy.changed' && step.action !== 'hold.released') return;
  const ages = step.lifecycle.overrides.activeRetentionDays !== undefined;
  const now = Math.min(Date.parse(step.at), (await store.databaseTime()).getTime());
  const change = ages ? { $set: { purgeAt: new Date(now) } } : { $unset: { purgeAt: '' as const } };
  await native(store.gates).updateOne({ _id: step.account }, change, { session });
}

/** The creation of an account: its draft becomes the account, together with the first step. */
export interface CreationRecord extends StepRecord {
  readonly draftId: string;
}

/**
 * Records an account's creation. Safe to repeat.
 *
 * @throws {AccountExistsError} the id is taken, by an account or by the tombstone of one (R8)
 * @throws {AccountMissingError} the draft is gone: creation was given up long ago
 */
export async function recordCreation(store: Store, step: CreationRecord): Promise<RecordedStep> {
  return store.transaction(async (session) => {
    const taken = await findAccount(store, step.account, session);
    if (taken !== null) {
      const entry = await store.audit.findStep(session, step.account, step.seq);
      if (entry?.transitionId === step.transitionId) return { seq: taken.seq, version: taken.version };
      throw new AccountExistsError(`the id ${step.account} is taken, and ids are never reused`);
    }
    const draft = await store.drafts.findById(step.draftId, null, { session }).lean<AccountDraft>().exec();
    if (draft?.account !== step.account) {
      throw new AccountMissingError(`the draft of account ${step.account} is gone`);
    }
    const document: AccountDocument = {
      _id: step.account,
      region: store.region,
      ...(await profileOf(store, draft)),
      plan: draft.plan,
      locale: draft.locale,
      ...withoutUndefined(courseFields(step.lifecycle)),
      inactive: step.lifecycle.state === 'active' ? [] : [{ from: new Date(step.lifecycle.since) }],
      seq: step.seq,
      version: 1,
      createdAt: new Date(step.at),
    };
    await native(store.accounts).insertOne(document, { session });
    await native(store.gates).insertOne({ _id: step.account, open: true, passed: 0 }, { session });
    await native(store.drafts).deleteMany({ account: step.account }, { session });
    await appendEntry(store, session, step);
    return { seq: step.seq, version: 1 };
  });
}

/** Adds the step's own entry to the audit log. @returns the entry's id */
export async function appendEntry(store: Store, session: ClientSession, step: StepRecord): Promise<string> {
  const { _id } = await store.audit.append(session, {
    at: new Date(step.at),
    actor: step.actor,
    action: step.action,
    account: step.account,
    details: step.details,
    seq: step.seq,
    transitionId: step.transitionId,
    ...(step.requestId === undefined ? {} : { requestId: step.requestId }),
  });
  return _id;
}

/** The answer to a step that is recorded already, or a stop if another one is in its place. */
export async function repeated(
  store: Store,
  session: ClientSession,
  account: AccountDocument,
  step: StepRecord,
): Promise<RecordedStep> {
  const entry = await store.audit.findStep(session, step.account, step.seq);
  // A workflow that was restored from before makes the same ids again, for whatever it does then: a repeat is the same in
  // everything.
  const same = entry?.transitionId === step.transitionId && entry.action === step.action && isAt(entry.at, step.at);
  if (!same) {
    throw new SequenceConflictError(
      `step ${step.seq} of account ${step.account} is recorded as ${entry?.action ?? 'nothing'} ` +
        `(${entry?.transitionId ?? 'no id'}), not as ${step.action} (${step.transitionId})`,
    );
  }
  const withdrawn = await withdrawnAt(store, session, step.account, new Date(step.at));
  return {
    seq: account.seq,
    version: account.version,
    ...receiptFor(step, account),
    ...(withdrawn.length === 0 ? {} : { withdrawn }),
  };
}

function isAt(at: Date, instant: Instant): boolean {
  return at.getTime() === Date.parse(instant);
}

/** A hold ends the erasure that runs, even if it is released again before that notices (R9). */
function erasingAfter({ erasing }: AccountDocument, { action }: StepRecord): ErasureProgress | undefined {
  return erasing !== undefined && action === 'hold.placed' ? { ...erasing, halted: true } : erasing;
}

/**
 * What the account remembers of an erasure that was late, once nothing is due any more: a hold or a later date ends the
 * delay, and a new closure begins without those of the one before, and without what the breaker said of it.
 */
function delaysAfter(
  before: AccountDocument,
  { lifecycle, at }: StepRecord,
): Partial<Record<'delays' | 'heldBack', unknown>> {
  if (before.delays === undefined && before.heldBack === undefined) return {};
  if (lifecycle.state !== 'expired') return { delays: undefined, heldBack: undefined };
  const deadline = deadlineOf(lifecycle);
  if (deadline !== undefined && isDue(deadline.at, at) && isErasable(lifecycle)) return {};
  return before.delays === undefined ? {} : { delays: delaysEnded(before, new Date(at)) };
}

/** R9: what corrections replaced is kept while a hold on the whole account stands, and no longer. */
function formerlyAfter({ formerly }: AccountDocument, { lifecycle }: StepRecord): { formerly?: undefined } {
  return formerly === undefined || heldBy(lifecycle.holds) === 'everything' ? {} : { formerly: undefined };
}

/** R9: a hold placed in the middle of an erasure is answered with what had gone. */
function receiptFor({ action }: StepRecord, { erasing }: AccountDocument): { receipt?: HoldReceipt } {
  if (action !== 'hold.placed' || erasing === undefined) return {};
  return { receipt: { erasureSince: erasing.since.toISOString(), erased: erasing.sets } };
}

/** What the account document shows of a course, beside the course itself. */
function courseFields(lifecycle: Lifecycle) {
  const deadline = deadlineOf(lifecycle);
  return {
    state: lifecycle.state,
    since: new Date(lifecycle.since),
    deadline: deadline === undefined ? undefined : { action: deadline.action, at: new Date(deadline.at) },
    lifecycle,
  };
}

/** How many stretches of inactivity are remembered; beyond that the oldest are forgotten, far more than anybody has. */
const maxInactivities = 1000;

function inactivityAfter(before: AccountDocument, next: Lifecycle): readonly Inactivity[] {
  const since = new Date(next.since);
  if (before.state === 'active' && next.state !== 'active')
    return [...before.inactive, { from: since }].slice(-maxInactivities);
  if (before.state !== 'active' && next.state === 'active') {
    return before.inactive.map((stretch) => (stretch.to === undefined ? { ...stretch, to: since } : stretch));
  }
  return before.inactive;
}

/** A MongoDB update that sets what is defined and removes what is not. */
function update(fields: Record<string, unknown>): Record<string, Record<string, unknown>> {
  const gone = Object.keys(fields).filter((name) => fields[name] === undefined);
  return {
    $set: withoutUndefined(fields),
    ...(gone.length === 0 ? {} : { $unset: Object.fromEntries(gone.map((name) => [name, ''])) }),
  };
}

function withoutUndefined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
