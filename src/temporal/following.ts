/** Following a workflow that works through much: how far it is, what stops it, and how it ends. */
import type { Client, QueryDefinition, WorkflowHandle } from '@temporalio/client';

/** A piece of work under way. */
export interface Followed<Progress, Outcome> {
  readonly workflowId: string;
  /** How far it is; nothing while no worker answers. */
  progress(): Promise<Progress | undefined>;
  /** The name of the failure its present step is repeated after, if there is one. */
  trouble(): Promise<string | undefined>;
  /** Waits for its end. */
  outcome(): Promise<Outcome>;
}

/** How long a call of Temporal may take, in milliseconds. */
export const patience = 10_000;
const queryPatience = 3000;

/** Follows a workflow that tells its progress by a query. */
export function followed<Progress, Outcome>(
  client: Client,
  handle: WorkflowHandle,
  query: QueryDefinition<Progress>,
): Followed<Progress, Outcome> {
  return {
    workflowId: handle.workflowId,
    async progress() {
      try {
        return await client.withDeadline(Date.now() + queryPatience, () => handle.query(query));
      } catch {
        return undefined;
      }
    },
    async trouble() {
      const { raw } = await client.withDeadline(Date.now() + patience, () => handle.describe());
      const [pending] = raw.pendingActivities ?? [];
      return pending?.lastFailure?.applicationFailureInfo?.type ?? undefined;
    },
    outcome: async () => (await handle.result()) as Outcome,
  };
}
