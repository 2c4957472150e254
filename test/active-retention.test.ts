import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { previewPurge } from '../src/data';
import { startApi, type Api } from './helpers/api';
import { eventually } from './helpers/eventually';
import { storeRecords } from './helpers/records';

// The promise: R11. Whole days from 0 to 365 for enterprise accounts, nothing else, and what is refused changes nothing. And what
// R12 shows beforehand is exact, however much it is.

let api: Api;

beforeAll(async () => {
  api = await startApi();
}, 120_000);
afterAll(() => api.stop());

const day = 86_400_000;

async function ingest(account: string, agesInDays: readonly number[]): Promise<void> {
  const items = agesInDays.map((age) => ({
    litellm_call_id: randomUUID(),
    startTime: (Date.now() - age * day) / 1000,
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'hello' }],
    response: { choices: [] },
    metadata: { user_api_key_org_id: account },
  }));
  const answer = await api.ask('POST', '/v1/ingest/litellm', { body: items });
  expect(answer).toMatchObject({ status: 202, body: { accepted: agesInDays.length } });
}

const patch = (id: string, body: unknown) => api.ask('PATCH', `/v1/accounts/${id}/policy`, { body });
const preview = (id: string, days: unknown, key?: string) =>
  api.ask('POST', `/v1/accounts/${id}/policy/preview`, {
    body: { activeRetentionDays: days },
    ...(key === undefined ? {} : { key }),
  });

/** The account and all that hangs on it, as stored. */
async function stored(id: string): Promise<unknown> {
  const { store } = api.system;
  return [
    await store.accounts.findById(id).lean(),
    await store.gates.findById(id).lean(),
    await api.system.actions(id),
  ];
}

describe('R11: what may be set', () => {
  test.each([-1, 366, 1.5, '30', '', true, [], {}, 1e9, null].map((value) => [JSON.stringify(value), value]))(
    '%s',
    async (_, value) => {
      const id = await api.system.createAccount({ plan: 'enterprise', overrides: { activeRetentionDays: 30 } });
      await ingest(id, [1, 20]);
      const before = await stored(id);
      if (value === null) {
        // The one word for "without limit": it purges nothing.
        expect(await patch(id, { activeRetentionDays: value })).toMatchObject({
          status: 200,
          body: { activeRetentionDays: { value: null, origin: 'default' } },
        });
        return;
      }
      for (const answer of [await patch(id, { activeRetentionDays: value }), await preview(id, value)]) {
        expect(answer).toMatchObject({
          status: 400,
          body: {
            code: 'validation',
            errors: [{ path: 'activeRetentionDays', detail: expect.any(String) as unknown }],
          },
        });
      }
      expect(await stored(id)).toEqual(before);
    },
  );

  test('numbers JSON does not know are refused as well', async () => {
    const id = await api.system.createAccount({ plan: 'enterprise' });
    for (const raw of [
      '{"activeRetentionDays":NaN}',
      '{"activeRetentionDays":Infinity}',
      '{"activeRetentionDays":1e999}',
    ]) {
      const answer = await api.ask('PATCH', `/v1/accounts/${id}/policy`, {
        raw,
        headers: { 'content-type': 'application/json' },
      });
      expect(answer).toMatchObject({ status: 400, body: { code: 'validation' } });
    }
  });

  test.each([0, 1, 365])('%d', async (days) => {
    const id = await api.system.createAccount({ plan: 'enterprise' });
    expect(await patch(id, { activeRetentionDays: days })).toMatchObject({
      status: 200,
      body: { activeRetentionDays: { value: days, origin: 'account' } },
    });
  });
});

describe('R11: for whom', () => {
  test('an account of the standard plan is refused, and nothing changes', async () => {
    const id = await api.system.createAccount();
    await ingest(id, [20]);
    const before = await stored(id);
    const refused = {
      status: 409,
      body: { code: 'conflict', detail: expect.stringContaining('enterprise') as unknown },
    };
    expect(await patch(id, { activeRetentionDays: 30 })).toMatchObject(refused);
    expect(await preview(id, 30)).toMatchObject(refused);
    expect(await stored(id)).toEqual(before);
  });

  test('an account that leaves the plan keeps its value and cannot change it', async () => {
    const id = await api.system.createAccount({ plan: 'enterprise', overrides: { activeRetentionDays: 30 } });
    expect(await api.ask('PATCH', `/v1/accounts/${id}`, { body: { plan: 'standard' } })).toMatchObject({ status: 200 });
    const before = await stored(id);
    for (const days of [20, 40, null])
      expect(await patch(id, { activeRetentionDays: days })).toMatchObject({ status: 409 });
    expect(await stored(id)).toEqual(before);
    expect((await api.ask('GET', `/v1/accounts/${id}/policy`)).body).toMatchObject({
      activeRetentionDays: { value: 30 },
    });
  });
});

