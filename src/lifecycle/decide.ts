/**
 * What becomes of an account when something is asked of it. Pure: the same account, message and moment give the same
 * answer on every machine and on every replay.
 */
import type { Command, CommandBody } from './schemas';
import { deadlineOf, endOf, isDue, isErasable, later, plus, spreadBound } from './deadlines';
import { parseDuration } from './duration';
import { heldBy } from './holds';
import { periodFlaws, periodNames, policyInForce, type PeriodName, type PolicyInForce } from './policy';
import { allowedChanges, rowFor, type StateChange } from './table';
import type {
  AccountState,
  Actor,
  Cause,
  Flaw,
  Hold,
  Instant,
  Lifecycle,
  Plan,
  PolicyOverrides,
  RunningPeriod,
  Settings,
  SuspensionReason,
} from './terms';

/** What a decision depends on besides the account. */
export interface Circumstances {
  readonly account: string;
  readonly now: Instant;
  readonly actor: Actor;
  readonly plan: Plan;
  readonly settings: Settings;
  /** The data sets a hold may name. */
  readonly datasets: readonly string[];
  /** Makes the id of a new hold. */
  readonly newId: () => string;
}

/** The verbs of the audit log that an account's own course writes. */
export type LifecycleAction =
  | 'account.created'
  | 'account.suspended'
  | 'account.cause-added'
  | 'account.cause-resolved'
  | 'account.reinstated'
  | 'account.expired'
  | 'account.reopened'
  | 'account.erasure-started'
  | 'account.erasure-paused'
  | 'account.erased'
  | 'account.message-ignored'
  | 'account.record-restored'
  | 'policy.changed'
  | 'hold.placed'
  | 'hold.released';

/** Why something was not done. It changes nothing. */
export interface Refusal {
  readonly code: 'conflict' | 'forbidden' | 'validation' | 'not-found' | 'account-erased' | 'precondition-failed';
  readonly detail: string;
  readonly state: AccountState;
  readonly allowed: readonly StateChange[];
  readonly errors?: readonly Flaw[];
}

export type Details = Readonly<Record<string, unknown>>;

/** What an account becomes, and what the audit log says of it. */
export interface Step {
  readonly next: Lifecycle;
  readonly action: LifecycleAction;
  readonly details: Details;
}

export type Decision = { readonly refused: Refusal } | { readonly step: Step };

/** An account's very beginning, or the state an existing account is adopted in. */
export interface Origin {
  readonly state: Exclude<AccountState, 'erased'>;
  /** When that state began, for an account that is adopted; now when absent. */
  readonly since?: Instant;
  readonly overrides: PolicyOverrides;
}

/**
 * The lifecycle an account begins with.
 *
 * An account adopted as expired whose period ran out long ago is not erased on the spot: adopting it is the decision
 * that brings its erasure nearer, so the notice holds.
 */
export function begin(origin: Origin, now: Instant, settings: Settings): Lifecycle {
  const { state, since = now, overrides } = origin;
  const base = { state, since, overrides, holds: [], causes: [] };
  if (state === 'active') return base;
  if (state === 'suspended') {
    return {
      ...base,
      causes: [{ reason: 'other', at: since }],
      period: periodInForce(overrides, settings, 'gracePeriod'),
    };
  }
  const period = periodInForce(overrides, settings, 'expiryPeriod');
  return { ...base, closure: 'voluntary', period: withNotice(since, period, plus(now, settings.notice)) };
}

