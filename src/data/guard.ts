/**
 * What stands between a deadline and the erasure it brings, beside holds: two clocks that must agree, and a breaker that
 * keeps a surplus back (R6: what waits here is late, and says so).
 */
import type { ClientSession, mongo } from 'mongoose';
import { native } from '../database';
import { deadlineOf, isDue, type Instant } from '../lifecycle';
import type { AccountDocument } from './documents';
import { ClocksDisagreeError, ErasureHeldBackError, ErasureNotDueError } from './errors';
import type { Store } from './store';

/** The guard's numbers. */
export interface GuardSettings {
  /** By how much Temporal's clock and the database server's may differ, in milliseconds. */
  readonly clockTolerance: number;
  /** The share of accounts whose erasures may begin within a day, from 0 to 1. */
  readonly share: number;
  /** That many may begin within a day whatever the share. */
  readonly minimum: number;
}

/** What the two clocks say, at one moment. */
export interface Clocks {
  readonly temporal: Date;
  readonly database: Date;
}

/**
 * Makes sure that both clocks say that the account's deadline has passed, and that they agree.
 *
 * @throws {ErasureNotDueError} by one of them it has not
 * @throws {ClocksDisagreeError} they differ by more than the tolerance
 */
export function assertDue(account: AccountDocument, { temporal, database }: Clocks, { clockTolerance }: GuardSettings) {
  const deadline = deadlineOf(account.lifecycle);
  const apart = Math.abs(temporal.getTime() - database.getTime());
  if (apart > clockTolerance) {
    throw new ClocksDisagreeError(
      `Temporal's clock says ${temporal.toISOString()}, the database server's ${database.toISOString()}`,
    );
  }
  const passed = (now: Instant) => deadline !== undefined && isDue(deadline.at, now);
  if (!passed(temporal.toISOString()) || !passed(database.toISOString())) {
    throw new ErasureNotDueError(
      `account ${account._id} is not due before ${deadline?.at ?? 'ever'}; it is ${database.toISOString()}`,
    );
  }
}

/** The guard's document: none an account could have. */
const guardId = '/erasure-guard';
const hour = 60 * 60 * 1000;
/** Hours a beginning counts for: a day, and the hour that has only begun. */
const windowHours = 25;

interface GuardDocument {
  readonly _id: typeof guardId;
  /** Erasures begun, by the hour since 1970 they began in. */
  readonly admitted?: Readonly<Record<string, number>>;
  readonly passes: number;
}

function guardOf(store: Store): mongo.Collection<GuardDocument> {
  return store.connection.collection<GuardDocument>('settings');
}

/** How the breaker stands. */
export interface GuardState {
  /** Erasures that began within a day. */
  readonly begun: number;
  /** How many may. */
  readonly limit: number;
}

/** How the breaker stands at a moment of the database server's clock. */
export async function guardState(store: Store, settings: GuardSettings, now: Date): Promise<GuardState> {
  const document = await guardOf(store).findOne({ _id: guardId });
  const begun = countRecent(document?.admitted ?? {}, now);
  return { begun, limit: await limitOf(store, settings, begun) };
}

/**
 * Lets an erasure begin, or keeps it back: whatever begins is counted in one document, so that no two beginnings are
 * judged side by side. An account that an administrator has let go is counted and never kept back.
 *
 * @throws {ErasureHeldBackError} more than a set share of accounts fell due within a day
 */
export async function admit(
  store: Store,
  session: ClientSession,
  account: AccountDocument,
  settings: GuardSettings,
  now: Date,
): Promise<void> {
  const guard = await guardOf(store).findOneAndUpdate(
    { _id: guardId },
    { $inc: { passes: 1 } },
    { session, upsert: true, returnDocument: 'after' },
  );
  const admitted = guard?.admitted ?? {};
  const begun = countRecent(admitted, now);
  const limit = await limitOf(store, settings, begun);
  if (account.heldBack === undefined && begun >= limit) {
    throw new ErasureHeldBackError(
      `${begun} erasures began within a day and ${limit} may: account ${account._id} waits for an administrator`,
    );
  }
  const recent = Object.fromEntries(Object.entries(admitted).filter(([at]) => isRecent(at, now)));
  const current = String(Math.floor(now.getTime() / hour));
  recent[current] = (recent[current] ?? 0) + 1;
  await guardOf(store).updateOne({ _id: guardId }, { $set: { admitted: recent } }, { session });
}

/** @throws {ErasureHeldBackError} the breaker keeps the account back, and nobody has let it go */
export function assertLetGo({ _id, heldBack }: AccountDocument): void {
  if (heldBack === undefined || heldBack.releasedAt !== undefined) return;
  throw new ErasureHeldBackError(
    `account ${_id} has waited for an administrator since ${heldBack.since.toISOString()}: too many erasures fell due`,
  );
}

function countRecent(admitted: Readonly<Record<string, number>>, now: Date): number {
  return Object.entries(admitted).reduce((sum, [at, n]) => (isRecent(at, now) ? sum + n : sum), 0);
}

function isRecent(at: string, now: Date): boolean {
  const age = Math.floor(now.getTime() / hour) - Number(at);
  return age < windowHours;
}

/**
 * How many erasures may begin within a day. Those that began are counted in: they may be erased by now, and the share
 * must not shrink with what it allows.
 */
async function limitOf(store: Store, { share, minimum }: GuardSettings, begun: number): Promise<number> {
  return Math.max(minimum, Math.floor(((await countLiving(store)) + begun) * share));
}

/** How long a count of all accounts is good enough, in milliseconds: a share of a million changes slowly. */
const countAge = 60_000;
const counts = new WeakMap<Store, { readonly living: number; readonly at: number }>();

async function countLiving(store: Store): Promise<number> {
  const known = counts.get(store);
  if (known !== undefined && performance.now() - known.at < countAge) return known.living;
  const living = await native(store.accounts).countDocuments({ state: { $in: ['active', 'suspended', 'expired'] } });
  counts.set(store, { living, at: performance.now() });
  return living;
}
