import type { Store } from '../data';
import type { Settings } from '../lifecycle';

/** What activities need. */
export interface ActivityDependencies {
  readonly store: Store;
  /** The deployment's configured numbers. */
  readonly settings: Settings;
  /** The time by which "the deadline has passed" is judged just before erasing. Async, so that tests can skip time. */
  readonly now: () => Promise<Date>;
}
