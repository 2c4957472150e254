/**
 * The authorisation matrix: every declared call, as every role, and as a customer about its own account, another's, an erased one and
 * one that never was. Whoever adds a call adds it to the table in `helpers/role-table.ts`, and where customers may make it for an
 * account, a request that fits to `fitting` here; a call that is missing fails by name.
 */
import { roles, type Role } from '../src/lifecycle';
import { tombstoneId } from '../src/data';
import { startApi, type Answered, type Api, type Asked } from './helpers/api';
import { eventually } from './helpers/eventually';
import { publicPaths, roleTable } from './helpers/role-table';

jest.setTimeout(240_000);

const settings = { expiryPeriod: 'PT1S', notice: 'PT0S', minPeriod: 'PT1S' } as const;

let api: Api;
let keys: Readonly<Record<Role, string>>;
/** The customer's own account. */
let own: string;
/** Everything that is not: another's, one that is erased, by its id and by its tombstone's, and one that never was. */
let foreign: Readonly<Record<'other' | 'erased' | 'tombstone' | 'unknown', string>>;

beforeAll(async () => {
  api = await startApi({ settings });
  const create = (overrides = {}) => api.system.createAccount({ plan: 'enterprise', overrides });
  const [mine, other, erased] = await Promise.all([create(), create(), create()]);
  own = mine;
  await api.system.send(erased, 'close');
  await eventually('it is erased', async () =>
    (await api.ask('GET', `/v1/accounts/${erased}`)).body['state'] === 'erased' ? true : undefined,
  );
  foreign = { other, erased, tombstone: tombstoneId(api.system.store, erased), unknown: 'acct-that-never-was' };
  const made = await Promise.all(
    roles.map(async (role) => [role, await api.keyFor(role, role === 'customer' ? own : undefined)] as const),
  );
  keys = Object.fromEntries(made) as Record<Role, string>;
});
afterAll(() => api.stop());

const uuid = '00000000-0000-4000-8000-000000000000';

interface Fitting {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: unknown;
}

/** A request a customer may make, so that nothing but the account is left to be judged. The last one closes the account. */
const fitting: Readonly<Record<string, Fitting>> = {
  'GET /v1/accounts/:id': {},
  'GET /v1/accounts/:id/access': {},
  'GET /v1/accounts/:id/policy': {},
  'PATCH /v1/accounts/:id/policy': { body: { activeRetentionDays: 300 } },
  'POST /v1/accounts/:id/policy/preview': { body: { activeRetentionDays: 300 } },
  'GET /v1/accounts/:id/timeline': {},
  'GET /v1/accounts/:id/records': {},
  'DELETE /v1/accounts/:id/records': { query: '?user=somebody' },
  'GET /v1/accounts/:id/records/erasures/:requestId': { path: { requestId: uuid } },
  'GET /v1/accounts/:id/exports': {},
  'POST /v1/accounts/:id/exports': { body: {} },
  'GET /v1/accounts/:id/exports/:exportId': { path: { exportId: 'none' } },
  'GET /v1/accounts/:id/exports/:exportId/file': { path: { exportId: 'none' } },
  'GET /v1/accounts/:id/usage': {},
  'GET /v1/accounts/:id/invoices': {},
  'GET /v1/accounts/:id/invoices/:number': { path: { number: '2026-1' } },
  'GET /v1/accounts/:id/allowed-ips': {},
  'PUT /v1/accounts/:id/allowed-ips': { body: { entries: [{ cidr: '127.0.0.1/32' }] } },
  'POST /v1/accounts/:id/close': { body: {} },
};

const calls = Object.entries(roleTable);
const ofAccount = calls.filter(([call]) => call.split(' ')[1]?.startsWith('/v1/accounts/:id'));

function ask(call: string, account: string, asked: Asked, { path: names = {}, query = '', body }: Fitting = {}) {
  const [method = '', path = ''] = call.split(' ');
  const filled = path.replace(/:([a-zA-Z]+)/g, (_all, name: string) =>
    name === 'id' ? account : (names[name] ?? 'none'),
  );
  const headers = { 'x-request-id': 'one-and-the-same' };
  return api.ask(method, filled + query, { headers, ...(body === undefined ? {} : { body }), ...asked });
}

/** What an answer tells: everything but when it was given. */
function tells({ status, headers, text }: Answered) {
  const told = [...headers].filter(([name]) => !['date', 'keep-alive', 'connection'].includes(name));
  return { status, headers: Object.fromEntries(told.filter(([name]) => !name.startsWith('ratelimit'))), text };
}

