/** The names by which the workflow of a request to a processor is reached. */
import { defineSignal } from '@temporalio/workflow';

/** What a run begins with: opaque ids only. */
export interface ProcessorInput {
  readonly region: string;
  /** The id of the request, under which the database knows the rest. */
  readonly request: string;
}

/** The id of the workflow that sees to a request: `processor/REGION/REQUEST`. */
export function processorWorkflowId({ region, request }: ProcessorInput): string {
  return `processor/${region}/${request}`;
}

/** What operators read of it in Temporal's list. */
export function processorSummary({ region, request }: ProcessorInput): string {
  return `Erasure at a processor · request ${request} · ${region}`;
}

/** The processor has answered, and the database knows what. */
export const answeredSignal = defineSignal('answered');
