/** Who may do what: the table of roles, customers and their account's standing, and keys. */
import { roles, type Role } from '../src/lifecycle';
import { currentRolesPage, rolesPage } from '../scripts/roles-docs';
import { startApi, type Api } from './helpers/api';

let api: Api;
let keys: Readonly<Record<Role, string>>;
/** The customer's own account. */
let own: string;

beforeAll(async () => {
  api = await startApi();
  own = await api.system.createAccount({ plan: 'enterprise' });
  const made = await Promise.all(
    roles.map(async (role) => [role, await api.keyFor(role, role === 'customer' ? own : undefined)] as const),
  );
  keys = Object.fromEntries(made) as Record<Role, string>;
}, 120_000);
afterAll(() => api.stop());

describe('roles', () => {
  it('are what docs/roles.md says (renew it with npm run docs:roles)', () => {
    expect(currentRolesPage()).toBe(rolesPage());
  });

  it('R19: audits a refused attempt to change something', async () => {
    const id = await api.system.createAccount();
    const auditor = keys.auditor;
    await api.ask('POST', `/v1/accounts/${id}/close`, { key: auditor, headers: { 'x-request-id': 'attempt-1' } });
    const { body } = await api.ask('GET', `/v1/accounts/${id}/timeline`);
    expect((body['items'] as unknown[]).at(-1)).toMatchObject({
      action: 'auth.refused',
      account: id,
      actor: { type: 'key' },
      details: { method: 'POST', path: '/v1/accounts/:id/close' },
      requestId: 'attempt-1',
    });
  });

  it('shows holds to admin, legal and auditor', async () => {
    const seen = await Promise.all(
      (['admin', 'operator', 'auditor', 'legal', 'customer'] as const).map(async (role) => {
        const { body } = await api.ask('GET', `/v1/accounts/${own}`, { key: keys[role] });
        return [role, 'holds' in body];
      }),
    );
    expect(Object.fromEntries(seen)).toEqual({
      admin: true,
      operator: false,
      auditor: true,
      legal: true,
      customer: false,
    });
  });
});

describe('a customer', () => {
  it('knows no account but its own', async () => {
    const other = await api.system.createAccount();
    const key = keys.customer;
    for (const rest of ['', '/access', '/policy', '/timeline', '/records']) {
      const [theirs, nobodys] = await Promise.all([
        api.ask('GET', `/v1/accounts/${other}${rest}`, { key, headers: { 'x-request-id': 'same' } }),
        api.ask('GET', `/v1/accounts/nobody${rest}`, { key, headers: { 'x-request-id': 'same' } }),
      ]);
      expect(theirs.status).toBe(404);
      expect(theirs.body).toEqual(nobodys.body);
    }
    expect(await api.ask('POST', `/v1/accounts/${other}/close`, { key })).toMatchObject({ status: 404 });
    const { body } = await api.ask('GET', '/v1/accounts', { key });
    expect((body['items'] as { id: string }[]).map(({ id }) => id)).toEqual([own]);
  });

  it('R15: gets nothing but state, cause and dates while suspended, and may close', async () => {
    const id = await api.system.createAccount({ plan: 'enterprise' });
    const key = await api.keyFor('customer', id);
    await api.system.send(id, 'suspend', { reason: 'non_payment' });
    const locked = { status: 403, body: { code: 'account-suspended' } };
    for (const rest of ['/policy', '/timeline', '/records']) {
      expect(await api.ask('GET', `/v1/accounts/${id}${rest}`, { key })).toMatchObject(locked);
    }
    expect(await api.ask('GET', '/v1/accounts', { key })).toMatchObject(locked);
    expect(
      await api.ask('PATCH', `/v1/accounts/${id}/policy`, { key, body: { activeRetentionDays: 3 } }),
    ).toMatchObject(locked);
    expect(await api.ask('GET', `/v1/accounts/${id}/access`, { key })).toMatchObject({ status: 200 });
    const { body } = await api.ask('GET', `/v1/accounts/${id}`, { key });
    expect(Object.keys(body).sort()).toEqual(['causes', 'deadline', 'id', 'plan', 'region', 'since', 'state']);
    const headers = { 'idempotency-key': 'close-once' };
    expect(await api.ask('POST', `/v1/accounts/${id}/close`, { key, headers })).toMatchObject({
      status: 200,
      body: { state: 'expired' },
    });
    expect(await api.ask('POST', `/v1/accounts/${id}/close`, { key, headers })).toMatchObject({ status: 200 });
    const closed = { status: 403, body: { code: 'account-expired' } };
    expect(await api.ask('GET', `/v1/accounts/${id}/timeline`, { key })).toMatchObject(closed);
    expect(await api.ask('POST', `/v1/accounts/${id}/close`, { key })).toMatchObject(closed);
    expect(await api.ask('GET', `/v1/accounts/${id}`, { key })).toMatchObject({
      status: 200,
      body: { state: 'expired' },
    });
  });

  it('R9: does not see holds, nor what they leave', async () => {
    const id = await api.system.createAccount();
    const key = await api.keyFor('customer', id);
    const { body } = await api.ask('POST', `/v1/accounts/${id}/holds`, { key: keys.legal, body: { reason: 'a case' } });
    await api.ask('DELETE', `/v1/accounts/${id}/holds/${String(body['id'])}`, { key: keys.legal });
    await api.ask('POST', `/v1/accounts/${id}/holds`, { key: keys.auditor, body: { reason: 'an attempt' } });
    const actions = async (asked: string) => {
      const answer = await api.ask('GET', `/v1/accounts/${id}/timeline`, { key: asked });
      return (answer.body['items'] as { action: string }[]).map(({ action }) => action);
    };
    expect(await actions(keys.auditor)).toEqual([
      'account.created',
      'key.created',
      'hold.placed',
      'hold.released',
      'auth.refused',
    ]);
    expect(await actions(key)).toEqual(['account.created', 'key.created']);
  });

  it('R7: cannot set the periods', async () => {
    const answer = await api.ask('PATCH', `/v1/accounts/${own}/policy`, {
      key: keys.customer,
      body: { gracePeriod: 'P20D' },
    });
    expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });
});

