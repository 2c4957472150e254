/** What a check of accounts' workflows begins and ends with. */
export const coursesWorkflowType = 'coursesWorkflow';

/** What a run begins with. */
export interface CoursesInput {
  readonly region: string;
  /** What the runs before came to; absent in the first. */
  readonly carried?: CoursesProgress & { readonly after: string };
}

interface CoursesProgress {
  /** Accounts looked at. */
  readonly accounts: number;
  /** Workflows that were missing, and were begun. */
  readonly restarted: number;
  /** Workflows that were told to compare themselves with the record. */
  readonly compared: number;
}

export interface CoursesOutcome extends CoursesProgress {
  /** Workflows of erased accounts, which were told to look. */
  readonly ended: number;
  /** Workflows of processors' answers, of persons and of what the law keeps that were missing, and were begun. */
  readonly errands: number;
}