/** What becomes of the account: a step to take, or a refusal that changes nothing (R13). */
export function decide(account: Lifecycle, command: Command, circumstances: Circumstances): Decision {
  if (account.state === 'erased')
    return refuse(account, 'account-erased', 'the account is erased and never comes back');
  const row = rowFor(account, command.name);
  if (row === undefined) return refuse(account, 'conflict', inapplicable(account, command));
  const { role } = circumstances.actor;
  // A role is absent where Temporal's own permissions decide who may send, as for messages by hand.
  if (role !== undefined && row.trigger === 'command' && !row.roles.includes(role)) {
    return refuse(account, 'forbidden', `${command.name} is not for the role ${role}`);
  }
  switch (command.name) {
    case 'suspend':
      return suspend(account, command.body, circumstances);
    case 'reinstate':
      return reinstate(account, command.body, circumstances);
    case 'close':
      return step(expire(account, 'voluntary', circumstances.now, circumstances), 'account.expired', {
        closure: 'voluntary',
        from: account.state,
        ...noteOf(command.body),
      });
    case 'reopen':
      return step(activate(account, circumstances.now), 'account.reopened', {
        resolved: account.causes.map((cause) => cause.reason),
        ...noteOf(command.body),
      });
    case 'changePolicy':
      return changePolicy(account, command.body, circumstances);
    case 'placeHold':
      return placeHold(account, command.body, circumstances);
    case 'releaseHold':
      return releaseHold(account, command.body.holdId, circumstances, {});
    case 'endHold':
      return releaseHold(account, command.holdId, circumstances, { ended: true });
    case 'endGracePeriod':
      return endGracePeriod(account, circumstances);
    case 'beginErasure':
      return beginErasure(account, circumstances);
    case 'spareHeld':
      return step({ ...account, spared: command.datasets }, 'account.erasure-paused', { spared: command.datasets });
    case 'completeErasure':
      if (account.holds.length > 0) return refuse(account, 'conflict', 'a legal hold stands');
      return step(
        { state: 'erased', since: circumstances.now, causes: [], overrides: {}, holds: [] },
        'account.erased',
        {},
      );
  }
}

function suspend(account: Lifecycle, body: CommandBody<'suspend'>, { now, settings }: Circumstances): Decision {
  if (account.causes.some((cause) => cause.reason === body.reason)) {
    return refuse(account, 'conflict', `the account is already suspended for ${body.reason}`);
  }
  const cause: Cause = { reason: body.reason, at: now, ...noteOf(body) };
  const details = { reason: body.reason, ...noteOf(body) };
  if (account.state === 'suspended') {
    // R4: another reason adds a cause and leaves the clock alone.
    return step({ ...account, causes: [...account.causes, cause] }, 'account.cause-added', details);
  }
  return step(
    {
      state: 'suspended',
      since: now,
      causes: [cause],
      period: periodInForce(account.overrides, settings, 'gracePeriod'),
      overrides: account.overrides,
      holds: account.holds,
    },
    'account.suspended',
    details,
  );
}

function reinstate(account: Lifecycle, body: CommandBody<'reinstate'>, { now }: Circumstances): Decision {
  const standing = account.causes.map((cause) => cause.reason);
  const resolved: readonly SuspensionReason[] = body.resolved ?? standing;
  const strangers = resolved.filter((reason) => !standing.includes(reason));
  if (strangers.length > 0) {
    return refuse(account, 'conflict', `the account is not suspended for ${strangers.join(', ')}`);
  }
  const left = account.causes.filter((cause) => !resolved.includes(cause.reason));
  const details = { resolved: [...new Set(resolved)], ...noteOf(body) };
  if (left.length > 0) {
    const remaining = left.map((cause) => cause.reason);
    return step({ ...account, causes: left }, 'account.cause-resolved', { ...details, remaining });
  }
  return step(activate(account, now), 'account.reinstated', details);
}

/** The same account, active from now on: nothing is left of the period or its causes. */
function activate(account: Lifecycle, now: Instant): Lifecycle {
  return { state: 'active', since: now, causes: [], overrides: account.overrides, holds: account.holds };
}

function expire(
  account: Lifecycle,
  closure: 'voluntary' | 'forced',
  since: Instant,
  { settings }: Circumstances,
): Lifecycle {
  return {
    state: 'expired',
    since,
    closure,
    causes: account.causes,
    period: periodInForce(account.overrides, settings, 'expiryPeriod'),
    overrides: account.overrides,
    holds: account.holds,
  };
}

function endGracePeriod(account: Lifecycle, circumstances: Circumstances): Decision {
  const { now } = circumstances;
  const deadline = deadlineOf(account);
  if (deadline === undefined || account.period === undefined || !isDue(deadline.at, now)) {
    return refuse(account, 'conflict', 'the grace period has not run out');
  }
  // On time, the expiry period begins at the exact deadline, not at the spread wake-up after it. After an outage it
  // begins when the account really closed: our lateness must not eat into what the customer was promised (R2, R5).
  const onTime = Date.parse(now) - Date.parse(deadline.at) <= spreadBound(account.period) + latenessTolerated;
  const since = onTime ? deadline.at : now;
  return step(expire(account, 'forced', since, circumstances), 'account.expired', {
    closure: 'forced',
    from: account.state,
  });
}

/** Ordinary delays of scheduling, beside the spread, that still count as on time: one minute. */
const latenessTolerated = 60_000;

