/** Accounts over HTTP: creating, finding, reading, changing, and their way through the states. */
import { randomUUID } from 'node:crypto';
import { tombstoneId } from '../src/data';
import { startApi, type Api } from './helpers/api';
import { randomAccountId } from './helpers/system';

let api: Api;

beforeAll(async () => {
  api = await startApi();
}, 120_000);
afterAll(() => api.stop());

const profile = { name: 'Miriam & Söhne', email: 'office@example.org', plan: 'standard' };

async function created(more: Record<string, unknown> = {}): Promise<string> {
  const answer = await api.ask('POST', '/v1/accounts', { body: { id: randomAccountId(), ...profile, ...more } });
  expect(answer.status).toBe(201);
  return String(answer.body['id']);
}

describe('POST /v1/accounts', () => {
  it('creates an active account and answers with it', async () => {
    const id = randomAccountId();
    const answer = await api.ask('POST', '/v1/accounts', { body: { id, ...profile } });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('location')).toBe(`/v1/accounts/${id}`);
    expect(answer.headers.get('etag')).toBe('"1"');
    expect(answer.body).toMatchObject({
      id,
      ...profile,
      locale: 'en',
      region: 'eu-central-1',
      state: 'active',
      holds: [],
      policy: {
        gracePeriod: { value: 'P14D', origin: 'default' },
        expiryPeriod: { value: 'P30D', origin: 'default' },
        activeRetentionDays: { value: null, origin: 'default' },
      },
    });
    expect((await api.ask('GET', `/v1/accounts/${id}`)).body).toEqual(answer.body);
  });

  it('makes an id where none is given', async () => {
    const { status, body } = await api.ask('POST', '/v1/accounts', { body: profile });
    expect(status).toBe(201);
    expect(body['id']).toMatch(/^acct_[a-z2-7]{16}$/);
  });

  it('R8: refuses an id that is taken', async () => {
    const id = await created();
    expect(await api.ask('POST', '/v1/accounts', { body: { id, ...profile } })).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    });
    expect(await api.system.store.drafts.countDocuments({ account: id })).toBe(0);
  });

  it('lets an administrator adopt an account in its state, and nobody else', async () => {
    const since = new Date(Date.now() - 86_400_000).toISOString();
    const adopting = { id: randomAccountId(), ...profile, state: 'suspended', since };
    const operator = await api.keyFor('operator');
    expect(await api.ask('POST', '/v1/accounts', { key: operator, body: adopting })).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    });
    const { status, body } = await api.ask('POST', '/v1/accounts', { body: adopting });
    expect(status).toBe(201);
    expect(body).toMatchObject({ state: 'suspended', since, causes: [{ reason: 'other' }] });
    expect(body['deadline']).toEqual({
      action: 'close',
      at: new Date(Date.parse(since) + 14 * 86_400_000).toISOString(),
    });
  });

  it.each([
    ['an e-mail address as id', { id: 'a@example.org' }, 'id'],
    ['no name', { name: '' }, 'name'],
    ['a broken e-mail address', { email: 'nobody' }, 'email'],
    ['an unknown plan', { plan: 'gold' }, 'plan'],
    ['an erased beginning', { state: 'erased' }, 'state'],
    ['a future since', { state: 'expired', since: '2099-01-01T00:00:00Z' }, 'since'],
    ['months', { policy: { gracePeriod: 'P1M' } }, 'policy.gracePeriod'],
    ['a period below the least', { policy: { gracePeriod: 'PT1S' } }, 'policy.gracePeriod'],
    ['a member nobody knows', { colour: 'red' }, ''],
    ['an operator object', { name: { $gt: '' } }, 'name'],
  ])('refuses %s, and says where', async (_name, change, path) => {
    const { status, body } = await api.ask('POST', '/v1/accounts', { body: { ...profile, ...change } });
    expect(status).toBe(400);
    expect(body).toMatchObject({ code: 'validation', errors: [{ path }] });
  });

  it('R11: sets active-data retention for enterprise accounts only', async () => {
    const policy = { activeRetentionDays: 30 };
    expect(await api.ask('POST', '/v1/accounts', { body: { ...profile, policy } })).toMatchObject({ status: 409 });
    const { body } = await api.ask('POST', '/v1/accounts', { body: { ...profile, plan: 'enterprise', policy } });
    expect(body).toMatchObject({ policy: { activeRetentionDays: { value: 30, origin: 'account' } } });
  });

  it('creates one account however often it is asked with one key, and gives it one id', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const answers = await Promise.all([1, 2, 3].map(() => api.ask('POST', '/v1/accounts', { body: profile, headers })));
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(1);
    const again = await api.ask('POST', '/v1/accounts', { body: profile, headers });
    expect(again.body).toEqual(answers[0]?.body);
    const account = String(again.body['id']);
    expect(await api.system.store.drafts.countDocuments({ account })).toBe(0);
    // What is kept of the request holds a name and an address: it belongs to the account, and goes with it.
    expect(await api.system.store.connection.collection('idempotencyKeys').countDocuments({ account })).toBe(1);
  });
});

