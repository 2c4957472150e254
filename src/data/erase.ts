/**
 * Erasing an account's data (R6) by the plan that was in force when it began, in batches that are small enough never to
 * hold the server up, each of them one transaction through the deletion gate.
 *
 * 1. It begins only while the account is expired, both clocks say that its deadline has passed, the breaker lets it and
 *    no hold protects everything.
 * 2. A batch goes only while the plan in force is the one it was begun with and no hold was placed since: the batch's
 *    transaction writes the very document a hold is recorded on, so the two cannot overlap (R9).
 * 3. What a batch took is counted in the same transaction, so a receipt is exact.
 * 4. Every batch may be repeated, by this process or another one.
 */
import { native } from '../database';
import { heldBy } from '../lifecycle';
import { cutsOf } from './cuts';
import { delaysAtBeginning, recordDelay } from './delays';
import type { AccountDocument, DelayReason, ErasureProgress, RecordedPlan } from './documents';
import { ClocksDisagreeError, ErasureBlockedError, ErasureHeldBackError } from './errors';
import { deleteThroughGate, type Deletion } from './gate';
import { admit, assertDue, assertLetGo, guardState, type Clocks, type GuardSettings } from './guard';
import { dataSets, type DataSet } from './map';
import { assertAsPlanned, countOf, heldIn, planFor, recorded } from './plan';
import { activeProcessorNames } from './processors';
import { recordStep, recordStepIn, type StepRecord } from './record-step';
import { sealSet } from './seal';
import { findAccount, type Store } from './store';
import { BatchPacer } from './windows';
import { withdrawExportsIn } from './withdraw';

/** How an erasure ended: with nothing left to delete that no hold protects, or stopped by a hold with the rest untouched. */
export interface ErasureResult {
  readonly finished: boolean;
  /** Records erased so far, by data set, over all attempts. */
  readonly erased: Readonly<Record<string, number>>;
  /** The data sets that holds protected when it began (R9). */
  readonly held: readonly string[];
}

/** What an erasure tells and asks along the way. */
export interface ErasureHooks {
  /** After each batch. */
  readonly progress?: (done: number, total: number, set: string) => void;
  /** Throws to stop between two batches. */
  readonly checkpoint?: () => void;
}

/** A place outside the database where something of accounts lies, such as the object storage of exports. */
export interface OutsideStore {
  readonly name: string;
  /** Removes everything of an account, through the deletion gate. @returns how much went; nothing where it is closed */
  removeAll(account: string): Promise<number | undefined>;
  /** How much there is of an account. */
  find(account: string): Promise<number>;
}

/** By what it is judged whether an erasure may begin. */
export interface Judgement {
  /** Temporal's clock; the database server is asked for its own. */
  readonly temporal: Date;
  readonly guard: GuardSettings;
  /** It was judged before and could not begin: clocks that disagree again are no accident. */
  readonly again: boolean;
}

/**
 * Begins an erasure: closes the gate to new records, and records the step that says so. Safe to repeat.
 *
 * @throws {ErasureBlockedError} the account as recorded is not one to erase: a hold stands, or it is in another state.
 * Checked in the same transaction, so nothing can come in between.
 * @throws {ErasureNotDueError} by one of the two clocks its deadline has not passed
 * @throws {ClocksDisagreeError} the two clocks differ too much
 * @throws {ErasureHeldBackError} the breaker keeps it back
 */
export async function beginErasure(store: Store, step: StepRecord, judgement: Judgement): Promise<void> {
  const known = await findAccount(store, step.account);
  // Counting a large account takes long, and a beginning that is on record needs none.
  if (known !== null && known.seq >= step.seq) {
    await recordStep(store, step);
    return;
  }
  const database = await store.databaseTime();
  const clocks = { temporal: judgement.temporal, database };
  const names = await activeProcessorNames(store);
  try {
    // Asked again inside the transaction; before it, because an account that waits for years is not counted every hour.
    if (known !== null) assertMayBegin(known, clocks, judgement.guard);
    const left = known === null ? 0 : await countErasable(store, known, names);
    // All accounts are counted here, where nobody waits for it, and remembered for a minute.
    await guardState(store, judgement.guard, database);
    await store.transaction(async (session) => {
      const account = await findAccount(store, step.account, session);
      if (account === null) throw new ErasureBlockedError(`there is no account ${step.account}`);
      if (account.seq < step.seq) {
        assertMayBegin(account, clocks, judgement.guard);
        // What had begun goes on: it was counted then.
        if (account.erasing === undefined) await admit(store, session, account, judgement.guard, database);
      }
      const done = account.erasing?.done ?? 0;
      const erasing: ErasureProgress = {
        since: account.erasing?.since ?? new Date(step.at),
        done,
        total: done + left,
        sets: account.erasing?.sets ?? {},
        plan: recorded(planFor(heldBy(account.lifecycle.holds), names)),
      };
      const delays = delaysAtBeginning(account, database);
      await recordStepIn(store, session, step, { erasing, ...(delays.length === 0 ? {} : { delays }) });
      await native(store.gates).updateOne({ _id: step.account }, { $set: { open: false } }, { session });
      // After a voluntary closure its customer may have made new ones.
      const { actor } = step;
      await withdrawExportsIn(store, session, { account: step.account, at: database, actor, reason: step.action });
    });
  } catch (error) {
    const reason = delayReason(error, clocks, judgement.again);
    if (reason !== undefined) await recordDelay(store, step.account, reason, (error as Error).message, database);
    throw error;
  }
}

