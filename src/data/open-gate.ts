/**
 * Passing an account's gate with something to be stored. The gate is written in the transaction that stores, and the
 * beginning of an erasure closes it: one of the two comes first, and nothing arrives after an erasure began.
 */
import type { ClientSession, mongo } from 'mongoose';
import { native } from '../database';
import type { GateDocument } from './documents';
import type { Store } from './store';

/** What comes to the gate of one account. */
export interface Arrival {
  /** Something is stored; without it, it is only counted. */
  readonly stores: boolean;
  /** Events left out because they happened while the account was not active (R15). */
  readonly discarded?: number;
  /** When the first of the records that are stored passes its age; absent where they do not age (R12). */
  readonly purgeAt?: Date;
}

/**
 * Passes the gates of accounts that are not being erased.
 *
 * @throws {Error} one of them is closed: only a database somebody altered can look like that
 */
export async function passGates(
  store: Store,
  session: ClientSession,
  arrivals: ReadonlyMap<string, Arrival>,
): Promise<void> {
  if (arrivals.size === 0) return;
  // Judged in the snapshot that is written to below, and by plain conditions: the embedded database has an index for those.
  const closed = await native(store.gates)
    .find({ _id: { $in: [...arrivals.keys()] } }, { session, projection: { open: 1 } })
    .toArray()
    .then((gates) => gates.filter(({ open }) => open).length < arrivals.size);
  if (closed) throw new Error('the gate of an account that is not being erased is closed');
  const writes = [...arrivals].map(([account, { stores, discarded = 0, purgeAt }]): Write => ({
    updateOne: {
      filter: { _id: account },
      update: {
        $inc: { passed: stores ? 1 : 0, discarded },
        ...(purgeAt === undefined ? {} : { $min: { purgeAt } }),
      },
    },
  }));
  await native(store.gates).bulkWrite(writes, { session });
}

type Write = mongo.AnyBulkWriteOperation<GateDocument>;
