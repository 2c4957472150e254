/** Starting rotations of data keys, and following them. */
import type { Client, WorkflowHandle } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import {
  dataRotationProgressQuery,
  dataRotationSummary,
  dataRotationWorkflowId,
  dataRotationWorkflowType,
  type DataRotationInput,
  type DataRotationOutcome,
  type DataRotationProgress,
} from '../workflows';
import { followed, patience, type Followed } from './following';

export interface DataRotationsOptions {
  readonly client: Client;
  readonly taskQueue: string;
}

/** A rotation of data keys under way. */
export interface DataRotationHandle extends Followed<DataRotationProgress, DataRotationOutcome> {
  /** It ran before it was asked for, perhaps with other options. */
  readonly joined: boolean;
}

/**
 * Starts a rotation of data keys, or joins the one that runs for the same keys.
 *
 * @param pseudonym the account's, where it is one account's
 */
export async function startDataRotation(
  { client, taskQueue }: DataRotationsOptions,
  input: DataRotationInput,
  pseudonym?: string,
): Promise<DataRotationHandle> {
  const workflowId = dataRotationWorkflowId(input.region, pseudonym);
  try {
    const handle = await client.withDeadline(Date.now() + patience, () =>
      client.workflow.start(dataRotationWorkflowType, {
        workflowId,
        taskQueue,
        args: [input],
        staticSummary: dataRotationSummary(input),
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      }),
    );
    return joining(client, handle, false);
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    return joining(client, client.workflow.getHandle(workflowId), true);
  }
}

function joining(client: Client, handle: WorkflowHandle, joined: boolean): DataRotationHandle {
  return { ...followed(client, handle, dataRotationProgressQuery), joined };
}
