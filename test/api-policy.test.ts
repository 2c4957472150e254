/** Policies, their preview, holds, the timeline and the deployment's defaults over HTTP. */
import { randomUUID } from 'node:crypto';
import { OutcomeUnknownError, TemporalUnavailableError } from '../src/temporal';
import type { NewAuditEntry } from '../src/audit';
import { Interposer, startApi, type Answered, type Api } from './helpers/api';

let api: Api;
const interposer = new Interposer();

beforeAll(async () => {
  api = await startApi({
    dependencies: (given) => ({
      ...given,
      courses: interposer.between(given.courses),
    }),
  });
}, 120_000);
afterEach(() => {
  interposer.reset();
});
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

describe('GET · PATCH /v1/accounts/:id/policy', () => {
  it('R7: sets periods of its own, in canonical form, and returns to the default', async () => {
    const id = await api.system.createAccount();
    const path = `/v1/accounts/${id}/policy`;
    const changed = await api.ask('PATCH', path, { body: { gracePeriod: 'PT480H' } });
    expect(changed).toMatchObject({ status: 200, body: { gracePeriod: { value: 'P20D', origin: 'account' } } });
    expect(changed.headers.get('etag')).toBe('"2"');
    const read = await api.ask('GET', path);
    expect(read.body).toEqual(changed.body);
    expect(read.headers.get('etag')).toBe('"2"');
    expect((await api.ask('PATCH', path, { body: { gracePeriod: null } })).body).toMatchObject({
      gracePeriod: { value: 'P14D', origin: 'default' },
    });
  });

  it('refuses what does not fit, and says where', async () => {
    const id = await api.system.createAccount({ plan: 'enterprise' });
    const patch = (body: unknown) => api.ask('PATCH', `/v1/accounts/${id}/policy`, { body });
    for (const days of [-1, 366, 1.5, '30']) {
      expect(await patch({ activeRetentionDays: days })).toMatchObject({
        status: 400,
        body: { code: 'validation', errors: [{ path: 'activeRetentionDays' }] },
      });
    }
    expect(await patch({ gracePeriod: 'PT1S' })).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'gracePeriod' }] },
    });
    expect(await patch({})).toMatchObject({ status: 400, body: { code: 'validation' } });
  });

  it('R7: shortening is an administrator’s', async () => {
    const id = await api.system.createAccount();
    const key = await api.keyFor('operator');
    const patch = (gracePeriod: string) =>
      api.ask('PATCH', `/v1/accounts/${id}/policy`, { key, body: { gracePeriod } });
    expect(await patch('P20D')).toMatchObject({ status: 200 });
    expect(await patch('P10D')).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });
});

