/** The names by which the workflow of a data subject's request is reached. */
import { defineSignal } from '@temporalio/workflow';

export const personWorkflowType = 'personWorkflow';

/** Look again at once, instead of tomorrow: a hold was released, say. */
export const recheckSignal = defineSignal('recheck');

/** The id of a request's workflow: `person/REGION/ACCOUNT/REQUEST`. */
export function personWorkflowId(region: string, account: string, request: string): string {
  return `person/${region}/${account}/${request}`;
}

/** What operators read of it in Temporal's Web UI. */
export function personSummary(account: string): string {
  return `Erase one person's records of account ${account}`;
}
