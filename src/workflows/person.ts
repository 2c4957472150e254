/*
 * One data subject's request: one person's records of one account are erased.
 *
 * 1. It knows ids alone. Who the person is stands in the database until the request is done.
 * 2. What a hold protects is waited for: it looks again every day, and at once when it is told to.
 * 3. It ends when nothing is left, or when the account is erased.
 */
import { condition, makeContinueAsNewFunc, proxyActivities, setHandler, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities';
import { recheckSignal } from './person-messages';

// It may look through millions of records. It heartbeats, goes on where it stopped, and is tried for as long as it takes.
const { erasePerson } = proxyActivities<Activities>({
  startToCloseTimeout: '7 days',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** What a run begins with. Nothing personal. */
export interface PersonInput {
  readonly account: string;
  readonly request: string;
}

/** How a request ended: everything is erased, or the account was erased meanwhile. */
export interface PersonResult {
  readonly outcome: 'erased' | 'gone';
}

/** The life of one request. See the top of this file for what it promises. */
export async function personWorkflow(input: PersonInput): Promise<PersonResult> {
  let told = false;
  setHandler(recheckSignal, () => {
    told = true;
  });
  for (;;) {
    const outcome = await erasePerson.executeWithOptions({ summary: 'Erase the records of one person' }, [input]);
    if (outcome !== 'partly') return { outcome };
    await condition(() => told, '1 day', { summary: 'Legal hold: looks again in a day' });
    told = false;
    if (workflowInfo().continueAsNewSuggested) await makeContinueAsNewFunc<typeof personWorkflow>()(input);
  }
}
