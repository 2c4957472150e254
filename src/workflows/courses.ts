/*
 * One check of a region's accounts and their workflows against each other: whatever was restored, each account that lives has a
 * workflow that agrees with its record, no other account has one, and what is still to be done beside them has one (R23). A
 * Temporal Schedule starts one every so often.
 */
import { makeContinueAsNewFunc, patched, proxyActivities, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities';
import type { CoursesInput, CoursesOutcome } from './courses-input';

// It only ever begins what is missing, and asks what runs to look: it may be tried again for as long as it takes.
const { checkCourses, endErasedCourses, beginMissingErrands } = proxyActivities<Activities>({
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '30 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** Checks all accounts once. */
export async function coursesWorkflow(input: CoursesInput): Promise<CoursesOutcome> {
  let { after, accounts = 0, restarted = 0, compared = 0 } = input.carried ?? {};
  do {
    const summary = after === undefined ? 'Look for accounts without a workflow' : 'Look on';
    const report = await checkCourses.executeWithOptions({ summary }, [after === undefined ? {} : { after }]);
    accounts += report.accounts;
    restarted += report.restarted;
    compared += report.compared;
    after = report.after;
    setCurrentDetails(`${accounts} accounts · ${restarted} workflows begun anew · ${compared} told to compare`);
    if (after !== undefined && workflowInfo().continueAsNewSuggested) {
      await makeContinueAsNewFunc<typeof coursesWorkflow>()({
        ...input,
        carried: { after, accounts, restarted, compared },
      });
    }
  } while (after !== undefined);
  const ended = await endErasedCourses.executeWithOptions({ summary: 'Look for workflows of erased accounts' }, []);
  const errands = patched('errands')
    ? await beginMissingErrands.executeWithOptions({ summary: 'Look for what is still to be done' }, [])
    : 0;
  return { accounts, restarted, compared, ended, errands };
}
