/**
 * Active-data retention (R12): records older than the days an account keeps are purged, holds apart, whatever its state.
 *
 * 1. An account's gate says before which instant none of its records passes its age, so only what is due is read, and what
 *    a sweep costs does not depend on how many accounts there are.
 * 2. The age is judged by the earlier of two clocks, Temporal's and the database server's: one that is fast purges nothing
 *    too soon.
 * 3. Every batch passes the deletion gate, under the condition that the account still keeps just so many days and is not
 *    being erased; a change of the policy or a hold in between closes it.
 * 4. What went is in the audit log or in the account's tally the moment it is gone; see `purge-tally.ts`.
 * 5. Everything may be stopped at any moment and repeated, also by another process.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ClientSession, mongo } from 'mongoose';
import { native } from '../database';
import { heldBy, isHeld } from '../lifecycle';
import { countBefore, countUpTo, cutoffOf, dayLength, oldestFrom } from './age';
import type { AccountDocument } from './documents';
import { deleteIn, deleteThroughGate, type Deletion } from './gate';
import { dataSets, type Category } from './map';
import { reportPurge } from './purge-tally';
import { findAccount, type Store } from './store';
import { BatchPacer, windowsOf, type Bucket } from './windows';

/** Where a sweep has come to: it has seen to all gates up to and including this one. */
export interface SweepPosition {
  readonly purgeAt: Date;
  readonly account: string;
}

/** One stretch of a sweep. */
export interface PurgeStretch {
  /** What Temporal's clock says. */
  readonly temporalNow: Date;
  /** What was due at this instant is seen to; what becomes due later is for the next sweep. Now, when absent. */
  readonly until?: Date;
  /** Goes on after this one; begins with the oldest when absent. */
  readonly after?: SweepPosition;
  /** How far the two clocks may be apart without anybody being told, in milliseconds. @default five minutes */
  readonly tolerance?: number;
  /** After so many milliseconds no further account is begun, and a large one soon pauses. @default one minute */
  readonly budget?: number;
}

/** An account whose records could not be purged. All that was reported as purged is gone; the rest is untouched. */
export interface PurgeFailure {
  readonly account: string;
  /** The error's name and code: its message may quote what it is about. */
  readonly reason: string;
}

/** What one stretch of a sweep did. */
export interface PurgeOutcome {
  /** Go on with these, where there is more to do. */
  readonly until: Date;
  readonly after?: SweepPosition;
  readonly more: boolean;
  /** Accounts of which something went. */
  readonly accounts: number;
  /** Records purged, by data set. */
  readonly records: Readonly<Record<string, number>>;
  readonly failures: readonly PurgeFailure[];
}

/** What a sweep tells and asks along the way. */
export interface PurgeHooks {
  /** After each batch. */
  readonly progress?: (records: number) => void;
  /** Throws to stop between two batches. */
  readonly checkpoint?: () => void;
  /** The two clocks are further apart than they may be; the earlier one decides. */
  readonly clocksDisagree?: (temporal: Date, database: Date) => void;
  /** An account's purge failed; the others go on. */
  readonly failed?: (failure: PurgeFailure, error: unknown) => void;
}

const standardTolerance = 5 * 60_000;
const standardBudget = 60_000;
/** Gates asked for at a time. */
const pageLength = 1000;
/** Accounts purged side by side. */
const lanes = 4;
/** Up to so many records go in one transaction with everything that belongs to it. */
const small = 1000;
/** How often an account is looked at anew when something about it changes just then. */
const attempts = 3;

