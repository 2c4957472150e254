import type { GuardSettings, Store } from '../data';
import type { Settings } from '../lifecycle';

/** What activities need. */
export interface ActivityDependencies {
  readonly store: Store;
  /** The deployment's configured numbers. */
  readonly settings: Settings;
  /** What stands between a deadline and the erasure it brings. */
  readonly guard: GuardSettings;
}
