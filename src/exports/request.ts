/** Asking for an export. */
import type { ClientSession } from 'mongoose';
import { native } from '../database';
import { dataSets, findAccount, type AccountDocument, type Store } from '../data';
import { registerExports, type ExportDocument } from './documents';
import type { ArchiveStorage } from './storage';

/** What an export can be asked to take. */
export const exportedDataSets: readonly string[] = dataSets.filter((set) => set.exported).map((set) => set.name);

/** How many exports of an account may be kept at once: each is a copy of all its data. */
const mostKept = 10;

/** What is asked for. */
export interface ExportRequest {
  /** The same id is the same request. */
  readonly id: string;
  readonly account: string;
  readonly requestedBy: string;
  readonly at: Date;
  /** The data sets wanted; all of them where absent. */
  readonly categories?: readonly string[];
  readonly from?: Date;
  readonly to: Date;
}

/** What became of a request. */
export type Requested =
  | { readonly created: ExportDocument }
  /** It was made before, by an earlier try of the same request. */
  | { readonly known: ExportDocument }
  | { readonly running: ExportDocument }
  | { readonly tooMany: number }
  | { readonly closed: true };

/**
 * Records an export to be made, in a transaction of the caller's: one that locks the account, or begins its erasure, is
 * a conflict with it.
 */
export async function requestExport(
  store: Store,
  session: ClientSession,
  storage: ArchiveStorage,
  { id, account, requestedBy, at, categories, from, to }: ExportRequest,
): Promise<Requested> {
  const exports = native(registerExports(store.connection).exports);
  const known = await exports.findOne<ExportDocument>({ _id: id }, { session });
  if (known !== null) return { known };
  const running = await exports.findOne<ExportDocument>({ account, status: 'running' }, { session });
  if (running !== null) return { running };
  const kept = await exports.countDocuments({ account, status: 'ready' }, { session });
  if (kept >= mostKept) return { tooMany: kept };
  // Counts on the account's own document, so that whatever locks it comes before or after, and never beside.
  const found = await findAccount(store, account, session);
  if (found === null || found.state === 'erased' || found.erasing !== undefined) return { closed: true };
  await native(store.accounts).updateOne({ _id: account }, { $inc: { passes: 1 } }, { session });
  const created: ExportDocument = {
    _id: id,
    account,
    requestedBy,
    at,
    status: 'running',
    datasets: exportedDataSets.filter((name) => categories?.includes(name) ?? true),
    ...(from === undefined ? {} : { from }),
    to,
    progress: { done: 0, at },
    cursor: { set: 0 },
    parts: [],
    bytes: 0,
    records: 0,
    storage: storage.kind,
    stored: true,
  };
  await exports.insertOne(created, { session });
  return { created };
}

/**
 * Whether a customer may have exports of an account as it stands (R14, R15): in good standing, and after closing it
 * themselves until its erasure begins.
 */
export function mayExport({
  state,
  lifecycle,
  erasing,
}: Pick<AccountDocument, 'state' | 'lifecycle' | 'erasing'>): boolean {
  if (state === 'active') return true;
  return (
    state === 'expired' && lifecycle.closure === 'voluntary' && lifecycle.causes.length === 0 && erasing === undefined
  );
}
