/** How a provider's disclosure stands, by the clock given (R24). */
import type { Disclosure } from './provider';

export const disclosureStatuses = ['missing', 'overdue', 'due-soon', 'complete'] as const;

/**
 * - `missing`: it was never asked for, or asked for and not given
 * - `overdue`: the day by which it was to be looked at again is over
 * - `due-soon`: that day comes within {@link noticeDays} days
 * - `complete`: none of these
 */
export type DisclosureStatus = (typeof disclosureStatuses)[number];

/** How long before a review it is said to be due soon. */
const noticeDays = 30;

const day = 24 * 60 * 60 * 1000;

/** What is judged. */
export interface Judged {
  readonly disclosure?: Disclosure | undefined;
  readonly nextReview?: string | undefined;
}

/** The status at an instant. Days end at midnight UTC: a review is overdue on the day after. */
export function statusOf({ disclosure, nextReview }: Judged, now: Date): DisclosureStatus {
  if (disclosure?.givenOn === undefined) return 'missing';
  // What was given has a review; an entry that lost it has to be looked at now.
  const review = nextReview === undefined ? -Infinity : Date.parse(nextReview);
  if (now.getTime() >= review + day) return 'overdue';
  return now.getTime() >= review - noticeDays * day ? 'due-soon' : 'complete';
}

/** Whether somebody has to be told. */
export function isAlarming(status: DisclosureStatus): status is 'missing' | 'overdue' {
  return status === 'missing' || status === 'overdue';
}

/** Whether the last day of something is over. */
export function isPast(date: string, now: Date): boolean {
  return now.getTime() >= Date.parse(date) + day;
}
