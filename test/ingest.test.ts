/** Ingest: every call once, whatever comes, and nothing that may not be kept. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { liteLlmCall } from '../scripts/support/traffic';
import {
  categories,
  deleteThroughGate,
  ingest,
  readRecords,
  readUsage,
  splitItems,
  tombstoneId,
  type AccountDocument,
  type Store,
} from '../src/data';
import { begin, type PolicyOverrides } from '../src/lifecycle';
import { dropTestStore, openTestStore, randomAccountId, region, standardSettings } from './helpers/system';

let store: Store;

beforeAll(async () => {
  store = await openTestStore();
});

afterAll(async () => {
  await dropTestStore(store);
});

const paths = [['metadata', 'user_api_key_org_id']];
const hour = 3_600_000;
const day = 24 * hour;

/** An account in the database alone: ingest reads nothing else. */
async function account(overrides: PolicyOverrides = {}, more: Partial<AccountDocument> = {}): Promise<string> {
  const _id = more._id ?? randomAccountId();
  const at = new Date('2026-01-01');
  const lifecycle = begin({ state: 'active', overrides }, at.toISOString(), standardSettings);
  const { state } = lifecycle;
  await store.vault.makeKey(_id);
  await store.accounts.create({
    ...{ _id, region, state, since: at, lifecycle, inactive: [], seq: 1, version: 1, createdAt: at },
    ...more,
  });
  if (more.state !== 'erased') await store.gates.create({ _id, open: more.erasing === undefined, passed: 0 });
  return _id;
}

/** How many records, receipts and totals an account has. */
async function stored(id: string) {
  const records = await Promise.all(
    categories.map((category) => store.records[category].countDocuments({ account: id })),
  );
  const receipts = await store.receipts.countDocuments({ _id: { $gte: `${id}:`, $lt: `${id};` } });
  const [usage] = await readUsage(store, id, { by: 'model' });
  return { records: records.reduce((sum, n) => sum + n, 0), receipts, requests: usage?.requests ?? 0 };
}

async function forgetRecords(id: string): Promise<void> {
  for (const category of categories) await store.records[category].collection.deleteMany({ account: id });
}

