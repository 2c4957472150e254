/** Usage totals over HTTP (R12). */
import { liteLlmCall } from '../scripts/support/traffic';
import { categories } from '../src/data';
import { startApi, type Api } from './helpers/api';

let api: Api;

beforeAll(async () => {
  api = await startApi();
}, 120_000);
afterAll(() => api.stop());

/** An account with four calls to two models on three days, the second one's at both of its ends. */
async function used(): Promise<string> {
  const account = await api.system.createAccount();
  const call = (at: string, model: string) => ({
    ...liteLlmCall({ account, at: Date.parse(at), user: 'somebody@example.org' }),
    model_group: model,
  });
  const body = [
    call('2026-03-28T12:00:00Z', 'small'),
    call('2026-03-29T00:00:00Z', 'large'),
    call('2026-03-29T23:59:59.999Z', 'small'),
    call('2026-03-30T00:00:00Z', 'large'),
  ];
  const answer = await api.ask('POST', '/v1/ingest/litellm', { body });
  expect(answer).toMatchObject({ status: 202, body: { accepted: 4 } });
  return account;
}

const usageOf = (requests: number) => ({
  requests,
  promptTokens: 12 * requests,
  completionTokens: 24 * requests,
  cost: (225_000 * requests) / 1e9,
});

describe('GET /v1/accounts/:id/usage', () => {
  it('adds up by whole UTC days, and by model', async () => {
    const account = await used();
    const read = async (query: string) => (await api.ask('GET', `/v1/accounts/${account}/usage${query}`)).body['items'];
    const days = [
      { day: '2026-03-28', ...usageOf(1) },
      { day: '2026-03-29', ...usageOf(2) },
      { day: '2026-03-30', ...usageOf(1) },
    ];
    expect(await read('')).toEqual(days);
    expect(await read('?by=model')).toEqual([
      { model: 'large', ...usageOf(2) },
      { model: 'small', ...usageOf(2) },
    ]);
    expect(await read('?by=model&from=2026-03-30')).toEqual([{ model: 'large', ...usageOf(1) }]);
    // A day named as such counts; an instant that ends the query counts the day that has begun before it.
    for (const [query, expected] of [
      ['from=2026-03-29&to=2026-03-29', days.slice(1, 2)],
      ['from=2026-03-29T18:00:00Z&to=2026-03-30T00:00:00Z', days.slice(1, 2)],
      ['from=2026-03-29T18:00:00Z&to=2026-03-30T00:00:00.001Z', days.slice(1)],
      ['to=2026-03-29T01:00:00%2B02:00', days.slice(0, 1)],
      ['from=2026-03-31', []],
    ] as const) {
      expect([query, await read(`?${query}`)]).toEqual([query, expected]);
    }
  });

  it('R12: stays when the records are purged, and holds nothing of a person', async () => {
    const account = await used();
    for (const category of categories) await api.system.store.records[category].deleteMany({ account });
    const { text, body } = await api.ask('GET', `/v1/accounts/${account}/usage`, { key: await api.keyFor('auditor') });
    expect(body['items']).toHaveLength(3);
    expect(text).not.toContain('somebody');
    expect(JSON.stringify(await api.system.store.totals.find({ account }).lean())).not.toContain('somebody');
  });

  it('refuses what is no span of time', async () => {
    const account = await api.system.createAccount();
    for (const [query, path] of [
      ['from=yesterday', 'from'],
      ['to=2026-02-30', 'to'],
      ['from=1790000000', 'from'],
      ['from=2026-03-30&to=2026-03-29', 'to'],
      ['from=2026-03-30&to=2026-03-30T00:00:00Z', 'to'],
      ['by=user', 'by'],
      ['limit=5', ''],
    ]) {
      const answer = await api.ask('GET', `/v1/accounts/${account}/usage?${query}`);
      expect([query, answer.status, answer.body['errors']]).toEqual([query, 400, [expect.objectContaining({ path })]]);
    }
    expect((await api.ask('GET', `/v1/accounts/${account}/usage`)).body).toEqual({ items: [] });
  });

  it('R15: is for a customer in good standing', async () => {
    const account = await used();
    const key = await api.keyFor('customer', account);
    const read = () => api.ask('GET', `/v1/accounts/${account}/usage`, { key });
    expect((await read()).body['items']).toHaveLength(3);
    await api.system.send(account, 'suspend', { reason: 'other' });
    expect(await read()).toMatchObject({ status: 403, body: { code: 'account-suspended' } });
  });
});
