/** API keys: what they may be given, rotating them, when they were last used, and what a scope is needed for. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Role } from '../src/lifecycle';
import { newKey, noteKeyUses, scopeRoles, scopes, type Scope } from '../src/access';
import { scopesOf, startApi, type Answered, type Api } from './helpers/api';
import { loudly } from './helpers/system';

let api: Api;

beforeAll(async () => {
  api = await startApi();
}, 120_000);
afterAll(() => api.stop());

const make = (body: unknown, key?: string) =>
  api.ask('POST', '/v1/api-keys', { body, ...(key === undefined ? {} : { key }) });
const rotate = (id: unknown, body: unknown = {}, headers: Readonly<Record<string, string>> = {}) =>
  api.ask('POST', `/v1/api-keys/${String(id)}/rotate`, { body, headers });
const lets = async (key: unknown) => (await api.ask('GET', '/v1/accounts', { key: String(key) })).status === 200;
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

async function entriesOf(key: unknown): Promise<{ action: string; details: Record<string, unknown> }[]> {
  const { body } = await api.ask('GET', '/v1/audit?limit=1000');
  const entries = body['items'] as { action: string; details: Record<string, unknown> }[];
  return entries.filter(({ details }) => details['key'] === key);
}

describe('keys', () => {
  it('are found by the pattern in docs/keys.md, and told from lookalikes by the sum it describes', () => {
    const page = readFileSync(join(__dirname, '..', 'docs', 'keys.md'), 'utf8');
    const pattern = new RegExp(/```\n(\\bablauf_.*)\n```/.exec(page)?.[1] ?? 'nothing', 'g');
    expect(page).toContain(`regex = '''${pattern.source}'''`);
    const key = newKey();
    const leaked = `curl -H "authorization: Bearer ${key}" # and ablauf_short, and ${key}longer`;
    expect([...leaked.matchAll(pattern)].map(([found]) => found)).toEqual([key]);
    const script = /```sh\n([^`]*)```/.exec(page)?.[1] ?? '';
    const said = (text: string) =>
      spawnSync('sh', ['-c', script.replace('ablauf_…', text)], { encoding: 'utf8' }).stdout;
    expect(said(key)).toBe('this is, or was, a key\n');
    expect(said(`ablauf_${'A'.repeat(49)}`)).toBe('');
  });
});

describe('scopes', () => {
  it('are none where none are named, and shown', async () => {
    const { body } = await make({ role: 'admin' });
    expect(body).toMatchObject({ scopes: [] });
    const given = await make({ role: 'admin', scopes: ['settings', 'holds', 'holds'] });
    expect(given).toMatchObject({ status: 201, body: { scopes: ['holds', 'settings'] } });
    const path = `/v1/api-keys/${String(given.body['id'])}`;
    expect(given.headers.get('location')).toBe(path);
    const { key: _key, ...shown } = given.body;
    expect(await api.ask('GET', path)).toMatchObject({ status: 200, body: shown });
    expect(await entriesOf(given.body['id'])).toMatchObject([{ details: { scopes: ['holds', 'settings'] } }]);
  });

  it('are refused where they are unknown, or the role has no use for them', async () => {
    const before = await api.system.store.connection.collection('apiKeys').countDocuments();
    for (const body of [
      { role: 'admin', scopes: ['everything'] },
      { role: 'admin', scopes: 'keys' },
      { role: 'gateway', scopes: ['settings'] },
      { role: 'legal', scopes: ['holds', 'reopen'] },
    ]) {
      expect(await make(body)).toMatchObject({ status: 400, body: { code: 'validation' } });
    }
    expect(await api.system.store.connection.collection('apiKeys').countDocuments()).toBe(before);
  });

  it('are given by nobody who has not been given them', async () => {
    const keys = await api.keyFor('admin', undefined, undefined, ['keys', 'settings']);
    expect(await make({ role: 'admin', scopes: ['keys'] }, keys)).toMatchObject({ status: 201 });
    const stronger = await make({ role: 'admin', scopes: ['keys', 'holds', 'reopen'] }, keys);
    expect(stronger).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(stronger.body['detail']).toMatch(/holds, reopen$/);

    const { body } = await make({ role: 'legal', scopes: ['holds'] });
    const taken = await api.ask('POST', `/v1/api-keys/${String(body['id'])}/rotate`, { key: keys, body: {} });
    expect(taken).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });

  it('are none for a key that was stored before there were any', async () => {
    const { body } = await make({ role: 'admin', scopes: ['keys'] });
    const stored = api.system.store.connection.collection<{ _id: string }>('apiKeys');
    await stored.updateOne({ _id: String(body['id']) }, { $unset: { scopes: 1 } });
    expect(await make({ role: 'gateway' }, String(body['key']))).toMatchObject({ status: 403 });
    expect(await api.ask('GET', `/v1/api-keys/${String(body['id'])}`)).toMatchObject({ body: { scopes: [] } });
  });

  it('have a use for exactly the roles that may do what needs them', () => {
    const needed = new Map<Scope, Set<Role>>(scopes.map((scope) => [scope, new Set()]));
    for (const { stepUp, roles } of api.routes) {
      if (stepUp === undefined || roles === 'public') continue;
      for (const role of roles) needed.get(stepUp)?.add(role);
    }
    for (const scope of scopes) expect([...(needed.get(scope) ?? [])].sort()).toEqual([...scopeRoles[scope]].sort());
  });
});

describe('step-up of keys', () => {
  /** What needs which scope, written down independently. */
  const needed: Readonly<Record<string, Scope>> = {
    'DELETE /v1/accounts/:id/holds/:holdId': 'holds',
    'POST /v1/accounts/:id/reopen': 'reopen',
    'POST /v1/api-keys': 'keys',
    'POST /v1/api-keys/:id/rotate': 'keys',
    'DELETE /v1/api-keys/:id': 'keys',
    'PUT /v1/settings/policy': 'settings',
    'POST /v1/settings/erasure-guard/release': 'settings',
    'POST /v1/processors': 'settings',
    'DELETE /v1/processors/:id': 'settings',
  };

  it('is asked for where it has to be', () => {
    const declared = api.routes.flatMap(({ method, path, stepUp }) =>
      stepUp === undefined ? [] : [[`${method.toUpperCase()} ${path}`, stepUp]],
    );
    expect(Object.fromEntries(declared)).toMatchObject(needed);
  });

  it.each(Object.entries(needed))('%s needs the scope %s, and changes nothing without', async (call, scope) => {
    const [method = '', path = ''] = call.split(' ');
    const others = scopesOf('admin').filter((other) => other !== scope);
    const without = await api.keyFor('admin', undefined, undefined, others);
    const asked = { body: { unfit: true }, key: without };
    const refused = await api.ask(method, path.replace(/:[a-zA-Z]+/g, 'nothing'), asked);
    expect(refused).toMatchObject({
      status: 403,
      body: { code: 'forbidden', detail: `the key has not been given the scope ${scope}` },
    });
    expect(refused.headers.get('www-authenticate')).toBe(`Bearer error="insufficient_scope", scope="${scope}"`);
    const given = { body: { unfit: true }, key: await api.keyFor('admin', undefined, undefined, [scope]) };
    expect((await api.ask(method, path.replace(/:[a-zA-Z]+/g, 'nothing'), given)).status).not.toBe(403);
  });

  it('is not asked of what is done every day', async () => {
    const id = await api.system.createAccount();
    const key = await api.keyFor('operator', undefined, undefined, []);
    const suspended = await api.ask('POST', `/v1/accounts/${id}/suspend`, { key, body: { reason: 'other' } });
    expect(suspended.status).toBe(200);
    const held = await api.ask('POST', `/v1/accounts/${id}/holds`, { key, body: { reason: 'a case' } });
    expect(held.status).toBe(201);
    const release = `/v1/accounts/${id}/holds/${String(held.body['id'])}`;
    expect((await api.ask('DELETE', release, { key })).status).toBe(403);
    expect((await api.ask('GET', `/v1/accounts/${id}/holds`)).body['items']).toHaveLength(1);
  });
});