function delayReason(error: unknown, { temporal, database }: Clocks, again: boolean): DelayReason | undefined {
  if (error instanceof ErasureHeldBackError) return 'held-back';
  // A worker that was away finds a question of an hour ago: asked anew, the clocks agree.
  if (error instanceof ClocksDisagreeError && (again || database < temporal)) return 'clocks-disagree';
  return undefined;
}

function assertMayBegin(account: AccountDocument, clocks: Clocks, guard: GuardSettings): void {
  assertErasable(account);
  assertDue(account, clocks, guard);
  assertLetGo(account);
}

function assertErasable(account: AccountDocument): void {
  if (account.state !== 'expired') throw new ErasureBlockedError(`account ${account._id} is ${account.state}`);
  if (heldBy(account.lifecycle.holds) === 'everything')
    throw new ErasureBlockedError(`a legal hold stands on account ${account._id}`);
}

/** The sets a plan erases or seals while it runs, in its order. */
function setsOf(plan: RecordedPlan): DataSet[] {
  return plan.steps.flatMap(({ dataset, action }) => {
    const set = dataSets.find((candidate) => candidate.name === dataset);
    if (set === undefined || set.erasure === 'delete-last') return [];
    return action === 'erase' || action === 'seal' ? [set] : [];
  });
}

/**
 * Erases what the plan in force says, set by set, until none is left or a hold stands. Safe to repeat.
 *
 * @throws {PlanDeviationError} this process would do something else than the plan in force says; nothing was deleted
 */
export async function eraseRecords(
  store: Store,
  account: string,
  hooks: ErasureHooks = {},
  outside: readonly OutsideStore[] = [],
): Promise<ErasureResult> {
  const begun = await findAccount(store, account);
  const plan = begun?.erasing?.plan;
  if (plan === undefined) return { finished: false, erased: {}, held: [] };
  await assertAsPlanned(store, account, plan);
  const held = heldIn(plan);
  for (const place of outside) {
    hooks.checkpoint?.();
    if ((await place.removeAll(account)) === undefined)
      return { finished: false, erased: await erasedSoFar(store, account), held };
  }
  for (const set of setsOf(plan)) {
    const finished =
      set.erasure === 'seal'
        ? await sealSet(store, { account, set, ...counting(set, plan) }, hooks)
        : await eraseSet(store, account, set, plan, hooks);
    if (!finished) return { finished: false, erased: await erasedSoFar(store, account), held };
  }
  return { finished: true, erased: await erasedSoFar(store, account), held };
}

async function eraseSet(
  store: Store,
  account: string,
  set: DataSet,
  plan: RecordedPlan,
  hooks: ErasureHooks,
): Promise<boolean> {
  const pacer = new BatchPacer();
  for await (const cut of cutsOf(store, account, set, pacer)) {
    hooks.checkpoint?.();
    const started = performance.now();
    const deleted = await deleteThroughGate(store, {
      account,
      purpose: 'erasure',
      sets: { [set.name]: cut },
      ...counting(set, plan),
    });
    if (deleted === undefined) return false;
    pacer.learn(deleted.sets[set.name] ?? 0, performance.now() - started);
    const { erasing } = deleted.account;
    hooks.progress?.(erasing?.done ?? 0, erasing?.total ?? 0, set.name);
  }
  return true;
}

/** What every batch of an erasure asks and counts: the plan is still the one in force, and so much went. */
function counting({ name }: DataSet, { hash }: RecordedPlan): Pick<Deletion, 'only' | 'change'> {
  return {
    only: ({ erasing }) => erasing?.plan.hash === hash,
    change: (deleted) => {
      const n = deleted[name] ?? 0;
      return { $inc: { 'erasing.done': n, [`erasing.sets.${name}`]: n, version: 1 } };
    },
  };
}

async function erasedSoFar(store: Store, account: string): Promise<Readonly<Record<string, number>>> {
  const found = await native(store.accounts).findOne<Pick<AccountDocument, 'erasing'>>(
    { _id: account },
    { projection: { erasing: 1 } },
  );
  return found?.erasing?.sets ?? {};
}

async function countErasable(store: Store, account: AccountDocument, processors: readonly string[]): Promise<number> {
  let total = 0;
  for (const set of setsOf(recorded(planFor(heldBy(account.lifecycle.holds), processors)))) {
    total += await countOf(store, account._id, set);
  }
  return total;
}
