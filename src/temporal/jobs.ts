/** Starting and addressing the workflows that are no account's own course: exports, sweeps, requests to processors. */
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import { searchAttributes } from '../workflows';
import { OutcomeUnknownError } from './errors';

/** One durable piece of work. */
export interface Job {
  /** The workflow's type. */
  readonly type: string;
  /** The workflow's id, such as `export/eu-central-1/…`. The same id is the same job. */
  readonly id: string;
  /** Plain JSON, nothing personal. */
  readonly input: unknown;
  /** What operators read of it in Temporal's Web UI. */
  readonly summary: string;
  /** The account it is about, so that operators find it by the search attribute. */
  readonly account?: string;
}

/** The jobs of one region. */
export interface Jobs {
  /** Starts a job, once: one that was started before is left alone. @throws {OutcomeUnknownError} no answer in time */
  start(job: Job): Promise<void>;
  /** Sends a running job a signal. @returns whether there was one to take it */
  signal(id: string, name: string, ...args: unknown[]): Promise<boolean>;
}

export interface JobsOptions {
  readonly client: Client;
  readonly taskQueue: string;
  /** How long to wait for Temporal, in milliseconds. @default 3300 */
  readonly patience?: number;
}

export function openJobs({ client, taskQueue, patience = 3300 }: JobsOptions): Jobs {
  return {
    async start({ type, id, input, summary, account }) {
      try {
        await client.withDeadline(Date.now() + patience, () =>
          client.workflow.start(type, {
            workflowId: id,
            taskQueue,
            args: [input],
            staticSummary: summary,
            workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
            workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
            ...(account === undefined
              ? {}
              : { typedSearchAttributes: [{ key: searchAttributes.accountId, value: account }] }),
          }),
        );
      } catch (error) {
        if (error instanceof WorkflowExecutionAlreadyStartedError) return;
        throw new OutcomeUnknownError('no answer in time; ask again with the same key', { cause: error });
      }
    },

    async signal(id, name, ...args) {
      try {
        await client.withDeadline(Date.now() + patience, () => client.workflow.getHandle(id).signal(name, ...args));
        return true;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw new OutcomeUnknownError('no answer in time; ask again with the same key', { cause: error });
      }
    },
  };
}