describe('rotation', () => {
  it('makes a key of the same kind beside the old one, which ends after the overlap', async () => {
    const id = await api.system.createAccount();
    const expiresAt = inAnHour();
    const old = await make({ role: 'customer', account: id, name: 'their script', expiresAt });
    const rotated = await rotate(old.body['id'], { overlap: 'PT1M' });
    expect(rotated).toMatchObject({
      status: 201,
      body: { role: 'customer', account: id, name: 'their script', expiresAt, scopes: [], rotatedFrom: old.body['id'] },
    });
    expect(await lets(old.body['key'])).toBe(true);
    expect(await lets(rotated.body['key'])).toBe(true);
    const { body } = await api.ask('GET', `/v1/api-keys/${String(old.body['id'])}`);
    expect(body).toMatchObject({ rotatedTo: rotated.body['id'] });
    expect(Date.parse(String(body['expiresAt']))).toBeLessThan(Date.parse(expiresAt));
    expect(await entriesOf(rotated.body['id'])).toMatchObject([
      { action: 'key.rotated', details: { rotatedFrom: old.body['id'], endsAt: body['expiresAt'] } },
    ]);
  });

  it('ends the old key at once where there is to be no overlap, here and now', async () => {
    const old = await make({ role: 'operator', scopes: ['holds'] });
    expect(await lets(old.body['key'])).toBe(true);
    const rotated = await rotate(old.body['id'], { overlap: 'PT0S' });
    expect(rotated.body).toMatchObject({ scopes: ['holds'] });
    expect(await lets(old.body['key'])).toBe(false);
    expect(await lets(rotated.body['key'])).toBe(true);
  });

  it('overlaps by a day where nothing is said, and never lets the old key live longer than it would have', async () => {
    const endless = await make({ role: 'operator' });
    const before = Date.now();
    await rotate(endless.body['id']);
    const { body } = await api.ask('GET', `/v1/api-keys/${String(endless.body['id'])}`);
    expect(Date.parse(String(body['expiresAt'])) - before).toBeGreaterThanOrEqual(86_400_000);
    expect(Date.parse(String(body['expiresAt'])) - before).toBeLessThan(86_400_000 + 60_000);
    const expiresAt = inAnHour();
    const short = await make({ role: 'operator', expiresAt });
    await rotate(short.body['id'], { overlap: 'P30D' });
    expect(await api.ask('GET', `/v1/api-keys/${String(short.body['id'])}`)).toMatchObject({ body: { expiresAt } });
  });

  it('happens once under an Idempotency-Key, and shows the secret once', async () => {
    const old = await make({ role: 'operator' });
    const again = { 'idempotency-key': 'rotate-once' };
    const [first, second] = [await rotate(old.body['id'], {}, again), await rotate(old.body['id'], {}, again)];
    expect(first.body['key']).toEqual(expect.any(String));
    const { key: _key, ...shown } = first.body;
    expect(second).toMatchObject({ status: 201 });
    expect(second.body).toEqual(shown);
    expect(await rotate(old.body['id'])).toMatchObject({ status: 409, body: { code: 'conflict' } });
  });

  it('is refused for what has ended, for nonsense and for strangers, and changes nothing', async () => {
    const revoked = await make({ role: 'operator' });
    await api.ask('DELETE', `/v1/api-keys/${String(revoked.body['id'])}`);
    expect(await rotate(revoked.body['id'])).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await rotate('none')).toMatchObject({ status: 404 });
    const { body } = await make({ role: 'operator' });
    for (const overlap of ['P31D', 'P1M', 'a day', 7, null]) {
      const refused = await rotate(body['id'], { overlap });
      expect(refused).toMatchObject({ status: 400, body: { errors: [{ path: 'overlap' }] } });
    }
    expect((await api.ask('GET', `/v1/api-keys/${String(body['id'])}`)).body).not.toHaveProperty('rotatedTo');
  });

  it('happens once, whoever rotates a key at the same moment', async () => {
    const old = await make({ role: 'operator' });
    const answers = await Promise.all(Array.from({ length: 4 }, () => rotate(old.body['id'])));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
  });
});

