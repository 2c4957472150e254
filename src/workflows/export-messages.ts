/** The names by which an export's workflow is reached. */
import { defineSignal } from '@temporalio/workflow';

export const exportWorkflowType = 'exportWorkflow';

/** Tells an export that it has been withdrawn: it stops, and removes what it has written. */
export const withdrawSignal = defineSignal('withdraw');

/** The id of an export's workflow: `export/REGION/ACCOUNT/EXPORT`. */
export function exportWorkflowId(region: string, account: string, exportId: string): string {
  return `export/${region}/${account}/${exportId}`;
}

/** What operators read of it in Temporal's Web UI. */
export function exportSummary(account: string, region: string): string {
  return `Export of account ${account} · ${region}`;
}
