/**
 * When things happen by themselves. Instants are absolute and computed in UTC milliseconds: no time zone, no daylight
 * saving, no calendar of the host takes part.
 */
import { parseDuration } from './duration';
import { heldBy } from './holds';
import type { Deadline, Duration, Instant, Lifecycle, RunningPeriod } from './terms';

export function toInstant(milliseconds: number): Instant {
  return new Date(milliseconds).toISOString();
}

export function plus(instant: Instant, length: Duration): Instant {
  return toInstant(Date.parse(instant) + parseDuration(length));
}

export function later(a: Instant, b: Instant): Instant {
  return Date.parse(a) >= Date.parse(b) ? a : b;
}

export function isDue(instant: Instant, now: Instant): boolean {
  return Date.parse(instant) <= Date.parse(now);
}

/** When a period ends: `since` plus its length, or later where the notice demands it (R7, R9). */
export function endOf(since: Instant, period: RunningPeriod): Instant {
  const end = plus(since, period.length);
  return period.notBefore === undefined ? end : later(end, period.notBefore);
}

/** What happens next by itself, and when; nothing for an active or erased account. */
export function deadlineOf(account: Lifecycle): Deadline | undefined {
  if (account.period === undefined) return undefined;
  if (account.state === 'suspended') return { action: 'close', at: endOf(account.since, account.period) };
  if (account.state === 'expired') return { action: 'erase', at: endOf(account.since, account.period) };
  return undefined;
}

const spreadShare = 0.01;
const spreadLimit = 5 * 60 * 1000;

/**
 * How long after a deadline an account acts on it, so that many accounts due at one instant do not all wake at once:
 * a fixed share, drawn from the account's id, of 1% of the period and at most five minutes. The deadline itself stays
 * exact.
 *
 * @returns milliseconds
 */
export function spreadOf(accountId: string, period: RunningPeriod): number {
  return Math.floor(hashFraction(accountId) * spreadBound(period));
}

/** The longest {@link spreadOf} can be for a period, in milliseconds. */
export function spreadBound(period: RunningPeriod): number {
  return Math.min(parseDuration(period.length) * spreadShare, spreadLimit);
}

/** FNV-1a with a final mix (MurmurHash3's), as a fraction of 1: short and alike ids still spread evenly. */
function hashFraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** What an account waits for, if anything: the earliest of its deadline and the ends of its holds. */
export interface Wake {
  readonly at: Instant;
  readonly for: 'endGracePeriod' | 'beginErasure' | 'endHold';
  readonly holdId?: string;
}

/**
 * The next thing an account has to wake for.
 *
 * Erasure is not waited for while holds protect all that is left (R9): it cannot begin, and their going sets a new date.
 *
 * @param notBefore erasing is not tried before this moment, in milliseconds: what else falls due until then comes first
 */
export function nextWake(accountId: string, account: Lifecycle, notBefore = 0): Wake | undefined {
  const wakes: Wake[] = account.holds
    .filter((hold) => hold.until !== undefined)
    .map((hold) => ({ at: hold.until as Instant, for: 'endHold', holdId: hold.id }));
  const deadline = deadlineOf(account);
  if (deadline !== undefined && account.period !== undefined) {
    const at = Date.parse(deadline.at) + spreadOf(accountId, account.period);
    if (deadline.action === 'close') wakes.push({ at: toInstant(at), for: 'endGracePeriod' });
    else if (isErasable(account)) wakes.push({ at: toInstant(Math.max(at, notBefore)), for: 'beginErasure' });
  }
  return wakes.sort((a, b) => Date.parse(a.at) - Date.parse(b.at))[0];
}

/** Whether there is anything to erase that no hold protects (R9). */
export function isErasable({ holds, spared }: Pick<Lifecycle, 'holds' | 'spared'>): boolean {
  const held = heldBy(holds);
  if (held === 'everything') return false;
  return spared === undefined || held.length === 0 || spared.some((dataset) => !held.includes(dataset));
}
