/** R14, R15: exports over HTTP, checked with the tools anybody has. */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { startApi, type Answered, type Api } from './helpers/api';
import { eventually } from './helpers/eventually';
import { storePlainInvoices, storeRecords } from './helpers/records';
import { sha256Of, unpack, untilDone, type ExportView } from './helpers/exports';

let api: Api;

beforeAll(async () => {
  api = await startApi();
}, 120_000);
afterAll(() => api.stop());

const start = Date.parse('2026-03-01T00:00:00.000Z');
const hour = 3_600_000;

interface Customer {
  readonly account: string;
  readonly key: string;
}

async function customer(): Promise<Customer> {
  const account = await api.system.createAccount({ plan: 'enterprise' });
  return { account, key: await api.keyFor('customer', account) };
}

/** Puts records where ingest would: one an hour from {@link start} on, in every category. */
async function fill(account: string, calls: number, body = (n: number) => JSON.stringify({ n })): Promise<void> {
  for (const category of ['prompts', 'completions', 'logs', 'usage'] as const) {
    await storeRecords(
      api.system.store,
      category,
      account,
      Array.from({ length: calls }, (_, n) => ({
        callId: `call-${n}`,
        at: new Date(start + n * hour),
        model: 'gpt-4o',
        ...(n % 2 === 0 ? { user: `person "${n}"\n` } : {}),
        body: body(n),
      })),
    );
  }
}

const view = (answer: Answered) => answer.body as unknown as ExportView;

async function exported({ account, key }: Customer, body: unknown = {}): Promise<ExportView> {
  const asked = await api.ask('POST', `/v1/accounts/${account}/exports`, { key, body });
  expect(asked.status).toBe(202);
  const { id } = view(asked);
  expect(asked.headers.get('location')).toBe(`/v1/accounts/${account}/exports/${id}`);
  return untilDone(async () => view(await api.ask('GET', `/v1/accounts/${account}/exports/${id}`, { key })));
}

