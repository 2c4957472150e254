/** What active-data retention would purge, before it does (R12). */
import { countBefore, oldestIn } from './age';
import { dataSets } from './map';
import type { Store } from './store';

/** What a purge would take from one data set. */
export interface PurgeShare {
  readonly dataset: string;
  readonly records: number;
  /** When the oldest of them happened. */
  readonly oldest: string;
}

/**
 * Counts what of an account happened before an instant, by data set; those with nothing there are left out. What a hold
 * protects is counted too: it goes once nothing holds it any more.
 */
export async function previewPurge(store: Store, account: string, cutoff: Date): Promise<PurgeShare[]> {
  const shares = await Promise.all(
    dataSets.map(async ({ name, category }): Promise<PurgeShare[]> => {
      if (category === undefined) return [];
      const model = store.records[category];
      const days = await countBefore(model, account, cutoff);
      const oldest = await oldestIn(model, account, days);
      if (oldest === undefined) return [];
      const records = days.reduce((sum, { count }) => sum + count, 0);
      return [{ dataset: name, records, oldest: oldest.toISOString() }];
    }),
  );
  return shares.flat();
}
