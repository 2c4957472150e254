/** Ingest and records over HTTP. */
import { randomUUID } from 'node:crypto';
import { startApi, type Answered, type Api } from './helpers/api';

let api: Api;
let gateway: string;

beforeAll(async () => {
  api = await startApi();
  gateway = await api.keyFor('gateway');
}, 120_000);
afterAll(() => api.stop());

function call(account: string, at: Date, id: string = randomUUID()): Record<string, unknown> {
  return {
    litellm_call_id: id,
    startTime: at.getTime() / 1000,
    model: 'gpt-4o',
    messages: [{ role: 'user', content: `question ${id}` }],
    response: { answer: `answer ${id}` },
    metadata: { user_api_key_org_id: account },
  };
}

describe('POST /v1/ingest/litellm', () => {
  it('takes one payload, an array, or NDJSON, whatever the content type says, each call once', async () => {
    const account = await api.system.createAccount();
    const [a, b, c] = [call(account, new Date()), call(account, new Date()), call(account, new Date())];
    const post = (raw: string, type: string) =>
      api.ask('POST', '/v1/ingest/litellm', { key: gateway, raw, headers: { 'content-type': type } });
    expect(await post(JSON.stringify(a), 'application/json')).toMatchObject({ status: 202, body: { accepted: 1 } });
    expect((await post(JSON.stringify([a, null, b]), 'application/octet-stream')).body).toMatchObject({
      accepted: 1,
      duplicates: 1,
      rejected: [{ index: 1, code: 'empty' }],
    });
    expect((await post(`${JSON.stringify(c)}\n{broken\n`, 'application/json')).body).toMatchObject({
      accepted: 1,
      rejected: [{ index: 1, code: 'validation' }],
    });
    expect(await api.system.store.records.logs.countDocuments({ account })).toBe(3);
  });

  it('takes more than other calls do, and not without end', async () => {
    const account = await api.system.createAccount();
    const large = { ...call(account, new Date()), messages: 'x'.repeat(8_000_000) };
    expect(await api.ask('POST', '/v1/ingest/litellm', { key: gateway, body: large })).toMatchObject({ status: 202 });
    const raw = Buffer.alloc(33 * 1024 * 1024, ' ');
    expect(await api.ask('POST', '/v1/ingest/litellm', { key: gateway, raw })).toMatchObject({
      status: 413,
      body: { code: 'payload-too-large' },
    });
  });

  it('refuses what is no JSON at all', async () => {
    for (const raw of ['', 'hello', '{"a":']) {
      const answer = await api.ask('POST', '/v1/ingest/litellm', { key: gateway, raw });
      expect(answer).toMatchObject({ status: 400, body: { code: 'validation' } });
    }
  });

  it('R15: discards what happened after the account was locked', async () => {
    const account = await api.system.createAccount();
    await api.system.send(account, 'suspend', { reason: 'other' });
    const before = call(account, new Date(Date.now() - 3_600_000));
    const after = call(account, new Date(Date.now() + 60_000));
    const body = [before, after, call('nobody', new Date())];
    expect((await api.ask('POST', '/v1/ingest/litellm', { key: gateway, body })).body).toMatchObject({
      accepted: 1,
      discarded: 1,
      rejected: [{ index: 2, code: 'unknown-account' }],
    });
  });
});

describe('GET /v1/accounts/:id/records', () => {
  it('R14: gives a customer its own, newest first, in pages', async () => {
    const account = await api.system.createAccount();
    const key = await api.keyFor('customer', account);
    const now = Date.now();
    const calls = [0, 1, 2].map((minutes) => call(account, new Date(now - minutes * 60_000)));
    await api.ask('POST', '/v1/ingest/litellm', { key: gateway, body: calls });
    const seen: { category: string; callId: string; at: string }[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query = cursor === '' ? '' : `&cursor=${cursor}`;
      const answer: Answered = await api.ask('GET', `/v1/accounts/${account}/records?limit=5${query}`, { key });
      expect(answer.status).toBe(200);
      seen.push(...(answer.body['items'] as typeof seen));
      cursor = answer.body['nextCursor'] as string | null;
    }
    expect(seen).toHaveLength(12);
    expect(new Set(seen.map((record) => `${record.category}:${record.callId}`)).size).toBe(12);
    expect(seen.map(({ at }) => at)).toEqual([...seen.map(({ at }) => at)].sort().reverse());
    const from = new Date(now - 90_000).toISOString();
    const prompts = await api.ask('GET', `/v1/accounts/${account}/records?category=prompts&from=${from}`, { key });
    expect(prompts.body['items']).toMatchObject([
      { category: 'prompts', callId: calls[0]?.['litellm_call_id'], model: 'gpt-4o', body: calls[0]?.['messages'] },
      { category: 'prompts', callId: calls[1]?.['litellm_call_id'] },
    ]);
  });

  it('R15: gives them to nobody while suspended, and to the legal role once closed, on record', async () => {
    const account = await api.system.createAccount();
    const [legal, admin] = [await api.keyFor('legal'), await api.keyFor('admin')];
    await api.ask('POST', '/v1/ingest/litellm', { key: gateway, body: call(account, new Date(Date.now() - 60_000)) });
    const read = (key: string) => api.ask('GET', `/v1/accounts/${account}/records`, { key });
    expect(await read(admin)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await read(legal)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    await api.system.send(account, 'suspend', { reason: 'other' });
    expect(await read(legal)).toMatchObject({ status: 403, body: { code: 'account-suspended' } });
    await api.system.send(account, 'close');
    expect(await read(admin)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    const answer = await read(legal);
    expect(answer.status).toBe(200);
    expect(answer.body['items']).toHaveLength(4);
    const entries = await api.system.store.audit.entries
      .find({ subject: api.system.store.vault.pseudonymOf(account), action: 'records.read' })
      .lean();
    expect(entries).toMatchObject([{ actor: { role: 'legal' }, details: { records: 4 } }]);
    expect(JSON.stringify(entries)).not.toContain('question');
  });
});