describe('POST /v1/accounts/:id/policy/preview', () => {
  it('R12: shows what lowering would purge; the change needs the confirmation of just that', async () => {
    const id = await api.system.createAccount({ plan: 'enterprise' });
    await ingest(id, [0, 1, 10, 20]);
    const path = `/v1/accounts/${id}/policy`;
    const preview = await api.ask('POST', `${path}/preview`, { body: { activeRetentionDays: 5 } });
    expect(preview.status).toBe(200);
    expect(preview.body).toMatchObject({
      purge: [
        { dataset: 'prompts', records: 2 },
        { dataset: 'completions', records: 2 },
        { dataset: 'logs', records: 2 },
        { dataset: 'usage', records: 2 },
      ],
      deadline: { before: null, after: null },
    });
    expect((await api.ask('GET', path)).body).toMatchObject({ activeRetentionDays: { value: null } });
    const patch = (days: number, confirm?: unknown) =>
      api.ask('PATCH', path, { body: { activeRetentionDays: days, ...(confirm === undefined ? {} : { confirm }) } });
    const { confirm } = preview.body;
    expect(await patch(5)).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await patch(6, confirm)).toMatchObject({ status: 409 });
    expect(await patch(5, 'made up')).toMatchObject({ status: 409 });
    await ingest(id, [15]);
    expect(await patch(5, confirm)).toMatchObject({ status: 409 });
    const again = await api.ask('POST', `${path}/preview`, { body: { activeRetentionDays: 5 } });
    expect(await patch(5, again.body['confirm'])).toMatchObject({
      status: 200,
      body: { activeRetentionDays: { value: 5, origin: 'account' } },
    });
  });

  it('R12: is not got round by a key that an earlier try left behind', async () => {
    const id = await api.system.createAccount({ plan: 'enterprise' });
    await ingest(id, [1, 10]);
    const path = `/v1/accounts/${id}/policy`;
    const headers = { 'idempotency-key': randomUUID() };
    const patch = () => api.ask('PATCH', path, { body: { activeRetentionDays: 5 }, headers });
    interposer.reaching = () => Promise.reject(new TemporalUnavailableError('away'));
    expect(await patch()).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    interposer.reaching = undefined;
    expect(await patch()).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await api.ask('GET', path)).body).toMatchObject({ activeRetentionDays: { value: null } });
  });

  it('R12: a confirmed change whose outcome was unknown is safe to repeat', async () => {
    const id = await api.system.createAccount({ plan: 'enterprise' });
    await ingest(id, [1, 10]);
    const path = `/v1/accounts/${id}/policy`;
    const preview = await api.ask('POST', `${path}/preview`, { body: { activeRetentionDays: 5 } });
    const body = { activeRetentionDays: 5, confirm: preview.body['confirm'] };
    const headers = { 'idempotency-key': randomUUID() };
    interposer.answering = () => Promise.reject(new OutcomeUnknownError('lost on the way'));
    expect(await api.ask('PATCH', path, { body, headers })).toMatchObject({ status: 504 });
    interposer.answering = undefined;
    expect(await api.ask('PATCH', path, { body, headers })).toMatchObject({
      status: 200,
      body: { activeRetentionDays: { value: 5 } },
    });
    expect(await api.system.actions(id)).toEqual(['account.created', 'policy.changed']);
  });

  it('R12: asks for no confirmation where nothing goes', async () => {
    const id = await api.system.createAccount({ plan: 'enterprise' });
    await ingest(id, [1]);
    const patch = (activeRetentionDays: number | null) =>
      api.ask('PATCH', `/v1/accounts/${id}/policy`, { body: { activeRetentionDays } });
    expect(await patch(30)).toMatchObject({ status: 200 });
    expect(await patch(60)).toMatchObject({ status: 200 });
    expect(await patch(null)).toMatchObject({ status: 200 });
    expect(await patch(0)).toMatchObject({ status: 409 });
  });

  it('R7: shows where the deadline would move, and refuses what a change would refuse', async () => {
    const id = await api.system.createAccount();
    const { body } = await api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason: 'other' } });
    const { at } = body['deadline'] as { at: string };
    const preview = await api.ask('POST', `/v1/accounts/${id}/policy/preview`, { body: { gracePeriod: 'P20D' } });
    expect(preview.body).toMatchObject({
      purge: [],
      deadline: { before: at, after: new Date(Date.parse(at) + 6 * day).toISOString() },
    });
    const refused = await api.ask('POST', `/v1/accounts/${id}/policy/preview`, { body: { activeRetentionDays: 3 } });
    expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } });
  });
});

describe('holds', () => {
  it('R9: are placed, listed and released', async () => {
    const id = await api.system.createAccount();
    const path = `/v1/accounts/${id}/holds`;
    const placed = await api.ask('POST', path, { body: { reason: 'a lawsuit', datasets: ['logs'] } });
    expect(placed).toMatchObject({
      status: 201,
      body: { reason: 'a lawsuit', datasets: ['logs'], placedBy: 'bootstrap' },
    });
    expect(placed.body).not.toHaveProperty('receipt');
    const hold = String(placed.body['id']);
    expect(placed.headers.get('location')).toBe(`${path}/${hold}`);
    await api.ask('POST', path, { body: { reason: 'another' } });
    const first = await api.ask('GET', `${path}?limit=1`);
    expect(first.body['items']).toEqual([placed.body]);
    expect(first.headers.get('etag')).toBe('"3"');
    const rest = await api.ask('GET', `${path}?limit=1&cursor=${String(first.body['nextCursor'])}`);
    expect(rest.body).toMatchObject({ items: [{ reason: 'another' }], nextCursor: null });
    expect((await api.ask('DELETE', `${path}/${hold}`)).status).toBe(204);
    expect(await api.ask('DELETE', `${path}/${hold}`)).toMatchObject({ status: 404, body: { code: 'not-found' } });
    expect((await api.ask('GET', path)).body['items']).toHaveLength(1);
  });

  it('say what is wrong with them', async () => {
    const id = await api.system.createAccount();
    const place = (body: unknown) => api.ask('POST', `/v1/accounts/${id}/holds`, { body });
    expect(await place({})).toMatchObject({ status: 400, body: { errors: [{ path: 'reason' }] } });
    expect(await place({ reason: 'x', until: '2020-01-01T00:00:00Z' })).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'until' }] },
    });
    expect(await place({ reason: 'x', datasets: ['everything'] })).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'datasets.0' }] },
    });
  });
});