describe('keys', () => {
  it('are shown once, listed without what opens anything, and stored as a hash', async () => {
    const made = await api.ask('POST', '/v1/api-keys', { body: { role: 'gateway', name: 'edge' } });
    expect(made).toMatchObject({ status: 201, body: { role: 'gateway', name: 'edge', createdBy: 'bootstrap' } });
    const key = String(made.body['key']);
    expect(key).toMatch(/^ablauf_[A-Za-z0-9_-]{49}$/);
    const listed = await api.ask('GET', '/v1/api-keys?limit=1000');
    expect(listed.text).toContain(String(made.body['id']));
    expect(listed.text).not.toMatch(/hash|ablauf_/);
    const stored = await api.system.store.connection.collection('apiKeys').find().toArray();
    expect(JSON.stringify(stored)).not.toContain(key.slice(7));
  });

  it('stop working when revoked', async () => {
    const made = await api.ask('POST', '/v1/api-keys', { body: { role: 'operator' } });
    const key = String(made.body['key']);
    expect((await api.ask('GET', '/v1/accounts', { key })).status).toBe(200);
    const path = `/v1/api-keys/${String(made.body['id'])}`;
    expect((await api.ask('DELETE', path)).status).toBe(204);
    expect((await api.ask('GET', '/v1/accounts', { key })).status).toBe(401);
    expect((await api.ask('DELETE', path)).status).toBe(204);
    expect((await api.ask('DELETE', '/v1/api-keys/none')).status).toBe(404);
    const entries = await api.system.store.audit.entries
      .find({ 'details.key': made.body['id'] })
      .sort({ at: 1 })
      .lean();
    expect(entries.map(({ action }) => action)).toEqual(['key.created', 'key.revoked']);
  });

  it('stop working when they expire', async () => {
    const expiresAt = new Date(Date.now() + 1500).toISOString();
    const made = await api.ask('POST', '/v1/api-keys', { body: { role: 'operator', expiresAt } });
    const key = String(made.body['key']);
    expect((await api.ask('GET', '/v1/accounts', { key })).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 1600));
    expect((await api.ask('GET', '/v1/accounts', { key })).status).toBe(401);
  });

  it('name an account if and only if they are a customer’s, and one that exists', async () => {
    const make = (body: unknown) => api.ask('POST', '/v1/api-keys', { body });
    expect(await make({ role: 'customer' })).toMatchObject({ status: 400, body: { errors: [{ path: 'account' }] } });
    expect(await make({ role: 'admin', account: own })).toMatchObject({ status: 400 });
    expect(await make({ role: 'customer', account: 'nobody' })).toMatchObject({ status: 404 });
    expect(await make({ role: 'admin', expiresAt: '2020-01-01T00:00:00Z' })).toMatchObject({ status: 400 });
  });
});
