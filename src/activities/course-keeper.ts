import type { Errand, RecordedCourse } from '../data';

/** What a region's workflows are asked, and told, to hold them against their records; see `temporal/course-keeper.ts`. */
export interface CourseKeeper {
  /** Of these, the accounts that have no running workflow, and those whose workflow shows another state than the record. */
  differing(records: readonly RecordedCourse[]): Promise<{
    readonly missing: readonly RecordedCourse[];
    readonly otherwise: readonly RecordedCourse[];
  }>;
  /** The accounts of all workflows that run. */
  running(): AsyncIterable<string>;
  /** Begins an account's workflow where its record stands. @returns whether there was none */
  restart(record: RecordedCourse): Promise<boolean>;
  /** Has an account's workflow compare itself with its record. */
  compare(account: string): Promise<void>;
  /** Begins the workflows of what is still to be done, where none runs. @returns what had none */
  beginMissing(errands: readonly Errand[]): Promise<readonly Errand[]>;
}
