/** What the workflow of what the law keeps asks of the world (R10). */
import { activityInfo, cancellationSignal, log } from '@temporalio/activity';
import { eraseLapsed, nextLapse, WrongRegionError, type LapseOutcome } from '../data';
import { addMissing } from '../ledger';
import { beating } from './beating';
import type { ActivityDependencies } from './dependencies';

/** Whose. Nothing personal. */
interface Whose {
  readonly account: string;
  readonly region: string;
}

/** What is to be erased, and how often it was asked for before. */
interface Lapsing extends Whose {
  /** The date, as {@link nextLapse} said it. */
  readonly until: string;
  readonly asked: number;
}

/** It is asked for every hour: whoever is on call hears of it once a day, and louder from the third day on (R6). */
const alertEvery = 24;
const escalateFrom = 72;

/** Waiting for the dates of what the law keeps, and erasing it. */
export function retainedActivities({ store, guard, ledger }: ActivityDependencies) {
  function assertOurs(region: string): void {
    if (region !== store.region) throw new WrongRegionError(`this belongs to ${region}, and here is ${store.region}`);
  }

  return {
    /** When the next of what the law keeps of an account goes; `null` where nothing is kept any more. */
    async nextRetained({ account, region }: Whose): Promise<string | null> {
      assertOurs(region);
      return (await nextLapse(store, account))?.toISOString() ?? null;
    },

    /** Erases what the law let go on a date, if both clocks say that it has passed; see {@link eraseLapsed}. */
    async eraseRetained({ account, region, until, asked }: Lapsing): Promise<LapseOutcome> {
      assertOurs(region);
      // The server's own clock: when it handed this attempt out.
      const temporal = new Date(activityInfo().currentAttemptScheduledTimestampMs);
      const judgement = { temporal, tolerance: guard.clockTolerance };
      const outcome = await beating((tell) => {
        const signal = cancellationSignal();
        return eraseLapsed(store, account, new Date(until), judgement, {
          progress: (erased, found) => tell({ erased, found }),
          checkpoint: () => signal.throwIfAborted(),
        });
      });
      // Also where there was nothing: whoever carried it out may have come no further.
      await addMissing(store, ledger);
      if (outcome.outcome === 'delayed' && asked % alertEvery === 0) {
        log.error('what the law let go cannot be erased: two clocks disagree', {
          alert: asked < escalateFrom ? 'retained-erasure-delayed' : 'retained-erasure-escalated',
          account,
          due: until,
          reason: 'clocks-disagree',
          detail: `Temporal's clock says ${outcome.temporal}, the database server's ${outcome.database}`,
        });
      }
      return outcome;
    },
  };
}
