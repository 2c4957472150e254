/** What a sweep asks of the world. */
import { activityInfo, cancellationSignal, log } from '@temporalio/activity';
import { purgeDue } from '../data';
import type { Instant } from '../lifecycle';
import { beating } from './beating';
import type { ActivityDependencies } from './dependencies';

/** Where a sweep goes on; at the beginning it says nothing. */
export interface SweepStretch {
  /** What was due at this instant is seen to. */
  readonly until?: Instant;
  /** The last account seen to, and when it was due. */
  readonly after?: { readonly purgeAt: Instant; readonly account: string };
}

/** What one stretch of a sweep did. Plain JSON. */
export interface SweepReport {
  /** Where to go on. */
  readonly next: SweepStretch;
  readonly more: boolean;
  /** Accounts of which something was purged. */
  readonly accounts: number;
  readonly records: number;
  readonly failures: readonly { readonly account: string; readonly reason: string }[];
  /** Milliseconds the two clocks were apart, where that was too much. */
  readonly clocksApart?: number;
}

/** The chores of a sweep. */
export function sweepActivities({ store }: Pick<ActivityDependencies, 'store'>) {
  return {
    /** Purges records past their age for about a minute; see {@link purgeDue}. */
    purgeDue({ until, after }: SweepStretch): Promise<SweepReport> {
      return beating(async (tell) => {
        const signal = cancellationSignal();
        let records = 0;
        let clocksApart: number | undefined;
        const stretch = {
          temporalNow: new Date(activityInfo().currentAttemptScheduledTimestampMs),
          ...(until === undefined ? {} : { until: new Date(until) }),
          ...(after === undefined ? {} : { after: { ...after, purgeAt: new Date(after.purgeAt) } }),
        };
        const outcome = await purgeDue(store, stretch, {
          checkpoint: () => signal.throwIfAborted(),
          progress: (purged) => tell({ records: (records += purged) }),
          clocksDisagree(temporal, database) {
            clocksApart = Math.abs(temporal.getTime() - database.getTime());
            log.error(
              `the clocks disagree: Temporal says ${temporal.toISOString()}, the database ${database.toISOString()}; ` +
                'the sweep goes by the earlier',
              { alert: 'clocks-disagree' },
            );
          },
          failed({ account }, error) {
            log.error(`account ${account} could not be purged: ${messageOf(error)}`, {
              alert: 'purge-failed',
              account,
            });
          },
        });
        return {
          next: {
            until: outcome.until.toISOString(),
            ...(outcome.after === undefined
              ? {}
              : { after: { ...outcome.after, purgeAt: outcome.after.purgeAt.toISOString() } }),
          },
          more: outcome.more,
          accounts: outcome.accounts,
          records,
          failures: outcome.failures,
          ...(clocksApart === undefined ? {} : { clocksApart }),
        };
      });
    },
  };
}

const longestMessage = 500;

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message.slice(0, longestMessage)}` : 'unknown';
}