async function fetchFile({ account, key }: Customer, id: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${api.url}/v1/accounts/${account}/exports/${id}/file`, {
    headers: { authorization: `Bearer ${key}`, ...headers },
  });
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
}

describe('R14: a customer in good standing', () => {
  it('downloads everything, whole and verifiable with tar, gzip and sha256sum', async () => {
    const who = await customer();
    const { account } = who;
    await fill(account, 300);
    const { store } = api.system;
    await store.totals.collection.insertOne({
      _id: `${account}:2026-03-01:gpt-4o` as never,
      account,
      day: '2026-03-01',
      model: 'gpt-4o',
      requests: 24,
      promptTokens: 10,
      completionTokens: 20,
      costNano: 225_000,
    });
    await storePlainInvoices(store, account, [
      { number: 'R-1', issuedOn: '2026-03-31', body: '{\n  "total": 12.5\n}' },
    ]);
    const done = await exported(who);
    expect(done).toMatchObject({ status: 'ready', records: 1200, progress: { done: 1200, total: 1200 } });
    const file = await fetchFile(who, done.id);
    expect(file.status).toBe(200);
    expect(file.headers.get('content-type')).toBe('application/x-tar');
    expect(file.headers.get('content-disposition')).toBe(`attachment; filename="${account}-${done.id}.tar"`);
    expect(file.headers.get('accept-ranges')).toBe('bytes');
    expect(file.headers.get('etag')).toBe(`"${done.sha256}"`);
    expect(file.bytes).toHaveLength(done.bytes);
    expect(sha256Of(file.bytes)).toBe(done.sha256);
    const { names, manifest, lines } = await unpack(file.bytes);
    const data = ['prompts', 'completions', 'logs', 'usage', 'usage-totals', 'invoices'];
    expect(names).toEqual([...data.map((name) => `${name}.ndjson.gz`), 'manifest.json']);
    expect(manifest).toMatchObject({
      format: 'ablauf-export',
      version: 1,
      id: done.id,
      account: { id: account, name: `Name of ${account}`, email: `${account}@example.org`, plan: 'enterprise' },
      range: { from: null },
    });
    expect(manifest.files.map(({ records }) => records)).toEqual([300, 300, 300, 300, 1, 1]);
    const prompts = lines['prompts'] ?? [];
    expect(prompts).toHaveLength(300);
    expect(prompts[4]).toEqual({
      id: 'prompts:call-4',
      callId: 'call-4',
      category: 'prompts',
      at: '2026-03-01T04:00:00.000Z',
      model: 'gpt-4o',
      user: 'person "4"\n',
      body: { n: 4 },
    });
    expect(prompts[5]).not.toHaveProperty('user');
    expect(prompts.map(({ at }) => at)).toEqual(prompts.map(({ at }) => at).toSorted());
    expect(lines['usage-totals']).toEqual([
      expect.objectContaining({ day: '2026-03-01', model: 'gpt-4o', requests: 24, costNano: 225_000 }),
    ]);
    expect(lines['invoices']).toEqual([expect.objectContaining({ number: 'R-1', body: { total: 12.5 } })]);
    expect(await api.system.actions(account)).toEqual(
      expect.arrayContaining(['export.created', 'export.ready', 'export.downloaded']),
    );
  });

  it('gets what it asks for: categories, and a stretch of time', async () => {
    const who = await customer();
    await fill(who.account, 100);
    const [from, to] = [new Date(start + 10 * hour), new Date(start + 20 * hour)];
    const done = await exported(who, { categories: ['usage', 'prompts'], from, to });
    expect(done.records).toBe(20);
    const { names, lines, manifest } = await unpack((await fetchFile(who, done.id)).bytes);
    expect(names).toEqual(['prompts.ndjson.gz', 'usage.ndjson.gz', 'manifest.json']);
    expect(lines['prompts']?.map(({ callId }) => callId)).toEqual(
      Array.from({ length: 10 }, (_, n) => `call-${10 + n}`),
    );
    expect(manifest.range).toEqual({ from: from.toISOString(), to: to.toISOString() });
  });

  it('gets every category even where there is nothing', async () => {
    const who = await customer();
    const done = await exported(who);
    expect(done).toMatchObject({ status: 'ready', records: 0 });
    const { names, lines } = await unpack((await fetchFile(who, done.id)).bytes);
    expect(names).toHaveLength(5);
    expect(lines).toEqual({ prompts: [], completions: [], logs: [], usage: [] });
  });

  it('gets records of any shape: large, with line breaks, and oddly named', async () => {
    const who = await customer();
    const large = JSON.stringify('ü'.repeat(3_000_000));
    const bodies = [large, '{\r\n"a":\n1}', '"\\n \\"quoted\\" \u2028"', '[]', 'null'];
    await fill(who.account, bodies.length, (n) => bodies[n] ?? '');
    await storeRecords(api.system.store, 'logs', who.account, [{ callId: 'odd "one"', at: new Date(start) }]);
    const done = await exported(who);
    const { lines } = await unpack((await fetchFile(who, done.id)).bytes);
    expect(lines['prompts']?.map(({ body }) => body)).toEqual(bodies.map((body) => JSON.parse(body) as unknown));
    expect(lines['logs']).toContainEqual(expect.objectContaining({ callId: 'odd "one"', body: {} }));
  });

  it('gets records that hardly compress and are as large as any, each stored in a transaction of its own', async () => {
    const who = await customer();
    const megabyte = 1024 * 1024;
    const bodies = [7, 1, 9, 2, 7].map((size) =>
      JSON.stringify(randomBytes((size * megabyte * 3) / 4).toString('base64')),
    );
    await fill(who.account, bodies.length, (n) => bodies[n] ?? '');
    const done = await exported(who);
    const { lines } = await unpack((await fetchFile(who, done.id)).bytes);
    expect(lines['prompts']?.map(({ body }) => body)).toEqual(bodies.map((body) => JSON.parse(body) as unknown));
  }, 120_000);

  it('resumes a download, and gets exactly the stretch it asks for', async () => {
    const who = await customer();
    await fill(who.account, 500, (n) => JSON.stringify({ n, noise: sha256Of(Buffer.from(String(n))).repeat(20) }));
    const done = await exported(who);
    const whole = (await fetchFile(who, done.id)).bytes;
    const stretch = async (range: string, more: Record<string, string> = {}) =>
      fetchFile(who, done.id, { range, ...more });
    for (const [range, from, to] of [
      ['bytes=0-0', 0, 1],
      ['bytes=100-1500', 100, 1501],
      ['bytes=-10', whole.length - 10, whole.length],
      [`bytes=${whole.length - 1}-`, whole.length - 1, whole.length],
      [`bytes=511-${whole.length + 10}`, 511, whole.length],
    ] as const) {
      const answer = await stretch(range);
      expect(answer.status).toBe(206);
      expect(answer.headers.get('content-range')).toBe(`bytes ${from}-${to - 1}/${whole.length}`);
      expect(answer.bytes.equals(whole.subarray(from, to))).toBe(true);
    }
    const beyond = await stretch(`bytes=${whole.length}-`);
    expect(beyond.status).toBe(416);
    expect(beyond.headers.get('content-range')).toBe(`bytes */${whole.length}`);
    expect(JSON.parse(beyond.bytes.toString())).toMatchObject({ code: 'range-not-satisfiable' });
    expect((await stretch('bytes=-0')).status).toBe(416);
    for (const range of ['bytes=5-1', 'bytes=a-b', 'lines=1-2', 'bytes=0-1,5-6', 'bytes=-']) {
      const answer = await stretch(range);
      expect([answer.status, answer.bytes.length]).toEqual([200, whole.length]);
    }
    expect((await stretch('bytes=0-9', { 'if-range': `"${done.sha256}"` })).status).toBe(206);
    expect((await stretch('bytes=0-9', { 'if-range': '"another"' })).status).toBe(200);
    const head = await fetch(`${api.url}/v1/accounts/${who.account}/exports/${done.id}/file`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${who.key}` },
    });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(whole.length)]);
  });

  it('lists its exports, newest first, in pages', async () => {
    const who = await customer();
    const first = await exported(who);
    const second = await exported(who);
    const page = await api.ask('GET', `/v1/accounts/${who.account}/exports?limit=1`, { key: who.key });
    expect(page.body['items']).toMatchObject([{ id: second.id, status: 'ready' }]);
    const cursor = encodeURIComponent(String(page.body['nextCursor']));
    const next = await api.ask('GET', `/v1/accounts/${who.account}/exports?limit=1&cursor=${cursor}`, { key: who.key });
    expect(next.body).toMatchObject({ items: [{ id: first.id }], nextCursor: null });
  });

  it('asks twice with one key and gets one export; one runs at a time', async () => {
    const who = await customer();
    const ask = (idempotencyKey: string, body: unknown = {}) =>
      api.ask('POST', `/v1/accounts/${who.account}/exports`, {
        key: who.key,
        body,
        headers: { 'idempotency-key': idempotencyKey },
      });
    const first = await ask('one');
    const again = await ask('one');
    expect(again.body).toEqual(first.body);
    expect(await ask('one', { categories: ['logs'] })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    await eventually('the first is ready', async () => {
      const { body } = await api.ask('GET', `/v1/accounts/${who.account}/exports/${view(first).id}`, { key: who.key });
      return body['status'] === 'ready' || undefined;
    });
    // One that nobody works on: put there as if its request had died before its workflow began.
    const { store } = api.system;
    const exports = store.connection.collection('exports');
    const running = { ...(await exports.findOne({ _id: view(first).id as never })), _id: 'exp_left' as never };
    await exports.insertOne({ ...running, status: 'running', parts: [], bytes: 0, records: 0, cursor: { set: 0 } });
    const refused = await ask('two');
    expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(refused.body['detail']).toContain('exp_left');
    const healed = await untilDone(async () =>
      view(await api.ask('GET', `/v1/accounts/${who.account}/exports/exp_left`, { key: who.key })),
    );
    expect(healed.status).toBe('ready');
  });
});

