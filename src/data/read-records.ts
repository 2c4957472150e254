/** Reading a customer's records, newest first. */
import { native } from '../database';
import { categories, type Category } from './data-sets';
import type { RecordDocument, Store } from './store';

/** A record as the customer sees it. */
export interface CustomerRecord {
  readonly id: string;
  readonly callId: string;
  readonly category: Category;
  readonly at: string;
  readonly model?: string;
  readonly user?: string;
  readonly body: unknown;
}

export interface RecordQuery {
  readonly category?: Category;
  readonly from?: Date;
  readonly to?: Date;
  readonly limit: number;
  /** Where the page before ended. */
  readonly after?: { readonly at: Date; readonly category: Category; readonly id: string };
}

/**
 * A page of an account's records over one category or all, newest first. Ties in time go by category, then by id, so
 * that pages neither repeat nor skip.
 */
export async function readRecords(store: Store, account: string, query: RecordQuery): Promise<CustomerRecord[]> {
  const wanted = query.category === undefined ? categories : [query.category];
  const pages = await Promise.all(wanted.map((category) => readCategory(store, account, category, query)));
  return pages
    .flat()
    .sort((a, b) => b.at.localeCompare(a.at) || rank(a.category) - rank(b.category) || (a.id < b.id ? -1 : 1))
    .slice(0, query.limit);
}

function rank(category: Category): number {
  return categories.indexOf(category);
}

async function readCategory(store: Store, account: string, category: Category, query: RecordQuery): Promise<CustomerRecord[]> {
  const { from, to, after } = query;
  const at = { ...(from === undefined ? {} : { $gte: from }), ...(to === undefined ? {} : { $lt: to }) };
  const filter: Record<string, unknown> = { account, ...(Object.keys(at).length === 0 ? {} : { at }) };
  if (after !== undefined) filter['$and'] = [{ at: { $lte: after.at } }, { $or: [{ at: { $lt: after.at } }, tie(category, after)] }];
  const found = (await native(store.records[category])
    .find(filter)
    .sort({ at: -1, _id: 1 })
    .limit(query.limit)
    .toArray()) as unknown as RecordDocument[];
  return found.map((record) => ({
    id: `${category}:${record.callId}`,
    callId: record.callId,
    category,
    at: record.at.toISOString(),
    ...(record.model === undefined ? {} : { model: record.model }),
    ...(record.user === undefined ? {} : { user: record.user }),
    body: JSON.parse(String(record.body)) as unknown,
  }));
}

/** What of the same instant comes after the page before, in this category. */
function tie(category: Category, after: NonNullable<RecordQuery['after']>): Record<string, unknown> {
  if (rank(category) < rank(after.category)) return { at: after.at, _id: { $in: [] } };
  if (rank(category) > rank(after.category)) return { at: after.at };
  return { at: after.at, _id: { $gt: after.id } };
}