describe('a repeat', () => {
  test('is a duplicate within one batch, in the next one, and across transactions of one request', async () => {
    const id = await account();
    const calls = Array.from({ length: 700 }, (_, index) =>
      liteLlmCall({ account: id, callId: `call-${index % 600}` }),
    );
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: 600, duplicates: 100 });
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: 0, duplicates: 700 });
    expect(await stored(id)).toEqual({ records: 2400, receipts: 600, requests: 600 });
  });

  test('R12: counts once though its records were purged in between, or never stored', async () => {
    const [kept, unkept] = [await account(), await account({ activeRetentionDays: 0 })];
    const calls = [liteLlmCall({ account: kept }), liteLlmCall({ account: unkept })];
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: 2 });
    await forgetRecords(kept);
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: 0, duplicates: 2 });
    expect(await stored(kept)).toEqual({ records: 0, receipts: 1, requests: 1 });
    expect(await stored(unkept)).toEqual({ records: 0, receipts: 1, requests: 1 });
  });

  test('is known by its record when its receipt has gone', async () => {
    const id = await account();
    const calls = [liteLlmCall({ account: id }), liteLlmCall({ account: id })];
    await ingest(store, calls, paths);
    await store.receipts.collection.deleteMany({});
    const again = [...calls, liteLlmCall({ account: id })];
    expect(await ingest(store, again, paths)).toMatchObject({ accepted: 1, duplicates: 2 });
    // The account keeps none of that age by now: its old record tells nevertheless.
    await store.accounts.updateOne({ _id: id }, { $set: { 'lifecycle.overrides.activeRetentionDays': 0 } });
    await store.receipts.collection.deleteMany({});
    expect(await ingest(store, again, paths)).toMatchObject({ accepted: 0, duplicates: 3 });
    expect(await stored(id)).toEqual({ records: 12, receipts: 0, requests: 3 });
  });

  test('of the same call id under another account is another call', async () => {
    const [one, other] = [await account(), await account()];
    const calls = [one, other].map((id) => liteLlmCall({ account: id, callId: 'the-same' }));
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: 2, duplicates: 0 });
    expect(await stored(one)).toEqual(await stored(other));
  });

  test('by eight requests at once: each call counts once, and each is answered once as accepted', async () => {
    const ids = [await account(), await account({ activeRetentionDays: 0 })];
    const calls = Array.from({ length: 60 }, (_, index) => liteLlmCall({ account: ids[index % 2] ?? '' }));
    const results = await Promise.all(Array.from({ length: 8 }, () => ingest(store, calls, paths)));
    const sum = (name: 'accepted' | 'duplicates') => results.reduce((total, result) => total + result[name], 0);
    expect([sum('accepted'), sum('duplicates')]).toEqual([60, 420]);
    expect(await stored(ids[0] ?? '')).toEqual({ records: 120, receipts: 30, requests: 30 });
    expect(await stored(ids[1] ?? '')).toEqual({ records: 0, receipts: 30, requests: 30 });
  });

  test('R12: whatever is sent, repeated and purged in whatever order, totals are the sum over distinct calls', async () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant('send' as const),
        calls: fc.array(fc.nat(11), { minLength: 1, maxLength: 8 }),
        twice: fc.boolean(),
      }),
      fc.record({ do: fc.constant('purge' as const), olderThan: fc.nat(3) }),
      fc.record({ do: fc.constant('retain' as const), days: fc.constantFrom(0, 1, 2, undefined) }),
    );
    const now = new Date();
    const event = (id: string, n: number) => ({
      ...liteLlmCall({ account: id, callId: `call-${n}`, at: now.getTime() - (n % 4) * day - 1000 }),
      model_group: `model-${n % 3}`,
      prompt_tokens: n,
      completion_tokens: 2 * n,
      response_cost: n * 0.1,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), async (steps) => {
        const id = await account();
        const sent = new Set<number>();
        for (const act of steps) {
          if (act.do === 'send') {
            act.calls.forEach((n) => sent.add(n));
            const batch = act.calls.map((n) => event(id, n));
            await Promise.all(
              (act.twice ? [batch, [...batch].reverse()] : [batch]).map((each) => ingest(store, each, paths)),
            );
          } else if (act.do === 'purge') {
            const at = { $lt: new Date(now.getTime() - act.olderThan * day) };
            for (const category of categories) await store.records[category].collection.deleteMany({ account: id, at });
          } else {
            const { days } = act;
            const field = 'lifecycle.overrides.activeRetentionDays';
            await store.accounts.updateOne(
              { _id: id },
              days === undefined ? { $unset: { [field]: '' } } : { $set: { [field]: days } },
            );
          }
        }
        const distinct = [...sent];
        const total = (numbers: readonly number[]) => numbers.reduce((sum, n) => sum + n, 0);
        const usage = await readUsage(store, id, { by: 'model' });
        for (const index of [0, 1, 2]) {
          const calls = distinct.filter((n) => n % 3 === index);
          const found = usage.find(({ model }) => model === `model-${index}`);
          expect(found ?? { requests: 0, promptTokens: 0, completionTokens: 0, cost: 0 }).toMatchObject({
            requests: calls.length,
            promptTokens: total(calls),
            completionTokens: 2 * total(calls),
            cost: total(calls) / 10,
          });
        }
        const days = await readUsage(store, id, { by: 'day' });
        expect(total(days.map(({ requests }) => requests))).toBe(distinct.length);
      }),
      { numRuns: 25 },
    );
  });
});

describe('large requests', () => {
  test('are stored whole, in transactions of a size the database answers', async () => {
    const id = await account();
    const calls = Array.from({ length: 24 }, () => liteLlmCall({ account: id, prompt: 'x'.repeat(1_000_000) }));
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: 24, rejected: [] });
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: 0, duplicates: 24 });
    expect(await stored(id)).toEqual({ records: 96, receipts: 24, requests: 24 });
  });

  test('hold items of up to 10 MiB: a larger one is rejected, and its neighbours are stored', async () => {
    const id = await account();
    const lengths = [10, 10_400_000, 10_600_000, 13_000_000, 10];
    const calls = lengths.map((length) => liteLlmCall({ account: id, prompt: 'x'.repeat(length) }));
    const { accepted, rejected } = await ingest(store, calls, paths);
    expect(accepted).toBe(3);
    expect(rejected.map(({ index, code }) => [index, code])).toEqual([
      [2, 'validation'],
      [3, 'validation'],
    ]);
  });
});

