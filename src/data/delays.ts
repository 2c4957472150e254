/**
 * Erasures that are late (R6): each delay is recorded with the account, audited, alerted every day, escalated after
 * three, and named in the certificate. A hold is no delay: it is the law's, and has entries of its own.
 */
import type { ClientSession } from 'mongoose';
import { native } from '../database';
import { bySystem, isErasable, type Actor } from '../lifecycle';
import type { AccountDocument, Delay, DelayReason } from './documents';
import { findAccount, type Store } from './store';

/**
 * Records that a due erasure has to wait, and why. Saying it again while it waits for the same reason changes nothing.
 *
 * @param at the database server's time
 * @returns whether it is news
 */
export async function recordDelay(
  store: Store,
  account: string,
  reason: DelayReason,
  detail: string,
  at: Date,
): Promise<boolean> {
  return store.transaction(async (session) => {
    const found = await findAccount(store, account, session);
    if (found?.state !== 'expired' || found.delays?.some((delay) => isOpen(delay) && delay.reason === reason)) {
      return false;
    }
    const delays = [...(found.delays ?? []), { reason, detail, since: at, alertedAt: at }].slice(-mostDelays);
    // One that was let go meanwhile stays so.
    const heldBack = reason === 'held-back' ? { heldBack: found.heldBack ?? { since: at } } : {};
    await native(store.accounts).updateOne({ _id: account }, { $set: { delays, ...heldBack } }, { session });
    await audit(store, session, account, 'account.erasure-delayed', at, { reason, detail });
    return true;
  });
}

/** Far more than an erasure can meet; the oldest are forgotten first. */
const mostDelays = 100;

/** The account's delays, all of them at an end. */
export function delaysEnded(account: Pick<AccountDocument, 'delays'>, at: Date): Delay[] {
  return (account.delays ?? []).map((delay) => (isOpen(delay) ? { ...delay, until: at } : delay));
}

/** The account's delays when its erasure begins, or begins anew: what it left last time may be left again. */
export function delaysAtBeginning(account: Pick<AccountDocument, 'delays'>, at: Date): Delay[] {
  const ended = delaysEnded(account, at);
  return (account.delays ?? []).map((delay, index) =>
    delay.reason === 'remains-found' ? delay : (ended[index] ?? delay),
  );
}

function isOpen(delay: Delay): boolean {
  return delay.until === undefined;
}

const day = 24 * 60 * 60 * 1000;
/** When a delay is escalated: after 72 hours. */
const escalation = 3 * day;
/** An erasure that has not begun this long after its deadline is late, whatever the reason. */
const lateAfter = day / 24;

/** An erasure that is late, as it is told to whoever is on call. */
export interface Overdue {
  readonly account: string;
  readonly due: Date;
  /** How late it is, in milliseconds. */
  readonly by: number;
  readonly reasons: readonly DelayReason[];
  readonly escalated: boolean;
}

/**
 * Looks through the erasures that are due and have not happened, oldest first, and calls out those nobody has been told of
 * for a day. Reads nothing of accounts that are not due.
 *
 * @param now the database server's time
 * @param tell is told of each, once its audit entry is written
 * @returns how many are late
 */
export async function watchOverdue(store: Store, now: Date, tell: (overdue: Overdue) => void): Promise<number> {
  let late = 0;
  const due = native(store.accounts).find<AccountDocument>(
    { state: 'expired', 'deadline.action': 'erase', 'deadline.at': { $lt: new Date(now.getTime() - lateAfter) } },
    { sort: { 'deadline.at': 1, _id: 1 }, batchSize: 100 },
  );
  for await (const account of due) {
    // What holds protect is not late (R9); what they leave to erasure is.
    if (!isErasable(account.lifecycle)) continue;
    late += 1;
    const overdue = await callOut(store, account._id, now);
    if (overdue !== undefined) tell(overdue);
  }
  return late;
}

async function callOut(store: Store, id: string, now: Date): Promise<Overdue | undefined> {
  return store.transaction(async (session) => {
    const account = await findAccount(store, id, session);
    const due = account?.deadline?.at;
    if (account?.state !== 'expired' || due === undefined || !isErasable(account.lifecycle)) return undefined;
    const known = account.delays ?? [];
    const delays = known.some(isOpen)
      ? known
      : [...known, { reason: 'late' as const, detail: 'it has not happened, and nothing says why', since: due }];
    const told = Math.max(...delays.filter(isOpen).map((delay) => delay.alertedAt?.getTime() ?? 0));
    if (now.getTime() - told < day) return undefined;
    const by = now.getTime() - due.getTime();
    const escalated = by >= escalation;
    const marked = delays.map((delay) =>
      isOpen(delay)
        ? { ...delay, alertedAt: now, ...(escalated ? { escalatedAt: delay.escalatedAt ?? now } : {}) }
        : delay,
    );
    await native(store.accounts).updateOne({ _id: id }, { $set: { delays: marked } }, { session });
    const reasons = marked.filter(isOpen).map(({ reason }) => reason);
    const action = escalated ? 'account.erasure-escalated' : 'account.erasure-overdue';
    await audit(store, session, id, action, now, { due: due.toISOString(), by, reasons });
    return { account: id, due, by, reasons, escalated };
  });
}

async function audit(
  store: Store,
  session: ClientSession,
  account: string,
  action: string,
  at: Date,
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  await store.audit.append(session, { at, actor: bySystem, action, account, details });
}

/** An account the breaker keeps back. */
export interface HeldBack {
  readonly account: string;
  readonly due: Date | undefined;
  readonly since: Date;
}

const held = {
  state: 'expired',
  'heldBack.since': { $exists: true },
  'heldBack.releasedAt': { $exists: false },
} as const;

/** The accounts the breaker keeps back, those due first first. */
export async function heldBackAccounts(store: Store, limit: number): Promise<HeldBack[]> {
  const found = await native(store.accounts)
    .find<AccountDocument>(held, { sort: { 'deadline.at': 1, _id: 1 }, limit })
    .toArray();
  return found.map((account) => ({
    account: account._id,
    due: account.deadline?.at,
    since: account.heldBack?.since ?? account.since,
  }));
}

/** How many the breaker keeps back. */
export function countHeldBack(store: Store): Promise<number> {
  return native(store.accounts).countDocuments(held);
}

/**
 * Lets go accounts the breaker keeps back, inside a transaction of the caller's.
 *
 * @param accounts which of them
 * @returns those that were kept back and no longer are
 */
export async function releaseHeldBack(
  store: Store,
  session: ClientSession,
  accounts: readonly string[],
  actor: Actor,
  at: Date,
): Promise<string[]> {
  const found = await native(store.accounts)
    .find({ ...held, _id: { $in: [...accounts] } }, { session, projection: { _id: 1 } })
    .toArray();
  const ids = found.map(({ _id }) => _id);
  await native(store.accounts).updateMany(
    { _id: { $in: ids } },
    { $set: { 'heldBack.releasedAt': at }, $inc: { passes: 1 } },
    { session },
  );
  for (const account of ids) {
    await store.audit.append(session, { at, actor, action: 'account.erasure-released', account, details: {} });
  }
  return ids;
}
