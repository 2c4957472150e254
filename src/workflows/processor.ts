/*
 * One request to one processor, until it confirms that it has erased.
 *
 * 1. The database knows what was asked and what was answered; this workflow only says when to look again. Callbacks are
 *    recorded before they are signalled, so a signal that is lost costs time and nothing else.
 * 2. Looks that come to nothing are spaced out, from half a minute to six hours; after 72 hours there is one a day.
 * 3. A processor that has not confirmed within 72 hours, or when it said it would, is escalated, every day anew. After 30
 *    days it is given up, on record.
 * 4. No account waits for this: it runs on its own, and nothing of it can fail an erasure.
 */
import { condition, proxyActivities, setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { Activities } from '../activities';
import { answeredSignal, type ProcessorInput } from './processor-messages';

// The processor's troubles are part of the answer; what is repeated here are our own.
const retry = { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' } as const;
const { tellProcessor } = proxyActivities<Activities>({ startToCloseTimeout: '2 minutes', retry });
const { escalateProcessor, abandonProcessor } = proxyActivities<Activities>({
  startToCloseTimeout: '30 seconds',
  retry,
});

type Look = Awaited<ReturnType<Activities['tellProcessor']>>;

const second = 1000;
const hour = 60 * 60 * second;
const day = 24 * hour;
const firstPause = 30 * second;
const longestPause = 6 * hour;
/** When an unanswered request is escalated. */
const escalation = 3 * day;
/** How long a processor is asked at all. */
const patience = 30 * day;

/** Sees to a request; answers with what it came to. */
export async function processorWorkflow({ request }: ProcessorInput): Promise<Look['status']> {
  let answered = false;
  let fruitless = 0;
  let alertedAt = -Infinity;
  setHandler(answeredSignal, () => {
    answered = true;
  });
  for (;;) {
    answered = false;
    const look = await tellProcessor.executeWithOptions({ summary: 'Ask or tell the processor' }, [{ request }]);
    setCurrentDetails(detailsOf(look));
    if (look.ended) return look.status;
    const since = Date.parse(look.at);
    if (Date.now() >= since + patience) {
      await abandonProcessor.executeWithOptions({ summary: 'Give up, on record' }, [{ request }]);
      // It may have confirmed at the last moment: the database knows.
      return (await tellProcessor.executeWithOptions({ summary: 'See what it came to' }, [{ request }])).status;
    }
    const escalateAt = Math.max(since + escalation, expected(look) ?? 0);
    if (Date.now() >= escalateAt && Date.now() >= alertedAt + day) {
      await escalateProcessor.executeWithOptions({ summary: 'Escalate: the processor does not answer' }, [{ request }]);
      alertedAt = Date.now();
    }
    fruitless = look.error === undefined ? 0 : fruitless + 1;
    const wake = Math.min(
      Date.now() + pauseAfter(look, fruitless),
      since + patience,
      ...[escalateAt, expected(look) ?? Infinity].filter((at) => at > Date.now()),
    );
    const timeout = Math.max(1, wake - Date.now());
    await condition(() => answered, timeout, { summary: `Look again, ${look.error ?? look.status}` });
  }
}

function expected({ expectedBy }: Look): number | undefined {
  return expectedBy === undefined ? undefined : Date.parse(expectedBy);
}

/** How long to leave the processor alone, in milliseconds. */
function pauseAfter({ error, retryAfter = 0, at }: Look, fruitless: number): number {
  if (error === undefined || Date.now() >= Date.parse(at) + escalation) return day;
  return Math.max(Math.min(firstPause * 2 ** (fruitless - 1), longestPause), retryAfter);
}

function detailsOf({ status, expectedBy, error }: Look): string {
  const lines = [`**${status}**`];
  if (expectedBy !== undefined) lines.push(`- expected by ${expectedBy}`);
  if (error !== undefined) lines.push(`- last look: ${error}`);
  return lines.join('\n');
}
