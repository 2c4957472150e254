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

export interface DataRotationsOptions {
  readonly client: Client;
  readonly taskQueue: string;
}

/** A rotation of data keys under way. */
export interface DataRotationHandle {
  readonly workflowId: string;
  /** It ran before it was asked for, perhaps with other options. */
  readonly joined: boolean;
  /** How far it is; nothing while no worker answers. */
  progress(): Promise<DataRotationProgress | undefined>;
  /** The name of the failure its present step is repeated after, if there is one. */
  trouble(): Promise<string | undefined>;
  /** Waits for its end. */
  outcome(): Promise<DataRotationOutcome>;
}

/** How long a call of Temporal may take, in milliseconds. */
const patience = 10_000;
const queryPatience = 3000;

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
    return followed(client, handle, false);
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    return followed(client, client.workflow.getHandle(workflowId), true);
  }
}

function followed(client: Client, handle: WorkflowHandle, joined: boolean): DataRotationHandle {
  return {
    workflowId: handle.workflowId,
    joined,
    async progress() {
      try {
        return await client.withDeadline(Date.now() + queryPatience, () => handle.query(dataRotationProgressQuery));
      } catch {
        return undefined;
      }
    },
    async trouble() {
      const { raw } = await client.withDeadline(Date.now() + patience, () => handle.describe());
      const [pending] = raw.pendingActivities ?? [];
      return pending?.lastFailure?.applicationFailureInfo?.type ?? undefined;
    },
    outcome: async () => (await handle.result()) as DataRotationOutcome,
  };
}