describe('refuses', () => {
  it('what does not fit, and changes nothing', async () => {
    const { account, key } = await customer();
    const refuse = async (body: unknown) => {
      const answer = await api.ask('POST', `/v1/accounts/${account}/exports`, { key, body });
      expect(answer).toMatchObject({ status: 400, body: { code: 'validation' } });
    };
    await refuse({ categories: ['secrets'] });
    await refuse({ categories: [] });
    await refuse({ from: '2026-02-01T00:00:00Z', to: '2026-01-01T00:00:00Z' });
    await refuse({ from: '2026-02-01T00:00:00Z', to: '2026-02-01T00:00:00Z' });
    await refuse({ from: new Date(Date.now() + hour).toISOString() });
    await refuse({ from: 'yesterday' });
    await refuse({ everything: true });
    expect((await api.ask('GET', `/v1/accounts/${account}/exports`, { key })).body['items']).toEqual([]);
  });

  it('exports that are not there, or are of another account, alike', async () => {
    const [mine, other] = [await customer(), await customer()];
    const { id } = await exported(mine);
    for (const path of [
      `/v1/accounts/${mine.account}/exports/exp_none`,
      `/v1/accounts/${mine.account}/exports/exp_none/file`,
      `/v1/accounts/${other.account}/exports/${id}`,
      `/v1/accounts/${mine.account}/exports/a%20b`,
    ]) {
      const answer = await api.ask('GET', path, { key: mine.key });
      expect(answer).toMatchObject({ status: 404, body: { code: 'not-found' } });
    }
    const crossed = await api.ask('GET', `/v1/accounts/${other.account}/exports/${id}/file`, { key: other.key });
    expect(crossed).toMatchObject({ status: 404, body: { code: 'not-found' } });
  });

  it('the file to staff, who may see that there is one', async () => {
    const who = await customer();
    const { id } = await exported(who);
    for (const role of ['admin', 'operator', 'auditor'] as const) {
      const key = await api.keyFor(role);
      expect(await api.ask('GET', `/v1/accounts/${who.account}/exports/${id}`, { key })).toMatchObject({ status: 200 });
      const file = await api.ask('GET', `/v1/accounts/${who.account}/exports/${id}/file`, { key });
      expect(file).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    }
  });
});

