/**
 * What a purge that takes several batches has taken so far (R12). Each batch counts in its own transaction, on the account's
 * document; the tally becomes one audit entry when the purge ends, pauses, or something else happens to the account, in the
 * transaction of that. A crash leaves the tally where it is, and the next sweep goes on with it: nothing goes unaudited,
 * and a timeline is not flooded by batches.
 */
import type { ClientSession } from 'mongoose';
import { bySystem } from '../lifecycle';
import type { PurgeTally } from './documents';
import type { Store } from './store';

/** Writes a tally into the audit log. The caller's transaction takes it off the account. @param at when it ends */
export async function reportPurge(
  store: Store,
  session: ClientSession,
  account: string,
  { cutoff, days, records }: PurgeTally,
  at: Date,
): Promise<void> {
  await store.audit.append(session, {
    at,
    actor: bySystem,
    action: 'records.purged',
    account,
    details: { cutoff: cutoff.toISOString(), days, records },
  });
}