function beginErasure(account: Lifecycle, { now }: Circumstances): Decision {
  const deadline = deadlineOf(account);
  if (!isErasable(account)) return refuse(account, 'conflict', 'legal holds protect all that is left');
  if (deadline === undefined || !isDue(deadline.at, now))
    return refuse(account, 'conflict', 'the expiry period has not run out');
  return step({ ...account, erasingSince: account.erasingSince ?? now }, 'account.erasure-started', {
    due: deadline.at,
    ...(account.erasingSince === undefined ? {} : { resumed: true }),
  });
}

function placeHold(account: Lifecycle, body: CommandBody<'placeHold'>, circumstances: Circumstances): Decision {
  const { now, actor, newId, datasets } = circumstances;
  const flaws: Flaw[] = [];
  if (body.until !== undefined && isDue(body.until, now))
    flaws.push({ path: 'until', detail: 'must lie in the future' });
  if (body.reviewAt !== undefined && isDue(body.reviewAt, now))
    flaws.push({ path: 'reviewAt', detail: 'must lie in the future' });
  body.datasets?.forEach((name, index) => {
    if (!datasets.includes(name))
      flaws.push({ path: `datasets.${index}`, detail: `no such data set; there are ${datasets.join(', ')}` });
  });
  if (flaws.length > 0) return invalid(account, flaws);
  if (account.holds.length >= maxHolds)
    return refuse(account, 'conflict', `at most ${maxHolds} holds may stand at once`);
  const hold: Hold = {
    id: newId(),
    reason: body.reason,
    placedAt: now,
    placedBy: actor.id,
    ...(body.until === undefined ? {} : { until: body.until }),
    ...(body.datasets === undefined ? {} : { datasets: [...new Set(body.datasets)] }),
    ...(body.reviewAt === undefined ? {} : { reviewAt: body.reviewAt }),
  };
  return step({ ...account, holds: [...account.holds, hold] }, 'hold.placed', { hold });
}

/** Far more than anybody needs, and still small enough to travel with every step. */
const maxHolds = 100;

function releaseHold(account: Lifecycle, holdId: string, { now, settings }: Circumstances, extra: Details): Decision {
  if (!account.holds.some((hold) => hold.id === holdId)) return refuse(account, 'not-found', 'no such hold stands');
  const holds = account.holds.filter((hold) => hold.id !== holdId);
  // R9: what a hold lets go after the due date is erased after the notice and waits for nothing else. A hold that comes
  // and goes while an earlier one's notice runs gets a notice of its own.
  const { period: running } = account;
  const deadline = deadlineOf(account);
  const passed = deadline?.action === 'erase' && (running?.afterHold === true || isDue(deadline.at, now));
  const period: RunningPeriod | undefined =
    letsGo(account.holds, holds) && passed && running !== undefined
      ? { length: running.length, notBefore: plus(now, settings.notice), afterHold: true }
      : running;
  return step({ ...account, holds, ...(period === undefined ? {} : { period }) }, 'hold.released', {
    hold: holdId,
    ...extra,
  });
}

/** Whether less is held than before, so that something can be erased that could not. */
function letsGo(before: readonly Hold[], after: readonly Hold[]): boolean {
  const [was, is] = [heldBy(before), heldBy(after)];
  if (is === 'everything') return false;
  return was === 'everything' || was.some((dataset) => !is.includes(dataset));
}

function changePolicy(account: Lifecycle, body: CommandBody<'changePolicy'>, circumstances: Circumstances): Decision {
  const { actor, plan, settings } = circumstances;
  const periods = periodNames.filter((name) => body[name] !== undefined);
  const flaws = periods.flatMap((name) => {
    const length = body[name];
    return length === null || length === undefined ? [] : periodFlaws(name, length, settings.minPeriod);
  });
  if (periods.length === 0 && body.activeRetentionDays === undefined) {
    flaws.push({ path: '', detail: 'name at least one of gracePeriod, expiryPeriod, activeRetentionDays' });
  }
  if (flaws.length > 0) return invalid(account, flaws);
  if (periods.length > 0 && actor.role === 'customer') {
    return refuse(account, 'forbidden', 'the periods are set by operators, not by the customer (R7)');
  }
  if (body.activeRetentionDays !== undefined && plan !== 'enterprise') {
    return refuse(account, 'conflict', 'active-data retention is for enterprise accounts (R11)');
  }
  const overrides = applyOverrides(account.overrides, body);
  const before = policyInForce(account.overrides, settings);
  const after = policyInForce(overrides, settings);
  const period = runningPeriod(account, body, after, circumstances);
  const shortened = periods.filter((name) => parseDuration(after[name].value) < parseDuration(before[name].value));
  const sooner = account.period !== undefined && period !== undefined && isSooner(account, period);
  // A role is absent where Temporal's own permissions decide who may send, as for messages by hand.
  if ((shortened.length > 0 || sooner) && actor.role !== undefined && actor.role !== 'admin') {
    return refuse(account, 'forbidden', 'shortening a period needs an administrator (R7)');
  }
  const deadline = deadlineOf(account);
  const next: Lifecycle = { ...account, overrides, ...(period === undefined ? {} : { period }) };
  const moved = deadlineOf(next);
  return step(next, 'policy.changed', {
    before: valuesOf(before),
    after: valuesOf(after),
    ...(deadline === undefined || moved === undefined ? {} : { deadline: { before: deadline.at, after: moved.at } }),
  });
}

