/** What a look at the register of providers begins and ends with. */
export const disclosuresWorkflowType = 'disclosuresWorkflow';

export interface DisclosuresInput {
  readonly region: string;
}

export interface DisclosuresOutcome {
  /** Providers whose disclosure is missing. */
  readonly missing: number;
  /** Providers whose review is overdue. */
  readonly overdue: number;
}