/** Purges what is due, the longest overdue first, for one stretch of time. */
export async function purgeDue(store: Store, stretch: PurgeStretch, hooks: PurgeHooks = {}): Promise<PurgeOutcome> {
  const { temporalNow, after, tolerance = standardTolerance, budget = standardBudget } = stretch;
  const databaseNow = await store.databaseTime();
  if (Math.abs(temporalNow.getTime() - databaseNow.getTime()) > tolerance) {
    hooks.clocksDisagree?.(temporalNow, databaseNow);
  }
  const now = earliest(temporalNow, databaseNow);
  const sweep = new Sweep(store, { now, until: earliest(now, stretch.until ?? now), budget }, hooks);
  let position = after;
  for (;;) {
    const due = await dueGates(store, sweep.until, position);
    if (due.length === 0) return sweep.outcome(false, position);
    const seen = await sweep.seeTo(due);
    position = due[seen - 1] ?? position;
    if (seen < due.length) return sweep.outcome(true, position);
  }
}

function earliest(...instants: readonly Date[]): Date {
  return new Date(Math.min(...instants.map((instant) => instant.getTime())));
}

/** The next gates that are due, the longest overdue first. */
async function dueGates(store: Store, until: Date, after: SweepPosition | undefined): Promise<SweepPosition[]> {
  const rest =
    after === undefined
      ? { purgeAt: { $lt: until } }
      : {
          purgeAt: { $gte: after.purgeAt, $lt: until },
          $or: [{ purgeAt: { $gt: after.purgeAt } }, { _id: { $gt: after.account } }],
        };
  const gates = await native(store.gates)
    .find(rest, { projection: { purgeAt: 1 } })
    .sort({ purgeAt: 1, _id: 1 })
    .limit(pageLength)
    .toArray();
  return gates.flatMap(({ _id, purgeAt }) => (purgeAt === undefined ? [] : [{ account: _id, purgeAt }]));
}

/** What the policy asks of an account's purge: nothing, or how many days are kept and which data sets nothing holds. */
interface Duty {
  readonly days: number;
  readonly sets: readonly Category[];
}

/** An account that is being erased loses its records that way; what erasure has to spare is held. */
function dutyOf(account: AccountDocument | null): Duty | undefined {
  if (account === null || account.state === 'erased' || account.erasing !== undefined) return undefined;
  const days = account.lifecycle.overrides.activeRetentionDays;
  const held = heldBy(account.lifecycle.holds);
  const sets = dataSets.flatMap(({ name, category }) =>
    category === undefined || isHeld(held, name) ? [] : [category],
  );
  return days === undefined || sets.length === 0 ? undefined : { days, sets };
}

/** How the purge of one account ended: done with, stopped for lack of time, or by a gate that closed. */
type Ending = 'done' | 'paused' | 'closed';

/** The old records of one data set. */
interface Share {
  readonly set: Category;
  readonly buckets: readonly Bucket[];
}

class Sweep {
  readonly until: Date;
  readonly #store: Store;
  readonly #hooks: PurgeHooks;
  /** When it began, by the earlier clock and by this process's own. */
  readonly #began: { readonly at: number; readonly ticks: number };
  readonly #budget: number;
  readonly #accounts = new Set<string>();
  readonly #records: Record<string, number> = {};
  readonly #failures = new Map<string, PurgeFailure>();

  constructor(
    store: Store,
    { now, until, budget }: { readonly now: Date; readonly until: Date; readonly budget: number },
    hooks: PurgeHooks,
  ) {
    this.until = until;
    this.#store = store;
    this.#hooks = hooks;
    this.#began = { at: now.getTime(), ticks: performance.now() };
    this.#budget = budget;
  }

