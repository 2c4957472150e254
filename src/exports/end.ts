/**
 * Ending exports. What has ended can no longer be read; its bytes are removed through the deletion gate, at once where
 * that allows it, else once it does (R9).
 */
import type { mongo } from 'mongoose';
import { native } from '../database';
import type { Store } from '../data';
import { registerExports, type ExportDocument } from './documents';
import type { ArchiveStorage } from './storage';
import { exporter } from './write';

/** How an export ends by itself. */
type End = { readonly status: 'expired' } | { readonly status: 'failed'; readonly reason: string };

/** Ends an export whose time has passed, and removes its bytes. Safe to repeat; one that has ended otherwise stays so. */
export async function expireExport(store: Store, storage: ArchiveStorage, exportId: string): Promise<void> {
  await end(store, exportId, 'ready', { status: 'expired' });
  await removeBytes(store, storage, exportId);
}

/** Gives an export up that is under way, and removes its bytes. Safe to repeat. @param reason a word */
export async function failExport(
  store: Store,
  storage: ArchiveStorage,
  exportId: string,
  reason: string,
): Promise<void> {
  await end(store, exportId, 'running', { status: 'failed', reason });
  await removeBytes(store, storage, exportId);
}

/**
 * Removes what is stored of an export that has ended. Safe to repeat.
 *
 * @returns whether nothing is left; `false` where a hold keeps the bytes, or the export has not ended
 */
export async function removeBytes(store: Store, storage: ArchiveStorage, exportId: string): Promise<boolean> {
  const exports = native(registerExports(store.connection).exports);
  const found = await exports.findOne<ExportDocument>(
    { _id: exportId },
    { projection: { account: 1, status: 1, stored: 1, storage: 1 } },
  );
  if (found?.stored === undefined) return true;
  if (found.status === 'running' || found.status === 'ready' || found.storage !== storage.kind) return false;
  if (!(await storage.remove(found.account, exportId))) return false;
  await exports.updateOne({ _id: exportId }, { $unset: { stored: '' } });
  return true;
}

/** Whether an export is ready to be fetched, as recorded. */
export async function exportStands(store: Store, exportId: string): Promise<boolean> {
  const exports = native(registerExports(store.connection).exports);
  return (await exports.countDocuments({ _id: exportId, status: 'ready' }, { limit: 1 })) > 0;
}

async function end(store: Store, exportId: string, from: 'running' | 'ready', how: End): Promise<void> {
  const exports = native(registerExports(store.connection).exports);
  const at = await store.databaseTime();
  await store.transaction(async (session) => {
    const after = await exports.findOneAndUpdate(
      { _id: exportId, status: from },
      { $set: { ...how, endedAt: at } },
      { session, projection: { account: 1 } },
    );
    if (after === null) return;
    await store.audit.append(session, {
      at,
      actor: exporter,
      action: `export.${how.status}`,
      account: after.account,
      details: { export: exportId, ...('reason' in how ? { reason: how.reason } : {}) },
    });
  });
}

/** How much a sweep may do at a time. */
export interface RemovalBudget {
  /** Exports to remove or to end, at most. */
  readonly exports: number;
}

/** What a sweep did. */
export interface LeftRemoved {
  /** Exports of which nothing is stored any more. */
  readonly removed: number;
  /** Exports whose bytes a hold keeps. */
  readonly held: number;
  /** Exports that were ended because nobody did: their workflow is gone. */
  readonly ended: number;
  /** Whether the budget was too small for all there is. */
  readonly more: boolean;
}

/** How long after its time an export's own workflow may take to end it, in milliseconds. */
const grace = 60 * 60 * 1000;
/** After this long without progress nobody works on an export any more, in milliseconds. */
const abandonedAfter = 24 * 60 * 60 * 1000;

/**
 * Removes what exports have left: bytes of those that have ended, once no hold keeps them, and of those nothing is known
 * of any more. Ends, too, what its own workflow ought to have ended. For a sweep to call; safe to repeat and to stop.
 */
export async function removeLeftArchives(
  store: Store,
  storage: ArchiveStorage,
  budget: RemovalBudget,
): Promise<LeftRemoved> {
  const exports = native(registerExports(store.connection).exports);
  const now = (await store.databaseTime()).getTime();
  let [removed, held, ended] = [0, 0, 0];
  const spent = () => removed + ended >= budget.exports;
  const left = (filter: mongo.Filter<ExportDocument>) =>
    exports
      .find<{ _id: string }>({ stored: true, storage: storage.kind, ...filter }, { projection: { _id: 1 } })
      .sort({ _id: 1 });

  for await (const { _id } of left({ status: 'ready', expiresAt: { $lt: new Date(now - grace) } })) {
    if (spent()) return { removed, held, ended, more: true };
    await expireExport(store, storage, _id);
    ended += 1;
  }
  for await (const { _id } of left({ status: 'running', 'progress.at': { $lt: new Date(now - abandonedAfter) } })) {
    if (spent()) return { removed, held, ended, more: true };
    await failExport(store, storage, _id, 'abandoned');
    ended += 1;
  }
  for await (const { _id } of left({ status: { $in: ['withdrawn', 'expired', 'failed'] } })) {
    if (spent()) return { removed, held, ended, more: true };
    if (await removeBytes(store, storage, _id)) removed += 1;
    else held += 1;
  }
  for await (const { account, exportId } of storage.exportsKept()) {
    if (spent()) return { removed, held, ended, more: true };
    if ((await exports.countDocuments({ _id: exportId, stored: true }, { limit: 1 })) > 0) continue;
    if (await storage.remove(account, exportId)) removed += 1;
    else held += 1;
  }
  return { removed, held, ended, more: false };
}