describe('GET /v1/accounts', () => {
  it('pages by id, without gap or repeat, and says when it ends', async () => {
    const prefix = `page-${randomUUID().slice(0, 8)}`;
    const ids = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${prefix}-${letter}`);
    await Promise.all(ids.map((id) => created({ id, name: 'Paged' })));
    const seen: unknown[] = [];
    let cursor: string | null = null;
    do {
      const page: { body: Readonly<Record<string, unknown>> } = await api.ask(
        'GET',
        `/v1/accounts?q=${prefix}&limit=2${cursor === null ? '' : `&cursor=${cursor}`}`,
      );
      seen.push(...(page.body['items'] as { id: string }[]).map(({ id }) => id));
      cursor = page.body['nextCursor'] as string | null;
    } while (cursor !== null);
    expect(seen).toEqual(ids);
  });

  it('finds by exact name or e-mail, by state, plan and due date', async () => {
    const name = `Exactly ${randomUUID()}`;
    const email = `${randomUUID()}@example.org`;
    const id = await created({ name, email, plan: 'enterprise' });
    await api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason: 'other' } });
    const find = async (query: string) =>
      ((await api.ask('GET', `/v1/accounts?${query}`)).body['items'] as { id: string }[]).map((item) => item.id);
    expect(await find(`q=${encodeURIComponent(name)}`)).toEqual([id]);
    expect(await find(`q=${encodeURIComponent(email)}`)).toEqual([id]);
    expect(await find(`q=${encodeURIComponent(name.slice(0, 10))}`)).toEqual([]);
    expect(await find('q=.*')).toEqual([]);
    expect(await find(`q=${id}&state=suspended&plan=enterprise&dueBefore=2099-01-01T00:00:00Z`)).toEqual([id]);
    expect(await find(`q=${id}&state=active`)).toEqual([]);
    expect(await find(`q=${id}&dueBefore=2020-01-01T00:00:00Z`)).toEqual([]);
  });

  it.each([
    'limit=0',
    'limit=1001',
    'limit=x',
    'cursor=abc',
    'cursor=W10xxxxxxxx',
    'state=gone',
    'limit=1&limit=2',
    'x=1',
  ])('refuses ?%s', async (query) => {
    expect(await api.ask('GET', `/v1/accounts?${query}`)).toMatchObject({ status: 400, body: { code: 'validation' } });
  });
});

describe('PATCH /v1/accounts/:id', () => {
  it('changes the profile, counts the version, and audits names but no values', async () => {
    const id = await created();
    const answer = await api.ask('PATCH', `/v1/accounts/${id}`, { body: { name: 'New Name', plan: 'enterprise' } });
    expect(answer).toMatchObject({ status: 200, body: { name: 'New Name', plan: 'enterprise' } });
    expect(answer.headers.get('etag')).toBe('"2"');
    const { body } = await api.ask('GET', `/v1/accounts/${id}/timeline`);
    const entry = (body['items'] as { action: string; details: unknown }[]).find(
      ({ action }) => action === 'account.updated',
    );
    expect(entry?.details).toEqual({ fields: ['name', 'plan'], plan: { before: 'standard', after: 'enterprise' } });
    expect(JSON.stringify(body)).not.toContain('New Name');
  });

  it('leaves version and log alone when nothing changes', async () => {
    const id = await created();
    const answer = await api.ask('PATCH', `/v1/accounts/${id}`, { body: { name: profile.name } });
    expect(answer.headers.get('etag')).toBe('"1"');
    expect(await api.system.actions(id)).toEqual(['account.created']);
  });

  it('lets one of two writers through who saw the same version', async () => {
    const id = await created();
    const headers = { 'if-match': '"1"' };
    const answers = await Promise.all(
      ['One', 'Two'].map((name) => api.ask('PATCH', `/v1/accounts/${id}`, { body: { name }, headers })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
  });
});

describe('transitions', () => {
  it('R3–R6, R8: leads an account through its states', async () => {
    const id = await created();
    const to = (name: string, body: unknown = {}) => api.ask('POST', `/v1/accounts/${id}/${name}`, { body });
    const suspended = await to('suspend', { reason: 'non_payment', note: 'two invoices' });
    expect(suspended).toMatchObject({
      status: 200,
      body: {
        state: 'suspended',
        causes: [{ reason: 'non_payment', note: 'two invoices' }],
        deadline: { action: 'close' },
      },
    });
    expect((await to('suspend', { reason: 'other' })).body['causes']).toHaveLength(2);
    expect((await to('reinstate', { resolved: ['other'] })).body).toMatchObject({ state: 'suspended' });
    const active = await to('reinstate');
    expect(active.body).toMatchObject({ state: 'active' });
    expect(active.body).not.toHaveProperty('causes');
    expect((await to('close')).body).toMatchObject({ state: 'expired', deadline: { action: 'erase' } });
    expect((await to('reopen', { note: 'closed by mistake' })).body).toMatchObject({ state: 'active' });
  });

  it('R13: refuses what does not apply, with the state and what does', async () => {
    const id = await created();
    expect(await api.ask('POST', `/v1/accounts/${id}/reinstate`)).toMatchObject({
      status: 409,
      body: { code: 'conflict', state: 'active', allowed: ['suspend', 'close'] },
    });
    expect(await api.ask('POST', `/v1/accounts/${id}/reopen`, { body: {} })).toMatchObject({ status: 400 });
  });

  it('R13: does the same thing once for one key, and refuses the key for another', async () => {
    const id = await created();
    const headers = { 'idempotency-key': randomUUID() };
    const suspend = (reason: string) => api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason }, headers });
    const first = await suspend('other');
    const second = await suspend('other');
    expect(second).toMatchObject({ status: 200, body: first.body });
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'));
    expect(await suspend('non_payment')).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await api.system.actions(id)).toEqual(['account.created', 'account.suspended']);
  });

  it('judges If-Match where the step is taken', async () => {
    const id = await created();
    const close = (tag: string) => api.ask('POST', `/v1/accounts/${id}/close`, { headers: { 'if-match': tag } });
    expect(await close('"7"')).toMatchObject({ status: 412, body: { code: 'precondition-failed' } });
    expect(await close('W/"1"')).toMatchObject({ status: 412 });
    expect(await close('1')).toMatchObject({ status: 400 });
    expect(await close('"1"')).toMatchObject({ status: 200 });
  });

  it('answers 404 for an account that is not there', async () => {
    for (const path of [
      'nobody',
      'nobody/access',
      'a@example.org',
      'nobody/policy',
      'nobody/holds',
      'nobody/timeline',
    ]) {
      expect(await api.ask('GET', `/v1/accounts/${path}`)).toMatchObject({ status: 404, body: { code: 'not-found' } });
    }
    expect(await api.ask('POST', '/v1/accounts/nobody/suspend', { body: { reason: 'other' } })).toMatchObject({
      status: 404,
    });
    expect(await api.ask('PATCH', '/v1/accounts/nobody', { body: { name: 'x' } })).toMatchObject({ status: 404 });
  });
});

describe('GET /v1/accounts/:id/access', () => {
  it('R16: says whether the account may be served', async () => {
    const id = await created();
    const access = () => api.ask('GET', `/v1/accounts/${id}/access?ip=203.0.113.9`);
    expect((await access()).body).toEqual({ account: id, allowed: true, state: 'active' });
    const { body } = await api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason: 'terms_violation' } });
    expect((await access()).body).toEqual({
      account: id,
      allowed: false,
      state: 'suspended',
      code: 'account-suspended',
      reason: 'terms_violation',
      until: (body['deadline'] as { at: string }).at,
    });
    expect(await api.ask('GET', `/v1/accounts/${id}/access?ip=999`)).toMatchObject({ status: 400 });
  });
});

describe('an erased account', () => {
  it('R8, R22: answers with its id and no personal field, and takes nothing any more', async () => {
    const id = randomAccountId();
    const at = new Date();
    const name = tombstoneId(api.system.store, id);
    await api.system.store.accounts.collection.insertOne({
      _id: name as never,
      region: 'eu-central-1',
      state: 'erased',
      since: at,
      erasedAt: at,
      lifecycle: { state: 'erased', since: at.toISOString(), causes: [], overrides: {}, holds: [] },
      inactive: [],
      seq: 4,
      version: 9,
      createdAt: at,
    });
    const when = at.toISOString();
    // By its id, or by its tombstone's; lists know the tombstone's alone.
    for (const asked of [id, name]) {
      expect((await api.ask('GET', `/v1/accounts/${asked}`)).body).toEqual({
        id: asked,
        region: 'eu-central-1',
        state: 'erased',
        since: when,
        erasedAt: when,
        certificateIds: [],
      });
      expect((await api.ask('GET', `/v1/accounts/${asked}/access`)).body).toMatchObject({
        account: asked,
        allowed: false,
        code: 'account-erased',
      });
    }
    for (const query of ['state=erased', `q=${id}`, `q=${name}`]) {
      const list = await api.ask('GET', `/v1/accounts?${query}`);
      expect(list.body['items']).toMatchObject([{ id: name, state: 'erased' }]);
      expect(list.text).not.toContain(id);
    }
    const stranger = await api.keyFor('customer', await created());
    for (const asked of [id, name, `~${'A'.repeat(43)}`]) {
      expect(await api.ask('GET', `/v1/accounts/${asked}`, { key: stranger })).toMatchObject({ status: 404 });
    }
    expect(await api.ask('GET', `/v1/accounts/~${'A'.repeat(43)}`)).toMatchObject({ status: 404 });
    const gone = { status: 410, body: { code: 'account-erased' } };
    expect(await api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason: 'other' } })).toMatchObject(gone);
    expect(await api.ask('PATCH', `/v1/accounts/${id}`, { body: { name: 'x' } })).toMatchObject(gone);
    expect(await api.ask('POST', `/v1/accounts/${name}/suspend`, { body: { reason: 'other' } })).toMatchObject(gone);
    expect(await api.ask('POST', '/v1/accounts', { body: { id, ...profile } })).toMatchObject({ status: 409 });
    // Nobody makes an account that looks like a tombstone.
    expect(await api.ask('POST', '/v1/accounts', { body: { id: name, ...profile } })).toMatchObject({ status: 400 });
    expect(await api.ask('POST', '/v1/api-keys', { body: { role: 'customer', account: id } })).toMatchObject(gone);
  });
});

describe('the timeline of an erased account', () => {
  it('R19, R22: is there for staff to the last entry, and no longer for its customer', async () => {
    const id = await api.system.createAccount();
    const customer = await api.keyFor('customer', id);
    const { store } = api.system;
    const at = new Date();
    await store.accounts.collection.updateOne({ _id: id as never }, { $set: { state: 'erased', erasedAt: at } });
    await store.transaction((session) =>
      store.audit.append(session, {
        at,
        actor: { type: 'system', id: 'workflow' },
        action: 'account.erased',
        account: id,
        details: {},
      }),
    );
    const read = (key: string) => api.ask('GET', `/v1/accounts/${id}/timeline`, { key });
    for (const role of ['admin', 'operator', 'auditor', 'legal'] as const) {
      const { status, body } = await read(await api.keyFor(role));
      expect(status).toBe(200);
      expect((body['items'] as { action: string }[]).at(-1)).toMatchObject({ action: 'account.erased' });
    }
    expect(await read(customer)).toMatchObject({ status: 410, body: { code: 'account-erased' } });
  });
});

describe('an account of another region', () => {
  it('R25: is refused', async () => {
    const id = await created();
    await api.system.store.accounts.updateOne({ _id: id }, { $set: { region: 'us-west-1' } });
    for (const path of [id, `${id}/access`]) {
      expect(await api.ask('GET', `/v1/accounts/${path}`)).toMatchObject({
        status: 421,
        body: { code: 'wrong-region' },
      });
    }
  });
});