describe('GET /v1/accounts/:id/timeline', () => {
  it('R19: tells what happened, oldest first, in pages without gap or repeat', async () => {
    const id = await api.system.createAccount();
    await api.ask('POST', `/v1/accounts/${id}/suspend`, {
      body: { reason: 'other' },
      headers: { 'x-request-id': 'the-suspension' },
    });
    await api.ask('PATCH', `/v1/accounts/${id}`, { body: { name: 'Other' } });
    await api.keyFor('customer', id);
    await api.ask('POST', `/v1/accounts/${id}/reinstate`);
    const seen: { action: string; id: string }[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query = cursor === '' ? '' : `&cursor=${cursor}`;
      const { body }: Answered = await api.ask('GET', `/v1/accounts/${id}/timeline?limit=2${query}`);
      seen.push(...(body['items'] as { action: string; id: string }[]));
      cursor = body['nextCursor'] as string | null;
    }
    expect(seen.map(({ action }) => action)).toEqual([
      'account.created',
      'account.suspended',
      'account.updated',
      'key.created',
      'account.reinstated',
    ]);
    expect(seen[1]).toEqual({
      id: expect.any(String) as string,
      at: expect.stringMatching(/Z$/) as string,
      actor: { type: 'key', id: 'bootstrap', address: '127.0.0.1' },
      action: 'account.suspended',
      account: id,
      details: { reason: 'other' },
      requestId: 'the-suspension',
    });
  });

  it('pages by number and id where several entries share an instant', async () => {
    const id = await api.system.createAccount();
    const at = new Date();
    const { store } = api.system;
    const add = async (seq?: number): Promise<string> => {
      const entry: NewAuditEntry = {
        at,
        actor: { type: 'system', id: 'test' },
        action: 'test.entry',
        account: id,
        details: {},
        ...(seq === undefined ? {} : { seq }),
      };
      const { _id } = await store.transaction((session) => store.audit.append(session, entry));
      return _id;
    };
    const steps = [await add(101), await add(102)];
    const others = [await add(), await add()].sort();
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query = cursor === '' ? '' : `&cursor=${cursor}`;
      const { body }: Answered = await api.ask('GET', `/v1/accounts/${id}/timeline?limit=1${query}`);
      seen.push(...(body['items'] as { id: string }[]).map((item) => item.id));
      cursor = body['nextCursor'] as string | null;
    }
    expect(seen.slice(1)).toEqual([...others, ...steps]);
  });
});

describe('GET · PUT /v1/settings/policy', () => {
  it('R7: changes the defaults; the reads that follow see it', async () => {
    const id = await api.system.createAccount();
    const first = await api.ask('GET', '/v1/settings/policy');
    expect(first).toMatchObject({ status: 200, body: { gracePeriod: 'P14D', expiryPeriod: 'P30D' } });
    const tag = first.headers.get('etag') ?? '';
    const put = (body: unknown, more: object = {}) => api.ask('PUT', '/v1/settings/policy', { body, ...more });
    const changed = await put({ gracePeriod: 'P21D' }, { headers: { 'if-match': tag } });
    expect(changed).toMatchObject({ status: 200, body: { gracePeriod: 'P21D', expiryPeriod: 'P30D' } });
    expect((await api.ask('GET', `/v1/accounts/${id}`)).body).toMatchObject({
      policy: { gracePeriod: { value: 'P21D', origin: 'default' } },
    });
    expect(await put({}, { headers: { 'if-match': tag } })).toMatchObject({ status: 412 });
    const operator = await api.keyFor('operator');
    expect(await put({ gracePeriod: 'P10D' }, { key: operator })).toMatchObject({ status: 403 });
    expect(await put({ gracePeriod: 'P30D' }, { key: operator })).toMatchObject({ status: 200 });
    expect(await put({ gracePeriod: 'P1Y' })).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'gracePeriod' }] },
    });
    expect(await put({})).toMatchObject({ status: 200, body: { gracePeriod: 'P14D' } });
  });
});
