/*
 * One look at a region's register of providers: what is missing or overdue is called out (R24). A Temporal Schedule starts
 * one every so often.
 */
import { proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { Activities } from '../activities';
import type { DisclosuresInput, DisclosuresOutcome } from './disclosures-input';

// What was called out is written down: it may be tried again for as long as it takes.
const { watchDisclosures } = proxyActivities<Activities>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** Looks through the register once. */
export async function disclosuresWorkflow(_input: DisclosuresInput): Promise<DisclosuresOutcome> {
  const summary = 'Look for disclosures that are missing or overdue';
  const { missing, overdue } = await watchDisclosures.executeWithOptions({ summary }, []);
  setCurrentDetails(`${missing} disclosures missing · ${overdue} reviews overdue`);
  return { missing, overdue };
}
