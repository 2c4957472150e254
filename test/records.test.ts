import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { categories, readRecords, type CustomerRecord, type RecordQuery, type Store } from '../src/data';
import { storeRecords } from './helpers/records';
import { dropTestStore, openTestStore } from './helpers/system';

let store: Store;

beforeAll(async () => {
  store = await openTestStore();
});

afterAll(async () => {
  await dropTestStore(store);
});

const noon = Date.UTC(2026, 0, 1, 12);

async function insert(
  account: string,
  category: (typeof categories)[number],
  callId: string,
  at: number,
  body: unknown,
): Promise<void> {
  await storeRecords(store, category, account, [{ callId, at: new Date(at), body: JSON.stringify(body) }]);
}

/** Every record, page by page, and how many each page held. */
async function walk(
  account: string,
  query: Omit<RecordQuery, 'after'>,
): Promise<{ records: CustomerRecord[]; pages: number[] }> {
  const records: CustomerRecord[] = [];
  const pages: number[] = [];
  let after: RecordQuery['after'];
  for (;;) {
    const page = await readRecords(store, account, { ...query, ...(after === undefined ? {} : { after }) });
    records.push(...page.records);
    pages.push(page.records.length);
    const last = page.records.at(-1);
    if (!page.more || last === undefined) return { records, pages };
    after = { at: new Date(last.at), category: last.category, id: `${account}:${last.callId}` };
  }
}

describe('readRecords', () => {
  test('pages through ties in time over all categories without repeating or skipping', async () => {
    for (const category of categories) {
      for (const callId of ['a', 'B', 'é', '😀', '￿'])
        await insert('ties', category, callId, noon, { category, callId });
    }
    for (const limit of [1, 3, 7, 100]) {
      const { records } = await walk('ties', { limit });
      expect(new Set(records.map((record) => record.id)).size).toBe(20);
      expect(records).toHaveLength(20);
    }
  });

  test('ends a page early where its bodies grow too large, and always gets on', async () => {
    const large = 'x'.repeat(5 * 1024 * 1024);
    for (const index of [1, 2, 3, 4]) await insert('large', 'prompts', `call-${index}`, noon + index, large);
    const { records, pages } = await walk('large', { limit: 100 });
    expect(pages).toEqual([1, 1, 1, 1]);
    expect(records.map((record) => record.callId)).toEqual(['call-4', 'call-3', 'call-2', 'call-1']);
  });

  test('reads one account only, within the times asked for', async () => {
    await insert('mine', 'logs', 'in', noon, 'in');
    await insert('mine', 'logs', 'before', noon - 1000, 'before');
    await insert('mine', 'logs', 'at-the-end', noon + 1000, 'end');
    await insert('others', 'logs', 'in', noon, 'theirs');
    const { records } = await walk('mine', { limit: 10, from: new Date(noon), to: new Date(noon + 1000) });
    expect(records.map((record) => record.body)).toEqual(['in']);
  });
});
