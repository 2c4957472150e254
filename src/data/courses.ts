/** Accounts' courses as they are recorded, for whoever holds their workflows against them (R23). */
import { native } from '../database';
import type { Lifecycle } from '../lifecycle';
import type { AccountDocument } from './documents';
import type { Store } from './store';

/** An account's course, as of its last recorded step. */
export interface RecordedCourse {
  readonly account: string;
  readonly lifecycle: Lifecycle;
  readonly seq: number;
  readonly version: number;
}

/** The courses of living accounts after an id, in the order of ids. */
export async function listCourses(store: Store, after: string | undefined, limit: number): Promise<RecordedCourse[]> {
  // Tombstones' ids begin with `~`, which sorts behind everything an id may hold.
  const found = await native(store.accounts)
    .find<Pick<AccountDocument, '_id' | 'lifecycle' | 'seq' | 'version' | 'state'>>(
      { _id: { $gt: after ?? '', $lt: '~' } },
      { sort: { _id: 1 }, limit, projection: { lifecycle: 1, seq: 1, version: 1, state: 1 } },
    )
    .toArray();
  return found.map(({ _id, lifecycle, seq, version }) => ({ account: _id, lifecycle, seq, version }));
}

/** Which of these accounts live. */
export async function livingOf(store: Store, accounts: readonly string[]): Promise<ReadonlySet<string>> {
  const found = await native(store.accounts)
    .find({ _id: { $in: [...accounts] } }, { projection: { _id: 1 } })
    .toArray();
  return new Set(found.map(({ _id }) => _id));
}
