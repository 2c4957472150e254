/** Taking exports back when their account is locked (R15). What is withdrawn can no longer be read, whatever its bytes do. */
import type { ClientSession, mongo } from 'mongoose';
import type { Actor } from '../lifecycle';
import { dataSetNamed } from './map';
import type { Store } from './store';

/** As much of an export as this needs to know; the rest is told in `exports/documents.ts`. */
interface ExportOutline {
  readonly _id: string;
  readonly account: string;
  readonly status: string;
  readonly endedAt?: Date;
  readonly reason?: string;
}

/** Who takes an account's exports back, when, and for what. */
export interface Withdrawal {
  readonly account: string;
  readonly at: Date;
  readonly actor: Actor;
  /** A word that says why, such as the action that locks the account. */
  readonly reason: string;
  readonly requestId?: string;
}

/**
 * Withdraws all of an account's exports that are under way or ready, inside the transaction of what makes it necessary,
 * each with an audit entry. Their bytes are removed later, through the deletion gate.
 *
 * @returns their ids, for their workflows to be told; empty where there was none
 */
export async function withdrawExportsIn(
  store: Store,
  session: ClientSession,
  { account, at, actor, reason, requestId }: Withdrawal,
): Promise<string[]> {
  const exports = collectionOf(store);
  const standing = await exports
    .find({ account, status: { $in: ['running', 'ready'] } }, { session, projection: { _id: 1 } })
    .toArray();
  const ids = standing.map(({ _id }) => _id).sort();
  if (ids.length === 0) return ids;
  await exports.updateMany({ _id: { $in: ids } }, { $set: { status: 'withdrawn', endedAt: at, reason } }, { session });
  for (const id of ids) {
    await store.audit.append(session, {
      at,
      actor,
      action: 'export.withdrawn',
      account,
      details: { export: id, reason },
      ...(requestId === undefined ? {} : { requestId }),
    });
  }
  return ids;
}

/** The ids of an account's exports that were withdrawn at an instant: what a repeat of the withdrawal answers. */
export async function withdrawnAt(store: Store, session: ClientSession, account: string, at: Date): Promise<string[]> {
  const found = await collectionOf(store)
    .find({ account, status: 'withdrawn', endedAt: at }, { session, projection: { _id: 1 } })
    .toArray();
  return found.map(({ _id }) => _id).sort();
}

function collectionOf(store: Store): mongo.Collection<ExportOutline> {
  return store.connection.getClient().db(store.connection.name).collection(dataSetNamed('exports').collection);
}
