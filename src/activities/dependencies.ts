import type { GuardSettings, Store } from '../data';
import type { Ledger } from '../ledger';
import type { ArchiveStorage, ExportLimits } from '../exports';
import type { Settings } from '../lifecycle';
import type { CourseKeeper } from './course-keeper';
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
  /** Accounts' workflows, to hold them against their records (R23). */
  readonly courses: CourseKeeper;
  /** Where each erasure is written down, outside of every backup (R23). */
  readonly ledger: Ledger;
  /** Where the files of exports are kept. */
  readonly archives: ArchiveStorage;
  /** How long exports last and are tried. @default a week, and an hour without progress */
  readonly exportLimits?: ExportLimits;
}