function isSooner(account: Lifecycle, period: RunningPeriod): boolean {
  const before = deadlineOf(account);
  return before !== undefined && Date.parse(endOf(account.since, period)) < Date.parse(before.at);
}

/**
 * The period that runs after a policy change (R7): counted anew from the moment the state began if the change names it,
 * untouched otherwise, since a default that has changed meanwhile binds only periods that begin later.
 */
function runningPeriod(
  account: Lifecycle,
  body: CommandBody<'changePolicy'>,
  policy: PolicyInForce,
  { now, settings }: Circumstances,
): RunningPeriod | undefined {
  const name: PeriodName = account.state === 'suspended' ? 'gracePeriod' : 'expiryPeriod';
  const length = policy[name].value;
  if (account.period === undefined || body[name] === undefined || length === account.period.length)
    return account.period;
  const before = endOf(account.since, account.period);
  if (Date.parse(plus(account.since, length)) >= Date.parse(before)) return { length };
  const notice = plus(now, settings.notice);
  const next = withNotice(account.since, { length }, Date.parse(before) < Date.parse(notice) ? before : notice);
  // The notice a hold's release gave runs on, and another hold meanwhile gets one of its own (R9).
  return account.period.afterHold === true && next.notBefore !== undefined ? { ...next, afterHold: true } : next;
}

/** A period that ends at `since` plus its length, but not before the given instant. */
function withNotice(since: Instant, period: RunningPeriod, notBefore: Instant): RunningPeriod {
  const end = plus(since, period.length);
  return later(end, notBefore) === end ? { length: period.length } : { length: period.length, notBefore };
}

function applyOverrides(overrides: PolicyOverrides, body: CommandBody<'changePolicy'>): PolicyOverrides {
  const merged: Record<string, unknown> = { ...overrides };
  for (const name of [...periodNames, 'activeRetentionDays'] as const) {
    const value = body[name];
    if (value === null) Reflect.deleteProperty(merged, name);
    else if (value !== undefined) merged[name] = value;
  }
  return merged;
}

function valuesOf(policy: PolicyInForce): Details {
  return {
    gracePeriod: policy.gracePeriod.value,
    expiryPeriod: policy.expiryPeriod.value,
    activeRetentionDays: policy.activeRetentionDays.value,
  };
}

function periodInForce(overrides: PolicyOverrides, settings: Settings, name: PeriodName): RunningPeriod {
  return { length: policyInForce(overrides, settings)[name].value };
}

function noteOf(body: { readonly note?: string | undefined }): { note?: string } {
  return body.note === undefined ? {} : { note: body.note };
}

function step(next: Lifecycle, action: LifecycleAction, details: Details): Decision {
  return { step: { next, action, details } };
}

/** A refusal with what the account's state allows instead (R13). */
export function refuse(account: Lifecycle, code: Refusal['code'], detail: string): { refused: Refusal } {
  return { refused: { code, detail, state: account.state, allowed: allowedChanges(account) } };
}

function invalid(account: Lifecycle, errors: readonly Flaw[]): Decision {
  const { refused } = refuse(account, 'validation', 'the message does not fit');
  return { refused: { ...refused, errors } };
}

function inapplicable(account: Lifecycle, command: Command): string {
  if (account.erasingSince !== undefined)
    return `erasure began at ${account.erasingSince}; ${command.name} no longer applies`;
  return `${command.name} does not apply to an account that is ${account.state}`;
}
