/**
 * Erasing an account's data (R6), in batches that are small enough never to hold the server up, each of them one
 * transaction with the account's own document.
 *
 * 1. A batch goes only while the account is expired, its erasure has begun and no hold stands, nor has stood since: the
 *    batch's transaction writes the very document a hold is recorded on, so the two cannot overlap (R9).
 * 2. What a batch took is counted in the same transaction, so a receipt is exact.
 * 3. Every batch may be repeated, by this process or another one.
 */
import { native } from '../database';
import { ErasureBlockedError, ErasureNotDueError } from './errors';
import { categories, type Category } from './map';
import { recordStep, recordStepIn, type StepRecord } from './record-step';
import type { AccountDocument, ErasureProgress } from './documents';
import { findAccount, type Store } from './store';
import { deadlineOf, heldBy, isDue, type Instant } from '../lifecycle';
import { planFor, recorded } from './plan';
import { BatchPacer, countBy, windowsOf, type Window } from './windows';

/** How an erasure ended: with nothing left to delete, or stopped by a hold with the rest untouched. */
export interface ErasureResult {
  readonly finished: boolean;
  /** Records erased so far, by data set, over all attempts. */
  readonly erased: Readonly<Record<string, number>>;
}

/** What an erasure tells and asks along the way. */
export interface ErasureHooks {
  /** After each batch. */
  readonly progress?: (done: number, total: number, set: string) => void;
  /** Throws to stop between two batches. */
  readonly checkpoint?: () => void;
}

/**
 * Begins an erasure: closes the gate to new records, and records the step that says so. Safe to repeat.
 *
 * @throws {ErasureBlockedError} the account as recorded is not one to erase: a hold stands, or it is in another state.
 * Checked in the same transaction, so nothing can come in between.
 * @throws {ErasureNotDueError} its deadline has not passed at `now`
 */
export async function beginErasure(store: Store, step: StepRecord, now: Instant): Promise<void> {
  const known = await findAccount(store, step.account);
  // Counting a large account takes long, and a beginning that is on record needs none.
  if (known !== null && known.seq >= step.seq) {
    await recordStep(store, step);
    return;
  }
  const left = await countRecords(store, step.account);
  await store.transaction(async (session) => {
    const account = await findAccount(store, step.account, session);
    if (account === null) throw new ErasureBlockedError(`there is no account ${step.account}`);
    if (account.seq < step.seq) assertErasable(account, now);
    const done = account.erasing?.done ?? 0;
    const erasing: ErasureProgress = {
      since: account.erasing?.since ?? new Date(step.at),
      done,
      total: done + left,
      sets: account.erasing?.sets ?? {},
      plan: recorded(planFor(heldBy(account.lifecycle.holds), [])),
    };
    await recordStepIn(store, session, step, { erasing });
    await native(store.gates).updateOne({ _id: step.account }, { $set: { open: false } }, { session });
  });
}

function assertErasable(account: AccountDocument, now: Instant): void {
  if (account.state !== 'expired') throw new ErasureBlockedError(`account ${account._id} is ${account.state}`);
  if (account.lifecycle.holds.length > 0)
    throw new ErasureBlockedError(`a legal hold stands on account ${account._id}`);
  const deadline = deadlineOf(account.lifecycle);
  if (deadline === undefined || !isDue(deadline.at, now)) {
    throw new ErasureNotDueError(`account ${account._id} is not due before ${deadline?.at ?? 'ever'}; it is ${now}`);
  }
}

/** Deletes an account's records, set by set, until none is left or a hold stands. Safe to repeat. */
export async function eraseRecords(store: Store, account: string, hooks: ErasureHooks = {}): Promise<ErasureResult> {
  const pacer = new BatchPacer();
  for (const category of categories) {
    const model = store.records[category];
    const days = await countBy('day', model, account);
    const windows = windowsOf(
      days,
      'day',
      () => pacer.size,
      (unit, stretch) => countBy(unit, model, account, stretch),
    );
    for await (const window of chain(windows, {})) {
      hooks.checkpoint?.();
      const started = performance.now();
      const progress = await eraseBatch(store, account, category, window);
      if (progress === undefined) return { finished: false, erased: await erasedSoFar(store, account) };
      pacer.learn(progress.deleted, performance.now() - started);
      hooks.progress?.(progress.done, progress.total, category);
    }
  }
  return { finished: true, erased: await erasedSoFar(store, account) };
}

/** The windows, then one without bounds: it takes what carries no usable time, which is nothing as a rule. */
async function* chain(windows: AsyncIterable<Window>, last: Window): AsyncGenerator<Window, void> {
  yield* windows;
  yield last;
}

/** Deletes one batch and counts it. Returns nothing, and deletes nothing, where the account may no longer be erased. */
async function eraseBatch(
  store: Store,
  account: string,
  category: Category,
  { from, to }: Window,
): Promise<{ deleted: number; done: number; total: number } | undefined> {
  return store.transaction(async (session) => {
    const range = from === undefined || to === undefined ? {} : { at: { $gte: from, $lt: to } };
    const { deletedCount } = await native(store.records[category]).deleteMany({ account, ...range }, { session });
    // The account's document is the gate: recording a hold writes it too, so one of the two comes first (R9).
    const after = await native(store.accounts).findOneAndUpdate(
      {
        _id: account,
        state: 'expired',
        'lifecycle.holds': { $size: 0 },
        erasing: { $exists: true },
        'erasing.halted': { $exists: false },
      },
      { $inc: { 'erasing.done': deletedCount, [`erasing.sets.${category}`]: deletedCount, version: 1 } },
      { session, returnDocument: 'after', projection: { erasing: 1 } },
    );
    if (after === null) {
      await session.abortTransaction();
      return undefined;
    }
    return { deleted: deletedCount, done: after.erasing?.done ?? 0, total: after.erasing?.total ?? 0 };
  });
}

async function erasedSoFar(store: Store, account: string): Promise<Readonly<Record<string, number>>> {
  const found = await store.accounts.findById(account, { erasing: 1 }).lean<Pick<AccountDocument, 'erasing'>>().exec();
  return found?.erasing?.sets ?? {};
}

async function countRecords(store: Store, account: string): Promise<number> {
  let total = 0;
  for (const category of categories) total += await native(store.records[category]).countDocuments({ account });
  return total;
}
