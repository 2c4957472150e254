/** The workflows of what is still to be done beside accounts' own courses, by what the database knows of it (R23). */
import type { Errand } from '../data';
import {
  personSummary,
  personWorkflowId,
  personWorkflowType,
  processorSummary,
  processorWorkflowId,
  processorWorkflowType,
  retainedSummary,
  retainedWorkflowId,
  retainedWorkflowType,
} from '../workflows';
import type { Job } from './jobs';

/** The job that sees to it, the very one that was begun when it came up. */
export function jobOf(region: string, errand: Errand): Job {
  switch (errand.kind) {
    case 'retained': {
      const account = `~${errand.subject}`;
      return {
        type: retainedWorkflowType,
        id: retainedWorkflowId(region, errand.subject),
        input: { account, region },
        summary: retainedSummary(account, region),
        account,
      };
    }
    case 'person': {
      const { account, request } = errand;
      return {
        type: personWorkflowType,
        id: personWorkflowId(region, account, request),
        input: { account, request },
        summary: personSummary(account),
        account,
      };
    }
    case 'processor': {
      const { request } = errand;
      return {
        type: processorWorkflowType,
        id: processorWorkflowId({ region, request }),
        input: { region, request },
        summary: processorSummary({ region, request }),
      };
    }
  }
}