  get #elapsed(): number {
    return performance.now() - this.#began.ticks;
  }

  outcome(more: boolean, position: SweepPosition | undefined): PurgeOutcome {
    return {
      until: this.until,
      ...(position === undefined ? {} : { after: position }),
      more,
      accounts: this.#accounts.size,
      records: this.#records,
      failures: [...this.#failures.values()],
    };
  }

  /** Purges several accounts side by side, in order, while there is time. @returns how many from the first on are done */
  async seeTo(due: readonly SweepPosition[]): Promise<number> {
    const done = due.map(() => false);
    let next = 0;
    let stopped = false;
    const lane = async () => {
      while (!stopped && next < due.length && !this.#isSpent()) {
        const index = next++;
        try {
          done[index] = await this.#attend(due[index]?.account ?? '');
        } catch (error) {
          stopped = true;
          throw error;
        }
      }
    };
    // No lane is left running behind the caller's back when another one fails.
    const ended = await Promise.allSettled(Array.from({ length: lanes }, lane));
    for (const one of ended) if (one.status === 'rejected') throw one.reason;
    const undone = done.indexOf(false);
    return undone < 0 ? due.length : undone;
  }

  #isSpent(): boolean {
    return this.#elapsed >= this.#budget;
  }

  /** Purges one account; its failure is noted and stops nobody else. @returns whether it is done with */
  async #attend(account: string): Promise<boolean> {
    try {
      return await this.#purge(account);
    } catch (error) {
      this.#hooks.checkpoint?.();
      // A database that does not answer is not this account's failure.
      await this.#store.databaseTime();
      const failure = { account, reason: nameOf(error) };
      this.#failures.set(account, failure);
      this.#hooks.failed?.(failure, error);
      return true;
    }
  }

  async #purge(account: string): Promise<boolean> {
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      const duty = dutyOf(await findAccount(this.#store, account));
      const ending =
        duty === undefined ? await this.#settle(account, undefined) : await this.#purgeUnder(account, duty);
      if (ending !== 'closed') return ending === 'done';
    }
    throw new Error('its policy or its holds changed again and again');
  }

  async #purgeUnder(account: string, duty: Duty): Promise<Ending> {
    const cutoff = cutoffOf(duty.days, this.until);
    const shares = await Promise.all(
      duty.sets.map(async (set): Promise<Share> => {
        return { set, buckets: await countBefore(this.#store.records[set], account, cutoff) };
      }),
    );
    const old = shares.filter(({ buckets }) => buckets.length > 0);
    const records = old.reduce((sum, { buckets }) => buckets.reduce((more, { count }) => more + count, sum), 0);
    if (records === 0) return this.#settle(account, duty);
    if (records <= small) return this.#purgeAtOnce(account, duty, cutoff, old);
    const ending = await this.#purgeInBatches(account, duty, cutoff, old);
    if (ending === 'done') return this.#settle(account, duty);
    if (ending === 'paused') await this.#report(account);
    return ending;
  }

  async #purgeAtOnce(account: string, duty: Duty, cutoff: Date, old: readonly Share[]): Promise<Ending> {
    this.#hooks.checkpoint?.();
    const sets = Object.fromEntries(old.map(({ set }) => [set, { at: { $lt: cutoff } }]));
    const deletion = deletionOf(account, duty, cutoff, sets);
    const deleted = await this.#store.transaction(async (session) => {
      const gone = await deleteIn(this.#store, session, deletion);
      if (gone !== undefined) await this.#settleIn(session, account, gone.account, duty);
      return gone;
    });
    if (deleted === undefined) return 'closed';
    this.#count(account, deleted.sets);
    return 'done';
  }

  async #purgeInBatches(account: string, duty: Duty, cutoff: Date, old: readonly Share[]): Promise<Ending> {
    const pacer = new BatchPacer();
    // Counting a very large account may take longer than a stretch; it gets on nevertheless.
    const granted = this.#elapsed + this.#budget / 2;
    for (const { set, buckets } of old) {
      const windows = windowsOf(
        buckets,
        'day',
        () => pacer.size,
        (unit, stretch) => countUpTo(unit, this.#store.records[set], account, stretch, cutoff),
      );
      for await (const { from, to = cutoff } of windows) {
        this.#hooks.checkpoint?.();
        if (this.#isSpent() && this.#elapsed >= granted) return 'paused';
        const started = performance.now();
        const at = { ...(from === undefined ? {} : { $gte: from }), $lt: to };
        const deleted = await deleteThroughGate(this.#store, deletionOf(account, duty, cutoff, { [set]: { at } }));
        if (deleted === undefined) return 'closed';
        pacer.learn(deleted.sets[set] ?? 0, performance.now() - started);
        this.#count(account, deleted.sets);
      }
    }
    return 'done';
  }

  #count(account: string, deleted: Readonly<Record<string, number>>): void {
    const records = sumOf(deleted);
    if (records > 0) this.#accounts.add(account);
    for (const [set, count] of Object.entries(deleted)) this.#records[set] = (this.#records[set] ?? 0) + count;
    this.#hooks.progress?.(records);
  }

  /** Reports what went so far, and leaves the account as due as it was. */
  async #report(account: string): Promise<void> {
    await this.#store.transaction(async (session) => {
      await this.#reportIn(session, await findAccount(this.#store, account, session));
    });
  }

  async #reportIn(session: ClientSession, account: AccountDocument | null): Promise<void> {
    if (account?.purging === undefined) return;
    const now = new Date(this.#began.at + Math.floor(this.#elapsed));
    await reportPurge(this.#store, session, account._id, account.purging, now);
    await native(this.#store.accounts).updateOne({ _id: account._id }, { $unset: { purging: '' } }, { session });
  }

  async #settle(account: string, duty: Duty | undefined): Promise<Ending> {
    await this.#store.transaction(async (session) => {
      await this.#settleIn(session, account, await findAccount(this.#store, account, session), duty);
    });
    return 'done';
  }

  /** Reports what went, and sets when the account is due again. Ingest writes the gate too: one of the two comes first. */
  async #settleIn(
    session: ClientSession,
    account: string,
    found: AccountDocument | null,
    duty: Duty | undefined,
  ): Promise<void> {
    await this.#reportIn(session, found);
    // Whatever changed meanwhile has made the account due anew.
    if (!isDeepStrictEqual(dutyOf(found), duty)) return;
    const purgeAt = duty === undefined ? undefined : await this.#nextPurge(session, account, duty);
    const change = purgeAt === undefined ? { $unset: { purgeAt: '' as const } } : { $set: { purgeAt } };
    await native(this.#store.gates).updateOne({ _id: account }, change, { session });
  }

  /** When the oldest of the records that are left passes its age; never, where none is left that could. */
  async #nextPurge(session: ClientSession, account: string, { days, sets }: Duty): Promise<Date | undefined> {
    const cutoff = cutoffOf(days, this.until);
    let oldest: Date | undefined;
    for (const set of sets) {
      const options = oldest === undefined ? { session } : { session, before: oldest };
      oldest = (await oldestFrom(this.#store.records[set], account, cutoff, options)) ?? oldest;
    }
    return oldest && new Date(oldest.getTime() + days * dayLength);
  }
}

function deletionOf(account: string, { days }: Duty, cutoff: Date, sets: Deletion['sets']): Deletion {
  return {
    account,
    purpose: 'purge',
    sets,
    only: ({ lifecycle, erasing }) => lifecycle.overrides.activeRetentionDays === days && erasing === undefined,
    change: (deleted) => tallied(deleted, cutoff, days),
  };
}

function tallied(
  deleted: Readonly<Record<string, number>>,
  cutoff: Date,
  days: number,
): mongo.UpdateFilter<AccountDocument> {
  if (sumOf(deleted) === 0) return { $inc: { passes: 1 } };
  const counts = Object.entries(deleted).map(([set, count]) => [`purging.records.${set}`, count]);
  return {
    $inc: { passes: 1, ...(Object.fromEntries(counts) as Record<`purging.records.${string}`, number>) },
    $set: { 'purging.cutoff': cutoff, 'purging.days': days },
  };
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { code } = error as { code?: unknown };
  return typeof code === 'number' ? `${error.name} ${code}` : error.name;
}
