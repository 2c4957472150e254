/** Watching over erasures that ought to have happened (R6). */
import { log } from '@temporalio/activity';
import { watchOverdue } from '../data';
import { beating } from './beating';
import type { ActivityDependencies } from './dependencies';

/** Looking for what is late. */
export function watchActivities({ store }: ActivityDependencies) {
  return {
    /** Calls out each late erasure once a day, and louder after 72 hours. @returns how many are late */
    watchErasures(): Promise<number> {
      return beating(async () =>
        watchOverdue(store, await store.databaseTime(), ({ account, due, by, reasons, escalated }) => {
          log.error(escalated ? 'an erasure has been late for days' : 'an erasure is late', {
            alert: escalated ? 'erasure-escalated' : 'erasure-overdue',
            account,
            due: due.toISOString(),
            hoursLate: Math.floor(by / 3_600_000),
            reasons,
          });
        }),
      );
    },
  };
}
