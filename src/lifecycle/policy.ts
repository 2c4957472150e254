/** Which policy is in force for an account: its own, or the deployment's default (R7, R11). */
import { formatDuration, MAX_PERIOD, parseDuration } from './duration';
import type { Duration, Flaw, PolicyOverrides, Settings } from './terms';

/** A value in force and where it comes from. */
export interface InForce<T> {
  readonly value: T;
  readonly origin: 'account' | 'default';
}

/** The policy in force; `activeRetentionDays` is `null` where data of an active account is kept without limit (R1). */
export interface PolicyInForce {
  readonly gracePeriod: InForce<Duration>;
  readonly expiryPeriod: InForce<Duration>;
  readonly activeRetentionDays: InForce<number | null>;
}

export type PeriodName = 'gracePeriod' | 'expiryPeriod';
export const periodNames: readonly PeriodName[] = ['gracePeriod', 'expiryPeriod'];

function inForce<T>(own: T | undefined, standard: T): InForce<T> {
  return own === undefined ? { value: standard, origin: 'default' } : { value: own, origin: 'account' };
}

/** The policy an account with these overrides has under these settings. */
export function policyInForce(overrides: PolicyOverrides, settings: Pick<Settings, PeriodName>): PolicyInForce {
  return {
    gracePeriod: inForce(overrides.gracePeriod, settings.gracePeriod),
    expiryPeriod: inForce(overrides.expiryPeriod, settings.expiryPeriod),
    activeRetentionDays: inForce<number | null>(overrides.activeRetentionDays, null),
  };
}

/** What is wrong with a period's length under the deployment's bounds, if anything. */
export function periodFlaws(name: string, length: Duration, minPeriod: Duration): Flaw[] {
  const milliseconds = parseDuration(length);
  if (milliseconds < parseDuration(minPeriod)) return [{ path: name, detail: `must be at least ${minPeriod}` }];
  if (milliseconds > MAX_PERIOD) return [{ path: name, detail: `must be at most ${formatDuration(MAX_PERIOD)}` }];
  return [];
}
