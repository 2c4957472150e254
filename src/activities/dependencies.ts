import type { GuardSettings, Store } from '../data';
import type { Settings } from '../lifecycle';
import type { ProcessorSettings } from '../processors';

/** What activities need. */
export interface ActivityDependencies {
  readonly store: Store;
  /** The deployment's configured numbers. */
  readonly settings: Settings;
  /** What stands between a deadline and the erasure it brings. */
  readonly guard: GuardSettings;
  /** How processors are reached. @default without callbacks, and at public addresses only */
  readonly processors?: ProcessorSettings;
}
