/** What a sweep is started with, and what comes of it. Plain JSON. */
import type { SweepReport, SweepStretch } from '../activities';

export const sweepWorkflowType = 'sweepWorkflow';

/** What a sweep begins with. */
export interface SweepInput {
  readonly region: string;
  /** What the run before handed on. */
  readonly carried?: SweepProgress;
}

/** What a sweep did. */
export interface SweepOutcome {
  /** Accounts of which something was purged; one that took several stretches counts in each. */
  readonly accounts: number;
  readonly records: number;
  /** Erasures that were late when it began (R6). */
  readonly overdue: number;
}

/** What a sweep has done so far, and where it goes on. */
export interface SweepProgress extends SweepOutcome {
  readonly next: SweepStretch;
  readonly failed: number;
  /** The first few of them. */
  readonly failures: SweepReport['failures'];
  readonly clocksApart?: number;
}