describe('active-data retention', () => {
  test('R12: with zero days no record is stored, not for a moment', async () => {
    const id = await account({ activeRetentionDays: 0 });
    const stream = store.connection.getClient().db(store.connection.name).watch();
    await stream.tryNext();
    // A stream may begin with what came a little before it: what counts is between two other requests' receipts.
    const before = await account();
    await ingest(store, [liteLlmCall({ account: before })], paths);
    await ingest(store, [liteLlmCall({ account: id })], paths);
    const marker = await account();
    await ingest(store, [liteLlmCall({ account: marker })], paths);
    const seen: string[] = [];
    for await (const change of stream) {
      if (change.operationType !== 'insert' && change.operationType !== 'delete') continue;
      const key = String(change.documentKey._id);
      if (change.ns.coll === 'ingestReceipts' && key.startsWith(before)) seen.length = 0;
      seen.push(`${change.ns.coll} ${key.split(':')[0] ?? ''}`);
      if (change.ns.coll === 'ingestReceipts' && key.startsWith(marker)) break;
    }
    await stream.close();
    expect(await stored(id)).toEqual({ records: 0, receipts: 1, requests: 1 });
    expect(seen.filter((place) => place.endsWith(id)).sort()).toEqual([`ingestReceipts ${id}`, `usageTotals ${id}`]);
    expect((await store.gates.findById(id).lean())?.purgeAt).toBeUndefined();
  });

  test('R12: what is past its age when it arrives is counted and not stored; what is younger says when it passes it', async () => {
    const id = await account({ activeRetentionDays: 30 });
    const now = Date.now();
    const at = (age: number) => now - age;
    const calls = [31 * day, 30 * day + hour, 30 * day - hour, 2 * day].map((age) =>
      liteLlmCall({ account: id, at: at(age) }),
    );
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: 4 });
    expect(await stored(id)).toEqual({ records: 8, receipts: 4, requests: 4 });
    expect((await store.gates.findById(id).lean())?.purgeAt).toEqual(new Date(now + hour));
    await ingest(store, [liteLlmCall({ account: id, at: now })], paths);
    expect((await store.gates.findById(id).lean())?.purgeAt).toEqual(new Date(now + hour));
  });

  test.each([
    ['our own clock', (now: Date) => now, new Date(Date.now() + 3650 * day)],
    ["the database's clock", (now: Date) => new Date(now.getTime() + 3650 * day), new Date()],
  ])('R12: %s ten years ahead throws no young record away', async (_clock, database, own) => {
    const id = await account({ activeRetentionDays: 30 });
    const skewed: Store = { ...store, databaseTime: () => Promise.resolve(database(new Date())) };
    expect(await ingest(skewed, [liteLlmCall({ account: id })], paths, own)).toMatchObject({ accepted: 1 });
    expect(await stored(id)).toMatchObject({ records: 4 });
  });

  test('a clock ten years behind refuses nothing as coming from the future', async () => {
    const id = await account();
    const past = new Date(Date.now() - 3650 * day);
    expect(await ingest(store, [liteLlmCall({ account: id })], paths, past)).toMatchObject({ accepted: 1 });
    const skewed: Store = { ...store, databaseTime: () => Promise.resolve(past) };
    expect(await ingest(skewed, [liteLlmCall({ account: id })], paths)).toMatchObject({ accepted: 1 });
  });
});

