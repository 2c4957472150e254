/*
 * One export, from its request to the day its archive is removed.
 *
 * 1. What may be read is decided by the export's record alone, in the transaction that withdraws it. This workflow only
 *    does the work: a signal that is lost costs time, never a file that can still be fetched.
 * 2. Every activity may be repeated, and goes on where it was left.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import type { Activities, ExportRef } from '../activities';
import { withdrawSignal } from './export-messages';

/** How an export ended. */
export interface ExportOutcome {
  readonly ended: 'expired' | 'withdrawn' | 'failed';
}

// Writing may take hours. It heartbeats, goes on where it stopped, and gives up by itself where it gets nowhere.
const { writeExport } = proxyActivities<Activities>({
  startToCloseTimeout: '7 days',
  scheduleToCloseTimeout: '14 days',
  heartbeatTimeout: '10 seconds',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '1 minute',
    nonRetryableErrorTypes: ['ExportGoneError', 'ExportEndedError', 'ExportStuckError', 'UnreadableValueError'],
  },
});

// Ending one repeats until the database is there.
const { expireExport, failExport, removeExportBytes, exportStands } = proxyActivities<Activities>({
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** Between two looks at whether an archive still stands, in case the signal that it does not was lost. */
const lookAgain = 6 * 60 * 60 * 1000;

/** Makes an archive, keeps it for its time, and removes it. */
export async function exportWorkflow({ exportId }: ExportRef): Promise<ExportOutcome> {
  let told = false;
  const isWithdrawn = () => told;
  const writing = new CancellationScope();
  setHandler(withdrawSignal, () => {
    told = true;
    writing.cancel();
  });
  try {
    setCurrentDetails('**Writing** the archive; the pending activity shows how far it is.');
    const written = () => writeExport.executeWithOptions({ summary: 'Write the archive' }, [{ exportId }]);
    const { expiresAt } = await writing.run(written);
    setCurrentDetails(`**Ready** until ${expiresAt}.`);
    while (!isWithdrawn()) {
      const left = Date.parse(expiresAt) - Date.now();
      if (left <= 0) {
        await expireExport.executeWithOptions({ summary: 'Its time has passed: remove it' }, [{ exportId }]);
        return { ended: 'expired' };
      }
      const look = left > lookAgain;
      const summary = look ? 'Kept; looks again whether it still stands' : `Kept until ${expiresAt}`;
      await condition(isWithdrawn, Math.min(left, lookAgain), { summary });
      if (look && !isWithdrawn()) {
        const stands = await exportStands.executeWithOptions({ summary: 'Does it still stand?' }, [{ exportId }]);
        told = !stands;
      }
    }
  } catch (error) {
    const reason = reasonFor(error, isWithdrawn());
    if (reason !== undefined) {
      setCurrentDetails(`**Failed**: ${reason}.`);
      const give = () => failExport.executeWithOptions({ summary: `Give it up: ${reason}` }, [{ exportId, reason }]);
      await CancellationScope.nonCancellable(give);
      return { ended: 'failed' };
    }
  }
  setCurrentDetails('**Withdrawn**.');
  const remove = () => removeExportBytes.executeWithOptions({ summary: 'Withdrawn: remove it' }, [{ exportId }]);
  await CancellationScope.nonCancellable(remove);
  return { ended: 'withdrawn' };
}

/** Why writing failed, in a word; nothing where it was stopped because the export ended. */
function reasonFor(error: unknown, withdrawn: boolean): string | undefined {
  if (isCancellation(error)) return withdrawn ? undefined : 'cancelled';
  if (!(error instanceof ActivityFailure)) throw error;
  const type = error.cause instanceof ApplicationFailure ? error.cause.type : undefined;
  if (type === 'ExportGoneError' || type === 'ExportEndedError') return undefined;
  // Something was altered, and stays so: a new export may be asked for once somebody has seen to it.
  if (type === 'UnreadableValueError') return 'damaged';
  return type === 'ExportStuckError' ? 'storage' : 'time';
}
