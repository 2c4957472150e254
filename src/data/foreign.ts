/** What a gateway reports to the wrong region (R25): it is not looked at any further, and nothing of it is stored. */
import { meansSite } from '../lifecycle';
import type { Rejection } from './litellm';

/** Where a gateway says in its keys' metadata which region their requests belong to. Its customers cannot set it. */
const path = ['metadata', 'user_api_key_auth_metadata', 'ablauf_region'] as const;

/**
 * Takes out the items that name another region.
 *
 * @returns the items, each at its place, and `null` in place of what was taken out; and why, by place
 */
export function withoutForeign(
  items: readonly unknown[],
  site: string,
): { readonly own: readonly unknown[]; readonly foreign: ReadonlyMap<number, Rejection> } {
  const foreign = new Map<number, Rejection>();
  const own = items.map((item, index) => {
    const named = regionOf(item);
    if (named === undefined || meansSite(named, site)) return item;
    foreign.set(index, { index, code: 'wrong-region', detail: 'the item belongs to another region' });
    return null;
  });
  return { own, foreign };
}

function regionOf(item: unknown): string | undefined {
  let value = item;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[part];
  }
  return typeof value === 'string' && value !== '' ? value : undefined;
}