describe('late data', () => {
  test('R15: what happened before is stored; what happened while inactive is discarded and counted, repeats being repeats', async () => {
    const from = new Date(Date.now() - 10 * day);
    const to = new Date(Date.now() - 5 * day);
    const id = await account({}, { inactive: [{ from, to }] });
    const at = (time: number) => liteLlmCall({ account: id, at: time });
    const times = [from.getTime() - 1, from.getTime(), to.getTime() - 1, to.getTime()];
    const calls = times.map(at);
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: 2, discarded: 2, duplicates: 0 });
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: 0, discarded: 2, duplicates: 2 });
    expect(await store.gates.findById(id).lean()).toMatchObject({ passed: 1, discarded: 4 });
    expect(await stored(id)).toEqual({ records: 8, receipts: 2, requests: 2 });
  });

  test("R15: an erased account's is refused one by one, and counted on its tombstone and its certificate's record", async () => {
    const certificate = randomUUID();
    await store.certificates.create({
      ...{ _id: certificate, kind: 'erasure', subject: 'pseudonym', issuedAt: new Date(), content: {}, addenda: [] },
    });
    const erased = randomAccountId();
    const _id = tombstoneId(store, erased);
    await account({}, { _id, state: 'erased', certificateIds: [certificate, randomUUID()] });
    const open = await account();
    const calls = [erased, open, erased].map((id) => liteLlmCall({ account: id }));
    const code = 'account-erased';
    const rejected = [
      { index: 0, code },
      { index: 2, code },
    ];
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: 1, rejected });
    await ingest(store, calls, paths);
    expect(await store.accounts.findById(_id).lean()).toMatchObject({ lateRefused: 4 });
    expect(await store.certificates.findById(certificate).lean()).toMatchObject({
      late: { refused: 4, lastAt: expect.any(Date) as Date },
      content: {},
    });
    expect(await stored(erased)).toEqual({ records: 0, receipts: 0, requests: 0 });
  });

  test('R15: while an erasure runs its gate counts what is refused', async () => {
    const erasing = { since: new Date(), done: 0, total: 0, sets: {}, plan: { hash: '', steps: [] } };
    const id = await account({}, { state: 'expired', erasing });
    const [index, code] = [0, 'account-erased'];
    expect(await ingest(store, [liteLlmCall({ account: id })], paths)).toMatchObject({ rejected: [{ index, code }] });
    expect(await store.gates.findById(id).lean()).toMatchObject({ refused: 1, passed: 0 });
  });
});

