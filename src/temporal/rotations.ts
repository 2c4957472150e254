/** Starting rotations of keys, and following them. */
import { WorkflowNotFoundError, type Client, type WorkflowHandle } from '@temporalio/client';
import { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import {
  rotationProgressQuery,
  rotationSummary,
  rotationWorkflowId,
  rotationWorkflowType,
  signingRotationWorkflowId,
  signingRotationWorkflowType,
  type RotationInput,
  type RotationOutcome,
  type RotationProgress,
  type SigningRotationInput,
  type SigningRotationOutcome,
} from '../workflows';
import { followed, patience, type Followed } from './following';

export interface RotationsOptions {
  readonly client: Client;
  readonly region: string;
  readonly taskQueue: string;
}

/** A rotation under way. */
export type RotationHandle = Followed<RotationProgress, RotationOutcome>;

/** The rotations of one region. */
export interface Rotations {
  /** Starts the rotation to a master key, or joins the one that runs, whichever that leads to. @param to the master key's id */
  start(to: string): Promise<RotationHandle>;
  /** The rotation that runs, if there is one. */
  running(): Promise<RotationHandle | undefined>;
  /** Replaces the signing key, and waits until that is done. */
  replaceSigningKey(): Promise<SigningRotationOutcome>;
}

const policies = {
  workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
  workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
} as const;

export function openRotations({ client, region, taskQueue }: RotationsOptions): Rotations {
  const followRotation = (handle: WorkflowHandle): RotationHandle => followed(client, handle, rotationProgressQuery);
  const soon = <T>(ask: () => Promise<T>) => client.withDeadline(Date.now() + patience, ask);

  return {
    async start(to) {
      const input: RotationInput = { region, to };
      const handle = await soon(() =>
        client.workflow.start(rotationWorkflowType, {
          workflowId: rotationWorkflowId(region),
          taskQueue,
          args: [input],
          staticSummary: rotationSummary(to, region),
          ...policies,
        }),
      );
      return followRotation(handle);
    },

    async running() {
      const handle = client.workflow.getHandle(rotationWorkflowId(region));
      try {
        const { status } = await soon(() => handle.describe());
        return status.name === 'RUNNING' ? followRotation(handle) : undefined;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return undefined;
        throw error;
      }
    },

    async replaceSigningKey() {
      const input: SigningRotationInput = { region };
      const handle = await soon(() =>
        client.workflow.start(signingRotationWorkflowType, {
          workflowId: signingRotationWorkflowId(region),
          taskQueue,
          args: [input],
          staticSummary: `Replace the signing key · ${region}`,
          ...policies,
        }),
      );
      return (await handle.result()) as SigningRotationOutcome;
    },
  };
}
