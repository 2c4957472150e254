/** Watching over what providers have disclosed (R24). */
import { log } from '@temporalio/activity';
import { watchDisclosures } from '../disclosures';
import { beating } from './beating';
import type { ActivityDependencies } from './dependencies';

/** How many providers somebody was, or is to be, told of. Plain JSON. */
export interface DisclosureReport {
  readonly missing: number;
  readonly overdue: number;
}

/** Looking through the register. */
export function disclosureActivities({ store }: Pick<ActivityDependencies, 'store'>) {
  return {
    /** Calls out each disclosure that is missing or overdue, once a day until it is not, and then that it is over. */
    watchDisclosures(): Promise<DisclosureReport> {
      return beating(async () =>
        watchDisclosures(store, await store.databaseTime(), ({ provider, status, since, over }) => {
          const said = { provider, since: since.toISOString() };
          const name = `disclosure-${status}`;
          if (over) log.warn('a disclosure is in order again', { ...said, recovered: name });
          else if (status === 'missing')
            log.error('a provider has not disclosed how it protects records', { ...said, alert: name });
          else log.error('the review of a disclosure is overdue', { ...said, alert: name });
        }),
      );
    },
  };
}