describe('who may make which call', () => {
  it('is declared as the table says', () => {
    const declared = api.routes.flatMap(({ method, path, roles: allowed }) =>
      allowed === 'public' ? [] : [[`${method.toUpperCase()} ${path}`, [...allowed].sort()]],
    );
    expect(Object.fromEntries(declared)).toEqual(
      Object.fromEntries(calls.map(([call, allowed]) => [call, [...allowed].sort()])),
    );
    const open = api.routes.filter((route) => route.roles === 'public').map((route) => route.path);
    expect(open.sort()).toEqual(publicPaths);
  });

  it.each(roles)('lets %s past exactly where the table says, whatever the account', async (role) => {
    const seen: [string, string, boolean][] = [];
    const expected: [string, string, boolean][] = [];
    for (const [call, allowed] of calls) {
      const accounts = call.includes('/v1/accounts/:id') ? { own, ...foreign } : { own };
      for (const [whose, account] of Object.entries(accounts)) {
        // A body and a name that fit nothing: who is let past is told what is wrong with them, and changes nothing.
        const asked = { key: keys[role], ...(call.startsWith('GET') ? {} : { body: { unfit: true } }) };
        const { status, body } = await ask(call, account, asked, { query: '?unfit=1' });
        seen.push([call, whose, status !== 403]);
        expected.push([call, whose, allowed.includes(role)]);
        if (status === 403) expect(body['code']).toBe('forbidden');
      }
    }
    expect(seen).toEqual(expected);
  });

  it('lets nobody past who shows nothing, or a key that is none', async () => {
    for (const [call] of calls) {
      for (const key of [null, 'ablauf_nothing']) {
        const { status, body } = await ask(call, own, { key });
        expect([call, status, body['code']]).toEqual([call, 401, 'unauthenticated']);
      }
    }
  });
});

describe('a customer', () => {
  it('has a request that fits for every call it may make about an account', () => {
    const needed = ofAccount.filter(([, allowed]) => allowed.includes('customer')).map(([call]) => call);
    expect(Object.keys(fitting).sort()).toEqual(needed.sort());
  });

  it('is told of another account, and of an erased one, exactly what it is told of one that never was', async () => {
    for (const [call] of ofAccount) {
      const asked = { key: keys.customer };
      const unknown = tells(await ask(call, foreign.unknown, asked, fitting[call]));
      for (const account of [foreign.other, foreign.erased, foreign.tombstone]) {
        expect([call, tells(await ask(call, account, asked, fitting[call]))]).toEqual([call, unknown]);
      }
      expect([call, unknown.status]).toEqual([call, call in fitting ? 404 : 403]);
    }
  });

  it('reaches its own by every one of these requests', async () => {
    for (const [call, request] of Object.entries(fitting)) {
      const { status, body } = await ask(call, own, { key: keys.customer }, request);
      expect([call, status === 403 || body['detail'] === 'there is no such account' || status >= 500]).toEqual([
        call,
        false,
      ]);
    }
    // Closing it was the last of them, and changed nobody else's.
    expect(await api.ask('GET', `/v1/accounts/${foreign.other}`)).toMatchObject({ body: { state: 'active' } });
  });

  it('finds nothing but its own in lists, however it asks', async () => {
    const mine = await api.system.createAccount();
    const key = await api.keyFor('customer', mine);
    for (const query of ['', '?state=active', '?plan=enterprise', `?q=${foreign.other}`, '?q=acct-', '?limit=1000']) {
      const { status, body, text } = await api.ask('GET', `/v1/accounts${query}`, { key });
      expect([query, status]).toEqual([query, 200]);
      for (const { id } of body['items'] as { id: string }[]) expect(id).toBe(mine);
      expect(text).not.toContain(foreign.other);
    }
    const another = { key, body: { role: 'customer', account: mine } };
    expect(await api.ask('POST', '/v1/api-keys', another)).toMatchObject({ status: 403 });
  });

  it('leaves no trace of what it asked in the log of the account it does not own', async () => {
    const { body } = await api.ask('GET', `/v1/audit?account=${foreign.other}&limit=1000`);
    const actions = (body['items'] as { action: string }[]).map(({ action }) => action);
    expect(actions).toContain('account.created');
    const theirs = await api.keyFor('customer', foreign.other);
    const seen = await api.ask('GET', `/v1/accounts/${foreign.other}/timeline?limit=1000`, { key: theirs });
    expect(seen.text).not.toContain(own);
  });
});