describe('R15', () => {
  it('while an account is suspended there is no export, for its customer or for anybody', async () => {
    const who = await customer();
    const { id } = await exported(who);
    await api.system.send(who.account, 'suspend', { reason: 'non_payment' });
    const legal = await api.keyFor('legal');
    for (const key of [who.key, legal]) {
      for (const [method, path] of [
        ['POST', ''],
        ['GET', `/${id}/file`],
      ] as const) {
        const answer = await api.ask(method, `/v1/accounts/${who.account}/exports${path}`, { key });
        expect(answer).toMatchObject({ status: 403, body: { code: 'account-suspended' } });
      }
    }
    expect(await api.ask('GET', `/v1/accounts/${who.account}/exports/${id}`, { key: who.key })).toMatchObject({
      status: 403,
      body: { code: 'account-suspended' },
    });
    const seen = await api.ask('GET', `/v1/accounts/${who.account}/exports/${id}`);
    expect(seen.body).toMatchObject({ status: 'withdrawn', reason: 'account.suspended' });
    expect(seen.body).not.toHaveProperty('sha256');
    await api.system.send(who.account, 'reinstate');
    const after = await api.ask('GET', `/v1/accounts/${who.account}/exports/${id}/file`, { key: who.key });
    expect(after).toMatchObject({ status: 409, body: { code: 'conflict', state: 'withdrawn' } });
    expect(await exported(who)).toMatchObject({ status: 'ready' });
    expect(await api.system.actions(who.account)).toContain('export.withdrawn');
  });

  it('a download under way ends where the account is suspended', async () => {
    const who = await customer();
    // Enough that it cannot lie in buffers between the two ends.
    const noise = (n: number) =>
      JSON.stringify(Array.from({ length: 2500 }, (_, i) => sha256Of(Buffer.from(`${n} ${i}`))));
    await fill(who.account, 60, noise);
    const { id, bytes } = await exported(who);
    expect(bytes).toBeGreaterThan(12_000_000);
    let received = 0;
    const ended = new Promise<string>((resolve, reject) => {
      const options = { headers: { authorization: `Bearer ${who.key}` } };
      const download = request(`${api.url}/v1/accounts/${who.account}/exports/${id}/file`, options, (response) => {
        response.on('data', (chunk: Buffer) => {
          const first = received === 0;
          received += chunk.length;
          if (!first) return;
          response.pause();
          api.system.send(who.account, 'suspend', { reason: 'other' }).then(() => response.resume(), reject);
        });
        response.on('end', () => resolve('whole'));
        response.on('error', () => resolve('cut off'));
      });
      download.on('error', reject);
      download.end();
    });
    expect(await ended).toBe('cut off');
    expect(received).toBeLessThan(bytes);
  });

  it('after a voluntary closure the customer may still export, after a forced one only the legal role, on record', async () => {
    const [left, thrownOut] = [await customer(), await customer()];
    await fill(left.account, 3);
    await fill(thrownOut.account, 3);
    const before = await exported(left);
    await api.system.send(left.account, 'close');
    expect((await fetchFile(left, before.id)).status).toBe(409);
    const done = await exported(left);
    expect((await unpack((await fetchFile(left, done.id)).bytes)).lines['prompts']).toHaveLength(3);
    expect(await api.ask('GET', `/v1/accounts/${left.account}/records`, { key: left.key })).toMatchObject({
      status: 403,
    });

    const legal: Customer = { account: thrownOut.account, key: await api.keyFor('legal') };
    const early = await api.ask('POST', `/v1/accounts/${legal.account}/exports`, { key: legal.key });
    expect(early).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    await api.system.send(thrownOut.account, 'suspend', { reason: 'terms_violation' });
    await api.system.send(thrownOut.account, 'close');
    const refused = await api.ask('POST', `/v1/accounts/${thrownOut.account}/exports`, { key: thrownOut.key });
    expect(refused).toMatchObject({ status: 403, body: { code: 'account-expired' } });
    const served = await exported(legal);
    expect((await fetchFile(legal, served.id)).status).toBe(200);
    expect(await api.system.actions(thrownOut.account)).toEqual(
      expect.arrayContaining(['export.created', 'export.ready', 'export.downloaded']),
    );
    const entry = await api.system.store.audit.entries
      .findOne({ subject: api.system.store.vault.pseudonymOf(thrownOut.account), action: 'export.downloaded' })
      .lean();
    expect(entry).toMatchObject({ actor: { role: 'legal' }, details: { export: served.id } });
  });
});