describe('the last use of a key', () => {
  const lastUse = async (made: Answered) =>
    (await api.ask('GET', `/v1/api-keys/${String(made.body['id'])}`)).body['lastUsedAt'] as string | undefined;

  it('is shown, of staff and of customers, and gone with the account', async () => {
    const id = await api.system.createAccount();
    const [staff, customer] = [await make({ role: 'operator' }), await make({ role: 'customer', account: id })];
    expect(await lastUse(staff)).toBeUndefined();
    const before = Date.now();
    expect(await lets(staff.body['key'])).toBe(true);
    expect(await lets(customer.body['key'])).toBe(true);
    await api.uses.flush();
    for (const made of [staff, customer])
      expect(Date.parse((await lastUse(made)) ?? '')).toBeGreaterThanOrEqual(before);
    const listed = (await api.ask('GET', '/v1/api-keys?limit=1000')).body['items'] as Record<string, unknown>[];
    expect(listed.find((key) => key['id'] === staff.body['id'])).toHaveProperty('lastUsedAt');
    const uses = api.system.store.connection.collection<{ _id: string }>('keyUses');
    expect(await uses.findOne({ _id: String(customer.body['id']) })).toMatchObject({ account: id });
  });

  it('is written once a minute, over all processes, and not for a key that is refused', async () => {
    const { store } = api.system;
    const uses = store.connection.collection<{ _id: string; at: Date }>('keyUses');
    const [one, other] = [noteKeyUses({ store, log: loudly }), noteKeyUses({ store, log: loudly })];
    const at = Date.parse('2026-01-01T00:00:00Z');
    const written = async () => ((await uses.findOne({ _id: 'key_shared' }))?.at.getTime() ?? NaN) - at;
    try {
      one.note('key_shared', undefined, at);
      other.note('key_shared', undefined, at + 1000);
      await Promise.all([one.flush(), other.flush()]);
      const first = await written();
      expect([0, 1000]).toContain(first);
      other.note('key_shared', undefined, at + 50_000);
      await other.flush();
      expect(await written()).toBe(first);
      one.note('key_shared', undefined, at + 62_000);
      other.note('key_shared', undefined, at + 63_000);
      await Promise.all([one.stop(), other.stop()]);
    } finally {
      await Promise.all([one.stop(), other.stop()]);
    }
    const revoked = await make({ role: 'operator' });
    await api.ask('DELETE', `/v1/api-keys/${String(revoked.body['id'])}`);
    expect(await lets(revoked.body['key'])).toBe(false);
    await api.uses.flush();
    expect(await lastUse(revoked)).toBeUndefined();
  });

  it('R6: is not written any more once the account is being erased, so that nothing of it outlives the account', async () => {
    const { store } = api.system;
    const id = await api.system.createAccount();
    const gates = store.connection.collection<{ _id: string; open: boolean }>('gates');
    await gates.updateOne({ _id: id }, { $set: { open: false } });
    const noting = noteKeyUses({ store, log: loudly });
    noting.note('key_late', id, Date.now());
    await noting.stop();
    const uses = store.connection.collection<{ _id: string }>('keyUses');
    expect(await uses.findOne({ _id: 'key_late' })).toBeNull();
  });
});