describe('bad items', () => {
  test('are rejected one by one, by name, and cost their neighbours nothing', async () => {
    const id = await account();
    const good = () => liteLlmCall({ account: id });
    const soon = Date.now() + 50 * 60_000;
    const deep = splitItems(`{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)[0];
    const bad: readonly (readonly [unknown, string, string])[] = [
      [null, 'empty', 'null'],
      ['text', 'validation', 'object'],
      [[good()], 'validation', 'object'],
      [{}, 'validation', 'litellm_call_id'],
      [{ ...good(), litellm_call_id: '' }, 'validation', 'litellm_call_id'],
      [{ ...good(), litellm_call_id: 'x'.repeat(257) }, 'validation', 'litellm_call_id'],
      [{ ...good(), litellm_call_id: 'half \ud800' }, 'validation', 'Unicode'],
      [{ ...good(), startTime: 'now' }, 'validation', 'startTime'],
      [{ ...good(), startTime: NaN }, 'validation', 'startTime'],
      [{ ...good(), startTime: -1 }, 'validation', 'startTime'],
      [{ ...good(), startTime: Date.now() }, 'validation', 'startTime'],
      [{ ...good(), startTime: Date.now() / 1000 + 3700 }, 'validation', 'future'],
      [{ ...good(), startTime: Date.UTC(2099, 0) / 1000 }, 'validation', 'future'],
      [{ ...good(), messages: deep }, 'validation', 'nested'],
      [{ ...good(), metadata: {} }, 'no-account', 'account'],
      [{ ...good(), metadata: { user_api_key_org_id: 7 } }, 'no-account', 'account'],
      [{ ...good(), metadata: { user_api_key_org_id: '__proto__' } }, 'unknown-account', 'account'],
      [{ ...good(), metadata: { user_api_key_org_id: { $ne: '' } } }, 'no-account', 'account'],
      [{ ...good(), metadata: { user_api_key_org_id: `${id}:x` } }, 'unknown-account', 'account'],
    ];
    const items = bad.flatMap(([item]) => [item, good()]);
    const result = await ingest(store, [...items, liteLlmCall({ account: id, at: soon })], paths);
    expect(result).toMatchObject({ accepted: bad.length + 1, duplicates: 0, discarded: 0 });
    const told = result.rejected.map(({ index, code, detail }) => [index, code, detail]);
    expect(told).toEqual(
      bad.map(([, code, part], index) => [2 * index, code, expect.stringContaining(part) as string]),
    );
  });

  test.each([512, 513, 2000])(
    'do not keep a request of %i items from being taken, each by its own place',
    async (size) => {
      const id = await account();
      const items = Array.from({ length: size }, (_, index) => {
        if (index % 100 === 7) return null;
        if (index % 100 === 50) return { ...liteLlmCall({ account: id }), startTime: 'never' };
        return liteLlmCall({ account: id });
      });
      const wrong = items.flatMap((item, index) => (item === null || item['startTime'] === 'never' ? [index] : []));
      const result = await ingest(store, items, paths);
      expect(result.accepted).toBe(size - wrong.length);
      expect(result.rejected.map(({ index }) => index)).toEqual(wrong);
      expect(await stored(id)).toMatchObject({ receipts: result.accepted, requests: result.accepted });
    },
  );

  test('numbers that are none count as nothing, and large ones add up exactly', async () => {
    const id = await account();
    const odd = [NaN, -5, 1e12, '7', null, undefined, Infinity, { $inc: 1 }, [3]];
    const calls = odd.map((value) => ({
      ...liteLlmCall({ account: id }),
      prompt_tokens: value,
      completion_tokens: value,
      response_cost: value,
    }));
    const costly = { prompt_tokens: 900_000_000, completion_tokens: 1.9, response_cost: 9999.123456789 };
    const large = Array.from({ length: 40 }, () => ({ ...liteLlmCall({ account: id }), ...costly }));
    for (const call of large) await ingest(store, [call], paths);
    expect(await ingest(store, calls, paths)).toMatchObject({ accepted: odd.length });
    const [total] = await store.totals.find({ account: id }).lean();
    expect(total).toMatchObject({
      requests: 49,
      promptTokens: 36_000_000_000,
      completionTokens: 40,
      costNano: 40 * 9_999_123_456_789,
    });
  });

  test('names of everything objects inherit are names like any other', async () => {
    for (const name of ['__proto__', 'constructor']) {
      const id = await account({}, { _id: name });
      const text = JSON.stringify({ ...liteLlmCall({ account: id }), model_group: name, litellm_call_id: name });
      const items = splitItems(text.replace('{', '{"__proto__":{"polluted":true},'));
      expect(await ingest(store, items, paths)).toMatchObject({ accepted: 1 });
      expect(await ingest(store, items, paths)).toMatchObject({ duplicates: 1 });
      expect(await readUsage(store, id, { by: 'model' })).toMatchObject([{ model: name, requests: 1 }]);
      const { records } = await readRecords(store, id, { category: 'logs', limit: 1 });
      expect(JSON.stringify(records[0]?.body)).toContain('"__proto__":{"polluted":true}');
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    }
  });

  test('half characters are stored as the database can, and known again', async () => {
    const id = await account();
    const model = `${'m'.repeat(255)}😀`;
    const call = { ...liteLlmCall({ account: id, prompt: 'half \udc00', user: 'half \ud800' }), model_group: model };
    expect(await ingest(store, [call], paths)).toMatchObject({ accepted: 1 });
    expect(await ingest(store, [call], paths)).toMatchObject({ duplicates: 1 });
    const { records } = await readRecords(store, id, { category: 'prompts', limit: 1 });
    expect(records).toMatchObject([{ user: 'half \ufffd', body: [{ content: 'half \udc00' }] }]);
    expect(await readUsage(store, id, { by: 'model' })).toMatchObject([{ model: `${'m'.repeat(255)}\ufffd` }]);
  });

  test('a number Python writes and JSON does not have loses nothing, and text that looks like one stays', () => {
    const items = splitItems('[{"cost": NaN, "text": "NaN \\" -Infinity"}, {"cost": -Infinity}]');
    expect(items).toEqual([{ cost: null, text: 'NaN " -Infinity' }, { cost: null }]);
    expect(splitItems('{"a": Infinity}\n{"a": NaN\n{"a": 1}')).toMatchObject([{ a: null }, {}, { a: 1 }]);
    expect(() => splitItems('NaNs')).toThrow('not JSON');
  });

  test('a refused write leaves nothing half-stored', async () => {
    const id = await account();
    const broken: Store = {
      ...store,
      totals: { collection: { bulkWrite: () => Promise.reject(new Error('disk full')) } } as never,
    };
    const call = liteLlmCall({ account: id });
    await expect(ingest(broken, [call], paths)).rejects.toThrow('disk full');
    expect(await stored(id)).toEqual({ records: 0, receipts: 0, requests: 0 });
    expect(await ingest(store, [call], paths)).toMatchObject({ accepted: 1 });
  });
});

describe('the account', () => {
  test('is found where the configuration says, the first path that names one deciding', async () => {
    const [one, other] = [await account(), await account()];
    const ways = [['metadata', 'tenant', 'id'], ['end_user'], ['metadata', 'user_api_key_org_id']];
    const call = (fields: Record<string, unknown>) => ({
      ...liteLlmCall({ account: 'nobody' }),
      metadata: {},
      ...fields,
    });
    const result = await ingest(
      store,
      [
        call({ metadata: { tenant: { id: one } }, end_user: other }),
        call({ metadata: { tenant: { id: '' } }, end_user: other }),
        call({ metadata: { tenant: 'flat' }, end_user: null }),
        call({ metadata: { tenant: [one], user_api_key_org_id: one } }),
        call({ metadata: { tenant: { id: 'nobody' } }, end_user: other }),
      ],
      ways,
    );
    expect(result).toMatchObject({
      accepted: 3,
      rejected: [
        { index: 2, code: 'no-account' },
        { index: 4, code: 'unknown-account' },
      ],
    });
    expect([(await stored(one)).requests, (await stored(other)).requests]).toEqual([2, 1]);
    // What objects inherit is no field of theirs.
    const inherited = await ingest(store, [call({})], [['constructor', 'name']]);
    expect(inherited.rejected).toMatchObject([{ code: 'no-account' }]);
  });

  test("is named by an answered request, and by one that failed later, not by one refused in the gateway's own authentication", async () => {
    const id = await account();
    const answered = liteLlmCall({ account: id });
    const failed = {
      ...liteLlmCall({ account: id }),
      status: 'failure',
      response: {},
      error_str: 'no such model',
      response_cost: 0,
    };
    const refused = {
      ...failed,
      litellm_call_id: randomUUID(),
      error_str: 'account suspended',
      metadata: { user_api_key_hash: 'a4'.repeat(32), user_api_key_org_id: null, user_api_key_auth_metadata: {} },
    };
    const both = [...paths, ['metadata', 'user_api_key_auth_metadata', 'account_id']];
    const body = JSON.stringify([answered, refused, failed]);
    expect(await ingest(store, splitItems(body), both)).toEqual({
      accepted: 2,
      duplicates: 0,
      discarded: 0,
      rejected: [{ index: 1, code: 'no-account', detail: 'the item names no account' }],
    });
    const { records } = await readRecords(store, id, { category: 'usage', limit: 10 });
    expect(records.map(({ body: usage }) => usage)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ status: 'success', prompt_tokens: 12, response_cost: 0.000225 }),
        expect.objectContaining({ status: 'failure' }),
      ]),
    );
    expect(await readUsage(store, id, { by: 'model' })).toMatchObject([
      { requests: 2, promptTokens: 24, cost: 0.000225 },
    ]);
  });
});

test('R12: a purge through the gate leaves totals and receipts', async () => {
  const id = await account({ activeRetentionDays: 30 });
  const call = liteLlmCall({ account: id });
  await ingest(store, [call], paths);
  const sets = Object.fromEntries(categories.map((category) => [category, {}]));
  expect((await deleteThroughGate(store, { account: id, purpose: 'purge', sets }))?.sets).toMatchObject({ logs: 1 });
  expect(await ingest(store, [call], paths)).toMatchObject({ duplicates: 1 });
  expect(await stored(id)).toEqual({ records: 0, receipts: 1, requests: 1 });
});
