/** Accounts whose workflows are not where their records are: one of the two databases was restored (R23). */
import { cancellationSignal, log } from '@temporalio/activity';
import { listCourses, livingOf, openErrands } from '../data';
import { beating } from './beating';
import type { ActivityDependencies } from './dependencies';

/** What one stretch of the check did. Plain JSON. */
export interface CourseReport {
  /** The last account looked at; absent once all are. */
  readonly after?: string;
  /** Accounts looked at. */
  readonly accounts: number;
  /** Workflows that were missing, and were begun where the record stands. */
  readonly restarted: number;
  /** Workflows that were told to compare themselves with the record. */
  readonly compared: number;
}

const accountsAtOnce = 100;
/** A stretch ends after this long, in milliseconds. */
const stretch = 60_000;

/** Looking after accounts' workflows. */
export function courseActivities({ store, courses }: Pick<ActivityDependencies, 'store' | 'courses'>) {
  return {
    /** Goes through living accounts for about a minute: begins workflows that are missing, and has others compare. */
    checkCourses({ after }: { readonly after?: string }): Promise<CourseReport> {
      return beating(async (tell) => {
        const signal = cancellationSignal();
        const end = performance.now() + stretch;
        let [last, accounts, restarted, compared] = [after, 0, 0, 0];
        for (;;) {
          signal.throwIfAborted();
          const records = await listCourses(store, last, accountsAtOnce);
          if (records.length > 0) {
            const { missing, otherwise } = await courses.differing(records);
            for (const record of missing) {
              if (!(await courses.restart(record))) continue;
              restarted += 1;
              log.error('an account had no workflow: it goes on from its record', {
                alert: 'course-restarted',
                account: record.account,
              });
            }
            for (const { account } of otherwise) await courses.compare(account);
            compared += otherwise.length;
          }
          accounts += records.length;
          tell({ accounts, restarted, compared });
          last = records.at(-1)?.account;
          if (records.length < accountsAtOnce) return { accounts, restarted, compared };
          if (performance.now() > end && last !== undefined) return { after: last, accounts, restarted, compared };
        }
      });
    },

    /** Has the workflows of accounts that do not live any more look at their records: they end. @returns how many there were */
    endErasedCourses(): Promise<number> {
      return beating(async (tell) => {
        const signal = cancellationSignal();
        let told = 0;
        for await (const names of groupsOf(courses.running(), accountsAtOnce)) {
          signal.throwIfAborted();
          const living = await livingOf(store, names);
          for (const account of names.filter((name) => !living.has(name))) {
            await courses.compare(account);
            told += 1;
          }
          tell({ told });
        }
        return told;
      });
    },

    /** Begins the workflows of what is still to be done, where they are missing. @returns how many were */
    beginMissingErrands(): Promise<number> {
      return beating(async (tell) => {
        const signal = cancellationSignal();
        let begun = 0;
        for await (const errands of groupsOf(openErrands(store), accountsAtOnce)) {
          signal.throwIfAborted();
          for (const errand of await courses.beginMissing(errands)) {
            begun += 1;
            log.error('what is still to be done had no workflow: it goes on', { alert: 'errand-restarted', ...errand });
          }
          tell({ begun });
        }
        return begun;
      });
    },
  };
}

/** What comes, so many at a time; the last ones may be fewer. */
async function* groupsOf<T>(all: AsyncIterable<T>, atOnce: number): AsyncGenerator<readonly T[]> {
  let group: T[] = [];
  for await (const one of all) {
    group.push(one);
    if (group.length < atOnce) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
