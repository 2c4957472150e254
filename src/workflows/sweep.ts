/*
 * One sweep of a region: what falls due by time alone and belongs to no single account's course. A Temporal Schedule starts
 * one every so often, and none while one runs.
 *
 * 1. It holds nothing: each stretch asks the database anew what is due. A sweep that is lost is made up for by the next.
 * 2. What fails with one account stops no other. It is reported when all the rest is done, by failing.
 * 3. It sees to what was due when it began, so that it ends however much becomes due meanwhile.
 */
import {
  ApplicationFailure,
  log,
  makeContinueAsNewFunc,
  proxyActivities,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, SweepReport, SweepStretch } from '../activities';
import type { SweepInput, SweepOutcome, SweepProgress } from './sweep-input';
import { readable } from './texts';

// A stretch takes about a minute, longer where it has to count a very large account first. What it has purged is purged:
// it may be tried again for as long as it takes.
const { purgeDue, removeLeftArchives, watchErasures } = proxyActivities<Activities>({
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** What is left then is for the next sweep. */
const tidyRounds = 50;
/** Named in the failure; the log has the rest. */
const namedFailures = 20;

/** Sweeps a region once. See the top of this file for what it promises. */
export async function sweepWorkflow(input: SweepInput): Promise<SweepOutcome> {
  // First, and once: whoever is on call hears of what is late even if there is much to purge.
  const overdue = input.carried?.overdue ?? (await watch());
  const { accounts, records, failed, failures } = await purge(input, overdue);
  await tidy();
  if (failed > 0) {
    const named = failures.map(({ account, reason }) => `${account} (${reason})`).join(', ');
    throw ApplicationFailure.create({
      type: 'PurgeFailedError',
      message: `${failed} accounts could not be purged, all others were; the next sweep tries again: ${named}`,
      nonRetryable: true,
    });
  }
  return { accounts, records, overdue };
}

/** Looks for erasures that are late, and has them called out (R6). @returns how many there are */
function watch(): Promise<number> {
  return watchErasures.executeWithOptions({ summary: 'Look for erasures that are late' }, []);
}

/** Removes what ended exports have left: bytes that a hold kept, or that lost their workflow. */
async function tidy(): Promise<void> {
  for (let round = 0; round < tidyRounds; round += 1) {
    const more = await removeLeftArchives.executeWithOptions({ summary: 'Remove what ended exports have left' }, []);
    if (!more) return;
  }
}

async function purge(input: SweepInput, overdue: number): Promise<SweepProgress> {
  let progress: SweepProgress = input.carried ?? {
    next: {},
    overdue,
    accounts: 0,
    records: 0,
    failed: 0,
    failures: [],
  };
  for (;;) {
    const report = await purgeDue.executeWithOptions({ summary: stretchSummary(progress.next) }, [progress.next]);
    progress = joined(progress, report);
    setCurrentDetails(details(progress, report.more));
    if (!report.more) return progress;
    if (workflowInfo().continueAsNewSuggested) {
      log.info('the sweep goes on in a new run');
      await makeContinueAsNewFunc<typeof sweepWorkflow>()({ ...input, carried: progress });
    }
  }
}

function joined(before: SweepProgress, report: SweepReport): SweepProgress {
  const clocksApart = report.clocksApart ?? before.clocksApart;
  // An account may fail again in a stretch that begins with it.
  const fresh = report.failures.filter(
    ({ account }) => !before.failures.some((failure) => failure.account === account),
  );
  return {
    next: report.next,
    overdue: before.overdue,
    accounts: before.accounts + report.accounts,
    records: before.records + report.records,
    failed: before.failed + fresh.length,
    failures: [...before.failures, ...fresh].slice(0, namedFailures),
    ...(clocksApart === undefined ? {} : { clocksApart }),
  };
}

function stretchSummary({ after }: SweepStretch): string {
  if (after === undefined) return 'Purge records past their age';
  return `Purge records past their age, on from what was due ${readable(after.purgeAt)}`;
}

function details({ next, overdue, accounts, records, failed, clocksApart }: SweepProgress, more: boolean): string {
  const lines = [
    `**Purged** ${records} records of ${accounts} accounts · due by ${next.until === undefined ? 'now' : readable(next.until)}`,
  ];
  if (overdue > 0) lines.push(`- **${overdue} erasures are late**; their accounts' timelines say why`);
  if (more) lines.push('- goes on');
  if (failed > 0) lines.push(`- ${failed} accounts failed; the worker's log says why`);
  if (clocksApart !== undefined) {
    lines.push(`- **the clocks of Temporal and the database were ${Math.round(clocksApart / 1000)} s apart**`);
  }
  return lines.join('\n');
}
