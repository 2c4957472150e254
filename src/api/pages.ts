/** Pages of lists that have no order of their own, and go by id. */
import type { mongo } from 'mongoose';
import { z } from 'zod';
import { pageOf, positionIn } from './cursors';

const positionSchema = z.tuple([z.string()]);

/** One page of a whole collection, by id. @throws {Problem} the cursor is none of this list */
export async function pageById<T extends { readonly _id: string }>(
  collection: mongo.Collection<T>,
  list: string,
  { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
): Promise<{ items: T[]; nextCursor: string | null }> {
  const after = positionIn(list, cursor, positionSchema);
  const filter = (after === undefined ? {} : { _id: { $gt: after[0] } }) as mongo.Filter<T>;
  const found = await collection
    .find<T>(filter)
    .sort({ _id: 1 })
    .limit(limit + 1)
    .toArray();
  return pageOf(
    found,
    limit,
    list,
    ({ _id }) => [_id],
    (document) => document,
  );
}
