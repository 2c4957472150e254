/** What legal holds protect (R9). */
import type { Hold } from './terms';

/** What is held: everything there is of an account, or the data sets named. */
export type Held = 'everything' | readonly string[];

/** What these holds protect together. A hold that names no data sets protects everything. */
export function heldBy(holds: readonly Pick<Hold, 'datasets'>[]): Held {
  if (holds.some((hold) => hold.datasets === undefined)) return 'everything';
  return [...new Set(holds.flatMap((hold) => hold.datasets ?? []))].sort();
}

/** Whether a data set is among what is held. */
export function isHeld(held: Held, dataset: string): boolean {
  return held === 'everything' || held.includes(dataset);
}
