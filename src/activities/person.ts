/** What the workflow of a data subject's request asks of the world. */
import { cancellationSignal } from '@temporalio/activity';
import { erasePerson, type PersonOutcome, type PersonRequest } from '../data';
import { beating } from './beating';
import type { ActivityDependencies } from './dependencies';

/** Erasing one person's records. */
export function personActivities({ store }: Pick<ActivityDependencies, 'store'>) {
  return {
    /** Erases what may be erased of a person's records by now; see {@link erasePerson}. */
    erasePerson(request: PersonRequest): Promise<PersonOutcome> {
      return beating((tell) => {
        const signal = cancellationSignal();
        let records = 0;
        return erasePerson(store, request, {
          progress: (set, deleted) => tell({ set, records: (records += deleted) }),
          checkpoint: () => signal.throwIfAborted(),
        });
      });
    },
  };
}