describe('R12: the preview', () => {
  test('says how old the oldest is, of each data set', async () => {
    const id = await api.system.createAccount({ plan: 'enterprise' });
    await ingest(id, [2, 8, 40]);
    const { body } = await preview(id, 5);
    const shares = body['purge'] as { dataset: string; records: number; oldest: string }[];
    expect(shares.map(({ dataset, records }) => [dataset, records])).toEqual([
      ['prompts', 2],
      ['completions', 2],
      ['logs', 2],
      ['usage', 2],
    ]);
    for (const { oldest } of shares) expect(Math.abs(Date.now() - 40 * day - Date.parse(oldest))).toBeLessThan(day);
  });

  test('R9: counts what a hold protects, and tells only who may see holds', async () => {
    const id = await api.system.createAccount({ plan: 'enterprise' });
    await ingest(id, [8]);
    await api.system.send(id, 'placeHold', { reason: 'a lawsuit', datasets: ['logs'] });
    const held = (await preview(id, 5)).body['purge'];
    expect(held).toMatchObject([
      { dataset: 'prompts' },
      { dataset: 'completions' },
      { held: true },
      { dataset: 'usage' },
    ]);
    const customer = await api.keyFor('customer', id);
    const { body } = await preview(id, 5, customer);
    expect(body['purge']).toHaveLength(4);
    expect(JSON.stringify(body)).not.toContain('held');
    // What one of them was shown, any of them may confirm.
    expect(await patch(id, { activeRetentionDays: 5, confirm: body['confirm'] })).toMatchObject({ status: 200 });
  });

  test('finds the oldest among many of one moment exactly', async () => {
    const { store } = api.system;
    const id = 'acct-burst';
    const first = Date.parse('2026-03-01T10:00:00.007Z');
    const records = Array.from({ length: 6000 }, (_, index) => ({
      callId: String(index),
      at: new Date(first + (index % 3000)),
    }));
    await storeRecords(store, 'logs', id, records);
    expect(await previewPurge(store, id, new Date(first + 2500))).toEqual([
      { dataset: 'logs', records: 5000, oldest: '2026-03-01T10:00:00.007Z' },
    ]);
    expect(await previewPurge(store, id, new Date(first))).toEqual([]);
  });
});

test('R9, R12: what has passed its age is gone for its customer at once, held or not, and from what was exported before', async () => {
  const id = await api.system.createAccount({ plan: 'enterprise' });
  const key = await api.keyFor('customer', id);
  await ingest(id, [1, 20, 40]);
  const asked = await api.ask('POST', `/v1/accounts/${id}/exports`, { key, body: {} });
  const path = `/v1/accounts/${id}/exports/${String(asked.body['id'])}`;
  await eventually('the export is ready', async () =>
    (await api.ask('GET', path, { key })).body['status'] === 'ready' ? true : undefined,
  );
  await api.system.send(id, 'placeHold', { reason: 'lawsuit' });
  const { body } = await preview(id, 30);
  expect((await patch(id, { activeRetentionDays: 30, confirm: body['confirm'] })).status).toBe(200);
  const records = await api.ask('GET', `/v1/accounts/${id}/records?category=prompts`, { key });
  expect(records.body['items']).toHaveLength(2);
  const before = new Date(Date.now() - 100 * day).toISOString();
  const all = await api.ask('GET', `/v1/accounts/${id}/records?category=prompts&from=${before}`, { key });
  expect(all.body['items']).toHaveLength(2);
  expect((await api.ask('GET', path, { key })).body).toMatchObject({ status: 'withdrawn' });
  expect(await api.system.store.records.prompts.countDocuments({ account: id })).toBe(3);
  const anew = await api.ask('POST', `/v1/accounts/${id}/exports`, { key, body: {} });
  const done = await eventually('the new export is ready', async () => {
    const view = await api.ask('GET', `/v1/accounts/${id}/exports/${String(anew.body['id'])}`, { key });
    return view.body['status'] === 'ready' ? view.body : undefined;
  });
  expect(done['records']).toBe(8);
  // Longer again: what was made meanwhile stands.
  expect((await patch(id, { activeRetentionDays: 60 })).status).toBe(200);
  expect((await api.ask('GET', `/v1/accounts/${id}/exports/${String(anew.body['id'])}`, { key })).body).toMatchObject({
    status: 'ready',
  });
});
