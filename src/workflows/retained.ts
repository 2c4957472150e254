/*
 * What the law keeps of one erased account (R10), until its last date.
 *
 * 1. It knows nothing but the account, by its tombstone's id: every date is asked for anew, at least once a year. Nothing is lost when the run is
 *    rolled over, or begun again by hand.
 * 2. Waking is not erasing: the activity asks two clocks, in the transaction that begins it. Until they agree, it waits.
 * 3. It ends when nothing is kept any more.
 */
import { ActivityFailure, TimeoutFailure } from '@temporalio/common';
import {
  CancellationScope,
  makeContinueAsNewFunc,
  proxyActivities,
  setCurrentDetails,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, LapseOutcome } from '../activities';
import { searchAttributes } from './attributes';
import { readable } from './texts';

const { nextRetained } = proxyActivities<Activities>({
  startToCloseTimeout: '30 seconds',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '1 minute',
    nonRetryableErrorTypes: ['WrongRegionError'],
  },
});

// Its clock is the moment it was handed out: where no worker takes it at once, it is handed out anew.
const { eraseRetained } = proxyActivities<Activities>({
  scheduleToStartTimeout: '1 minute',
  startToCloseTimeout: '1 day',
  heartbeatTimeout: '10 seconds',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '1 minute',
    nonRetryableErrorTypes: ['WrongRegionError'],
  },
});

/** What a run begins with. */
export interface RetainedInput {
  /** The id of its tombstone; in runs begun before there were pseudonyms, the account's. */
  readonly account: string;
  readonly region: string;
  /** How often the erasure of the next date was asked for in vain, by the runs before. */
  readonly asked?: number;
}

const minute = 60 * 1000;
const hour = 60 * minute;
/** A date is looked up again after this long, however far it is. */
const longestWait = 365 * 24 * hour;

/** How long to wait before asking again, in milliseconds: clocks differ a little, or somebody has to look at them. */
const pauses = { 'not-due': minute, delayed: hour, 'not-erased': hour } as const;
type Pause = keyof typeof pauses;
const pauseTexts: Readonly<Record<Pause, string>> = {
  'not-due': 'A clock is a little behind: asks again at',
  delayed: 'Two clocks disagree: asks again at',
  'not-erased': 'The account is not erased yet: asks again at',
};

/** Waits for the dates of what the law keeps of an account, and has it erased. See the top of this file. */
export async function retainedWorkflow(input: RetainedInput): Promise<void> {
  // Cancelling would leave records nobody erases: the request for it changes nothing.
  await CancellationScope.nonCancellable(() => keep(input));
}

async function keep({ account, region, asked = 0 }: RetainedInput): Promise<void> {
  upsertSearchAttributes([{ key: searchAttributes.accountId, value: account }]);
  const whose = { account, region };
  let inVain = asked;
  let shown: string | null | undefined;
  for (;;) {
    if (workflowInfo().continueAsNewSuggested) {
      await makeContinueAsNewFunc<typeof retainedWorkflow>()({ ...whose, asked: inVain });
    }
    const summary = `Look up what the law keeps of account ${account}`;
    const until = await nextRetained.executeWithOptions({ summary }, [whose]);
    if (until !== shown) describe(until);
    shown = until;
    if (until === null) return;
    const left = Date.parse(until) - Date.now();
    if (left > 0) {
      await sleep(Math.min(left, longestWait), { summary: `Kept by law until ${readable(until)}` });
      continue;
    }
    const outcome = await erase({ ...whose, until, asked: inVain });
    if (outcome === 'erased') inVain = 0;
    if (outcome === 'delayed') inVain += 1;
    if (outcome in pauses) await pause(outcome as Pause);
  }
}

/** How asking ended; `untaken` where no worker took it in time. */
async function erase(
  lapsing: Parameters<Activities['eraseRetained']>[0],
): Promise<LapseOutcome['outcome'] | 'untaken'> {
  const summary = `Erase what the law kept of account ${lapsing.account} until ${readable(lapsing.until)}`;
  try {
    return (await eraseRetained.executeWithOptions({ summary }, [lapsing])).outcome;
  } catch (error) {
    if (isUntaken(error)) return 'untaken';
    throw error;
  }
}

async function pause(why: Pause): Promise<void> {
  const at = new Date(Date.now() + pauses[why]).toISOString();
  await sleep(pauses[why], { summary: `${pauseTexts[why]} ${readable(at)}` });
}

/** No worker took it in time. */
function isUntaken(error: unknown): boolean {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof TimeoutFailure &&
    error.cause.timeoutType === 'SCHEDULE_TO_START'
  );
}

function describe(until: string | null): void {
  setCurrentDetails(until === null ? 'Nothing is kept any more.' : `**Kept by law** · next date: ${readable(until)}`);
  upsertSearchAttributes([{ key: searchAttributes.deadlineAt, value: until === null ? null : new Date(until) }]);
}
