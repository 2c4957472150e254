/** Reading a customer's records, newest first. */
import { native } from '../database';
import type { RecordDocument } from './documents';
import { categories, type Category } from './map';
import { openContent } from './record-content';
import type { Store } from './store';

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

/** What one page may hold in bodies, so that large records cannot exhaust the process; one record always fits. */
const pageBytes = 8 * 1024 * 1024;

export interface RecordPage {
  readonly records: readonly CustomerRecord[];
  /** There are more after the last one. */
  readonly more: boolean;
}

/** A record without its body, to choose the page by. */
interface Outline {
  readonly _id: string;
  readonly category: Category;
  readonly at: Date;
  readonly bytes: number;
}

/**
 * A page of an account's records over one category or all, newest first. Ties in time go by category, then by id, so
 * that pages neither repeat nor skip. A page ends early where its bodies grow too large.
 */
export async function readRecords(store: Store, account: string, query: RecordQuery): Promise<RecordPage> {
  const wanted = query.category === undefined ? categories : [query.category];
  const outlines = (await Promise.all(wanted.map((category) => outline(store, account, category, query))))
    .flat()
    .sort((a, b) => b.at.getTime() - a.at.getTime() || rank(a.category) - rank(b.category) || byBytes(a._id, b._id));
  const chosen = outlines.slice(0, howManyFit(outlines, query.limit));
  const bodies = new Map(
    (await Promise.all(wanted.map((category) => fetchAll(store, account, category, chosen)))).flat(),
  );
  return {
    // What was deleted between the two looks is left out.
    records: chosen.flatMap(({ _id, category }) => bodies.get(`${category}:${_id}`) ?? []),
    more: chosen.length < outlines.length,
  };
}

function howManyFit(outlines: readonly Outline[], limit: number): number {
  let bytes = 0;
  const tooMany = outlines.findIndex(
    (record, index) => index === limit || ((bytes += record.bytes) > pageBytes && index > 0),
  );
  return tooMany === -1 ? outlines.length : tooMany;
}

function rank(category: Category): number {
  return categories.indexOf(category);
}

/** The order MongoDB sorts text in. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

async function outline(store: Store, account: string, category: Category, query: RecordQuery): Promise<Outline[]> {
  const { from, to, after } = query;
  const at = { ...(from === undefined ? {} : { $gte: from }), ...(to === undefined ? {} : { $lt: to }) };
  const match = { account, ...(Object.keys(at).length === 0 ? {} : { at }) };
  const found = await native(store.records[category])
    .aggregate<Omit<Outline, 'category'>>([
      {
        $match:
          after === undefined
            ? match
            : { $and: [match, { at: { $lte: after.at } }, { $or: [{ at: { $lt: after.at } }, tie(category, after)] }] },
      },
      { $sort: { at: -1, _id: 1 } },
      // One more than asked for tells whether there are more.
      { $limit: query.limit + 1 },
      { $project: { at: 1, bytes: { $binarySize: '$body' } } },
    ])
    .toArray();
  return found.map((record) => ({ ...record, category }));
}

async function fetchAll(
  store: Store,
  account: string,
  category: Category,
  chosen: readonly Outline[],
): Promise<[string, CustomerRecord][]> {
  const ids = chosen.filter((record) => record.category === category).map(({ _id }) => _id);
  if (ids.length === 0) return [];
  const cipher = await store.vault.cipherOf(account);
  const found = await native(store.records[category])
    .find<RecordDocument>({ _id: { $in: ids } })
    .toArray();
  return found.map((record) => {
    const { _id, callId, at, model } = record;
    const { body, user } = openContent(cipher, category, record);
    const shown = {
      id: `${category}:${callId}`,
      callId,
      category,
      at: at.toISOString(),
      ...(model === undefined ? {} : { model }),
      ...(user === undefined ? {} : { user }),
      body: JSON.parse(body) as unknown,
    };
    return [`${category}:${_id}`, shown];
  });
}

/** What of the same instant comes after the page before, in this category. */
function tie(category: Category, after: NonNullable<RecordQuery['after']>): Record<string, unknown> {
  if (rank(category) < rank(after.category)) return { at: after.at, _id: { $in: [] } };
  if (rank(category) > rank(after.category)) return { at: after.at };
  return { at: after.at, _id: { $gt: after.id } };
}
