/** Invoices over HTTP: the data set the law obliges to keep (R10). */
import { startApi, type Api } from './helpers/api';

let api: Api;
let operator: string;

beforeAll(async () => {
  api = await startApi();
  operator = await api.keyFor('operator');
}, 120_000);
afterAll(() => api.stop());

const document = { lines: [{ text: 'Tokens', net: 12.5 }], total: 14.88 };

function put(account: string, number: string, body: unknown, headers: Record<string, string> = {}) {
  const path = `/v1/accounts/${account}/invoices/${encodeURIComponent(number)}`;
  return api.ask('PUT', path, { key: operator, body, headers });
}

function daysFromNow(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}

describe('PUT /v1/accounts/:id/invoices/:number', () => {
  it('stores an invoice once: the same again is known, whatever the order of its members', async () => {
    const account = await api.system.createAccount();
    const stored = await put(account, '2026/0042', { issuedOn: '2024-02-29', document });
    expect(stored).toMatchObject({ status: 201, body: { number: '2026/0042', issuedOn: '2024-02-29' } });
    expect(stored.headers.get('location')).toBe(`/v1/accounts/${account}/invoices/2026%2F0042`);
    const again = await put(account, '2026/0042', {
      document: { total: 14.88, lines: [{ net: 12.5, text: 'Tokens' }] },
      issuedOn: '2024-02-29',
    });
    expect(again).toMatchObject({ status: 200, body: stored.body });
    const read = await api.ask('GET', stored.headers.get('location') ?? '', { key: operator });
    expect(read).toMatchObject({ status: 200, body: { ...stored.body, document } });
    expect(read.headers.get('etag')).toBe('"1"');
    const entries = await api.system.store.audit.entries
      .find({ subject: api.system.store.vault.pseudonymOf(account), action: 'invoice.stored' })
      .lean();
    expect(entries.map(({ details }) => details)).toEqual([{ number: '2026/0042', issuedOn: '2024-02-29' }]);
    expect(await api.system.store.gates.findById(account).lean()).toMatchObject({ passed: 1 });
  });

  it('never changes an issued invoice', async () => {
    const account = await api.system.createAccount();
    await put(account, '1', { issuedOn: '2026-01-31', document });
    for (const other of [
      { issuedOn: '2026-01-30', document },
      { issuedOn: '2026-01-31', document: { ...document, total: 0 } },
      { issuedOn: '2026-01-31', document: null },
    ]) {
      expect(await put(account, '1', other)).toMatchObject({ status: 409, body: { code: 'conflict' } });
    }
    const read = await api.ask('GET', `/v1/accounts/${account}/invoices/1`, { key: operator });
    expect(read.body).toMatchObject({ issuedOn: '2026-01-31', document });
    expect(await put(account, '2', { issuedOn: '2026-01-31', document }, { 'if-match': '"1"' })).toMatchObject({
      status: 412,
      body: { code: 'precondition-failed' },
    });
  });

  it('knows numbers by account, and takes the same one from many at once only once', async () => {
    const [one, other] = [await api.system.createAccount(), await api.system.createAccount()];
    const body = { issuedOn: '2026-03-01', document };
    const answers = await Promise.all(Array.from({ length: 8 }, () => put(one, 'A-1', body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 200, 200, 201]);
    expect(await put(other, 'A-1', { issuedOn: '2026-03-02', document: [] })).toMatchObject({ status: 201 });
    expect(
      await api.system.store.audit.entries.countDocuments({
        subject: api.system.store.vault.pseudonymOf(one),
        action: 'invoice.stored',
      }),
    ).toBe(1);
  });

  it('takes any JSON, also what nobody should send', async () => {
    const account = await api.system.createAccount();
    const raws = ['null', '0', '"\\ud800 \\u0000"', '[]', '{"__proto__":{"a":1},"$where":"x","a.b":-0}'];
    for (const [index, raw] of raws.entries()) {
      const path = `/v1/accounts/${account}/invoices/odd-${index}`;
      const asked = {
        key: operator,
        raw: `{"issuedOn":"2026-01-01","document":${raw}}`,
        headers: { 'content-type': 'application/json' },
      };
      expect((await api.ask('PUT', path, asked)).status).toBe(201);
      expect((await api.ask('PUT', path, asked)).status).toBe(200);
      const { text } = await api.ask('GET', path, { key: operator });
      expect(text).toContain(`"document":${raw.replace('-0', '0')}}`);
    }
  });

  it('refuses what is no invoice, by name, and stores nothing', async () => {
    const account = await api.system.createAccount();
    const issuedOn = '2026-01-01';
    const refused: readonly (readonly [unknown, string])[] = [
      [{ issuedOn: '2026-02-30', document }, 'issuedOn'],
      [{ issuedOn: '2025-02-29', document }, 'issuedOn'],
      [{ issuedOn: '2026-1-1', document }, 'issuedOn'],
      [{ issuedOn: '2026-01-01T00:00:00Z', document }, 'issuedOn'],
      [{ issuedOn: '1989-12-31', document }, 'issuedOn'],
      [{ issuedOn: daysFromNow(3), document }, 'issuedOn'],
      [{ issuedOn: 20260101, document }, 'issuedOn'],
      [{ document }, 'issuedOn'],
      [{ issuedOn }, 'document'],
      [{ issuedOn, document: 'x'.repeat(200_001) }, 'document'],
      [{ issuedOn, document: '界'.repeat(70_000) }, 'document'],
      [{ issuedOn, document, paid: true }, ''],
    ];
    for (const [body, path] of refused) {
      const answer = await put(account, 'bad', body);
      expect([body, answer.status, answer.body['code']]).toEqual([body, 400, 'validation']);
      expect(answer.body['errors']).toEqual([expect.objectContaining({ path })]);
    }
    const deep = `{"issuedOn":"${issuedOn}","document":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const headers = { 'content-type': 'application/json', 'idempotency-key': 'deep' };
    const path = `/v1/accounts/${account}/invoices/bad`;
    expect(await api.ask('PUT', path, { key: operator, raw: deep, headers })).toMatchObject({ status: 400 });
    for (const number of [' ', '-1', 'a b', 'ä', 'a:b', '.hidden', 'x'.repeat(65)]) {
      const answer = await put(account, number, { issuedOn, document });
      expect([number, answer.status, answer.body['code']]).toEqual([number, 400, 'validation']);
    }
    expect(await put(account, 'huge', { issuedOn, document: 'x'.repeat(300_000) })).toMatchObject({ status: 413 });
    expect(await put('nobody', '1', { issuedOn, document })).toMatchObject({ status: 404 });
    expect(await api.system.store.invoices.countDocuments({ account })).toBe(0);
    expect(await put(account, 'tomorrow', { issuedOn: daysFromNow(1), document })).toMatchObject({ status: 201 });
  });

  it('R6: takes none once the erasure has begun', async () => {
    const account = await api.system.createAccount();
    await api.system.send(account, 'close');
    const body = { issuedOn: '2026-01-01', document };
    expect(await put(account, 'final', body)).toMatchObject({ status: 201 });
    const erasing = { since: new Date(), done: 0, total: 0, sets: {}, plan: { hash: '', steps: [] } };
    await api.system.store.accounts.updateOne({ _id: account }, { $set: { erasing } });
    await api.system.store.gates.updateOne({ _id: account }, { $set: { open: false } });
    for (const number of ['final', 'later']) {
      expect(await put(account, number, body)).toMatchObject({ status: 410, body: { code: 'account-erased' } });
    }
    await api.system.store.accounts.updateOne({ _id: account }, { $unset: { erasing: '' } });
    expect(await api.system.store.invoices.countDocuments({ account })).toBe(1);
  });
});

describe('GET /v1/accounts/:id/invoices', () => {
  it('lists the newest first, in pages, without what they say', async () => {
    const account = await api.system.createAccount();
    const dates = ['2025-12-31', '2026-01-01', '2026-01-01', '2026-01-02', '1990-01-01'];
    for (const [index, issuedOn] of dates.entries()) await put(account, `n-${index}`, { issuedOn, document });
    const seen: unknown[] = [];
    let cursor: unknown = '';
    while (typeof cursor === 'string') {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { status, body } = await api.ask('GET', `/v1/accounts/${account}/invoices?limit=2${query}`);
      expect(status).toBe(200);
      seen.push(...(body['items'] as { number: string }[]).map(({ number }) => number));
      expect(JSON.stringify(body)).not.toContain('Tokens');
      cursor = body['nextCursor'];
    }
    expect(seen).toEqual(['n-3', 'n-2', 'n-1', 'n-0', 'n-4']);
    expect(await api.ask('GET', `/v1/accounts/${account}/invoices/none`)).toMatchObject({ status: 404 });
  });

  it('R15: shows a customer its own in good standing only', async () => {
    const [account, other] = [await api.system.createAccount(), await api.system.createAccount()];
    const key = await api.keyFor('customer', account);
    await put(account, '1', { issuedOn: '2026-01-01', document });
    await put(other, '1', { issuedOn: '2026-01-01', document });
    const read = (id: string) => api.ask('GET', `/v1/accounts/${id}/invoices/1`, { key });
    expect(await read(account)).toMatchObject({ status: 200, body: { document } });
    expect(await read(other)).toMatchObject({ status: 404 });
    await api.system.send(account, 'suspend', { reason: 'other' });
    expect(await read(account)).toMatchObject({ status: 403, body: { code: 'account-suspended' } });
    await api.system.send(account, 'close');
    expect(await read(account)).toMatchObject({ status: 403, body: { code: 'account-expired' } });
  });
});
