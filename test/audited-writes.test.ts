/** R19: every write there is leaves an entry: the list is made of what is declared, so a new one fails until it says which. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { actions, type Action, type AuditEntry } from '../src/audit';
import { adminKey, startApi, type Answered, type Api } from './helpers/api';
import { providerEntry } from './helpers/providers';

let api: Api;
const home = { 'x-forwarded-for': '192.0.2.7' };

beforeAll(async () => {
  api = await startApi({
    processors: { allowPrivate: true },
    dependencies: (given) => ({ ...given, trustedProxies: ['127.0.0.1'] }),
  });
}, 120_000);
afterAll(() => api.stop());

/** What each write enters; or why nothing; or what, where that takes somebody else than an administrator's key. */
const entered: Readonly<Record<string, Action | { readonly nothing: string } | { readonly elsewhere: Action }>> = {
  'POST /v1/accounts': 'account.created',
  'PATCH /v1/accounts/:id': 'account.updated',
  'POST /v1/accounts/:id/suspend': 'account.suspended',
  'POST /v1/accounts/:id/reinstate': 'account.reinstated',
  'POST /v1/accounts/:id/close': 'account.expired',
  'POST /v1/accounts/:id/reopen': 'account.reopened',
  'PATCH /v1/accounts/:id/policy': 'policy.changed',
  'POST /v1/accounts/:id/policy/preview': { nothing: 'it changes nothing' },
  'POST /v1/accounts/:id/holds': 'hold.placed',
  'DELETE /v1/accounts/:id/holds/:holdId': 'hold.released',
  'PUT /v1/accounts/:id/allowed-ips': 'addresses.changed',
  'PUT /v1/accounts/:id/invoices/:number': 'invoice.stored',
  'POST /v1/accounts/:id/exports': 'export.created',
  'DELETE /v1/accounts/:id/records': 'person.erasure-requested',
  'POST /v1/ingest/litellm': { nothing: 'records arrive by the thousand, and are what an account is for' },
  'POST /v1/approvals/:id/approve': { elsewhere: 'approval.granted' },
  'POST /v1/approvals/:id/reject': { elsewhere: 'approval.rejected' },
  'POST /v1/api-keys': 'key.created',
  'POST /v1/api-keys/:id/rotate': 'key.rotated',
  'DELETE /v1/api-keys/:id': 'key.revoked',
  'PUT /v1/settings/policy': 'settings.changed',
  'PUT /v1/settings/allowed-ips': 'addresses.changed',
  'POST /v1/settings/erasure-guard/release': 'erasure-guard.released',
  'POST /v1/processors': 'processor.registered',
  'DELETE /v1/processors/:id': 'processor.removed',
  'POST /v1/processors/callbacks/:requestId': { elsewhere: 'processor.confirmed' },
  'POST /v1/providers': 'provider.created',
  'POST /v1/providers/starters': 'provider.created',
  'PUT /v1/providers/:id': 'provider.updated',
  'DELETE /v1/providers/:id': 'provider.deleted',
  'POST /v1/audit/verify': { nothing: 'it reads, and shows nothing of what it read' },
  'POST /codec/encode': { nothing: 'it encrypts what it was given, and stores nothing' },
  'POST /codec/decode': { elsewhere: 'payloads.decoded' },
  'DELETE /v1/users/:id/sessions': { elsewhere: 'session.ended' },
  'POST /v1/users/:id/block': { elsewhere: 'user.blocked' },
  'POST /v1/users/:id/unblock': { elsewhere: 'user.unblocked' },
  'DELETE /auth/sessions/:id': { elsewhere: 'session.ended' },
  'DELETE /auth/sessions': { elsewhere: 'session.ended' },
  'POST /auth/sessions/:id/end': { elsewhere: 'session.ended' },
  'POST /auth/sessions/end-others': { elsewhere: 'session.ended' },
  'POST /auth/logout': { elsewhere: 'auth.signed-out' },
  'POST /auth/:provider/backchannel-logout': { elsewhere: 'session.ended' },
};

test('R19: every write that is declared says what it enters', () => {
  const writes = api.routes.filter(({ method }) => method !== 'get');
  const declared = writes.map(({ method, path }) => `${method.toUpperCase()} ${path}`).sort();
  expect(Object.keys(entered).sort()).toEqual(declared);
});

test('R19: each enters who did it, from where, in which request', async () => {
  const account = await api.system.createAccount({ plan: 'enterprise' });
  const own = `/v1/accounts/${account}`;
  const done = new Set<string>();

  async function act(route: string, path: string, body?: unknown, key = adminKey): Promise<Answered> {
    const [method = ''] = route.split(' ');
    const requestId = `${route.replaceAll(/[^A-Za-z]/g, '-')}-${done.size}`;
    const headers = { ...home, 'x-request-id': requestId };
    const answered = await api.ask(method, path, { headers, key, ...(body === undefined ? {} : { body }) });
    if (answered.status >= 300) throw new Error(`${route}: ${answered.text}`);
    const { audit } = api.system.store;
    const found: AuditEntry[] = await audit.reveal(await audit.entries.find({ requestId }).lean());
    const entry = found.find(({ action }) => action === entered[route]);
    expect([route, entry]).toMatchObject([route, { actor: { type: 'key', address: '192.0.2.7' }, requestId }]);
    done.add(route);
    return answered;
  }

  await act('POST /v1/accounts', '/v1/accounts', { name: 'A', email: 'a@example.org', plan: 'standard' });
  const updated = await act('PATCH /v1/accounts/:id', own, { locale: 'de', name: 'Another Name' });
  const { entries } = api.system.store.audit;
  const [{ details } = { details: {} }] = await entries
    .find({ requestId: updated.headers.get('x-request-id') ?? '', action: 'account.updated' })
    .lean();
  expect(details).toEqual({ fields: ['name', 'locale'], locale: { before: 'en', after: 'de' } });
  await act('POST /v1/accounts/:id/suspend', `${own}/suspend`, { reason: 'other' });
  await act('POST /v1/accounts/:id/reinstate', `${own}/reinstate`, {});
  await act('PATCH /v1/accounts/:id/policy', `${own}/policy`, { gracePeriod: 'P20D' });
  const hold = await act('POST /v1/accounts/:id/holds', `${own}/holds`, { reason: 'a case' });
  await act('DELETE /v1/accounts/:id/holds/:holdId', `${own}/holds/${String(hold.body['id'])}`);
  await act('PUT /v1/accounts/:id/allowed-ips', `${own}/allowed-ips`, { entries: [{ cidr: '192.0.2.0/24' }] });
  await act('PUT /v1/accounts/:id/invoices/:number', `${own}/invoices/INV-1`, {
    issuedOn: '2026-01-31',
    document: { total: 1 },
  });
  await act('POST /v1/accounts/:id/exports', `${own}/exports`, {}, await api.keyFor('customer', account));
  await act('DELETE /v1/accounts/:id/records', `${own}/records?user=somebody`);
  await act('POST /v1/accounts/:id/close', `${own}/close`, {});
  await act('POST /v1/accounts/:id/reopen', `${own}/reopen`, { note: 'asked for' });
  const made = await act('POST /v1/api-keys', '/v1/api-keys', { role: 'operator' });
  const rotated = await act('POST /v1/api-keys/:id/rotate', `/v1/api-keys/${String(made.body['id'])}/rotate`, {});
  await act('DELETE /v1/api-keys/:id', `/v1/api-keys/${String(rotated.body['id'])}`);
  await act('PUT /v1/settings/policy', '/v1/settings/policy', { gracePeriod: 'P30D' });
  await act('PUT /v1/settings/allowed-ips', '/v1/settings/allowed-ips', {
    entries: [{ cidr: '192.0.2.0/24' }, { cidr: '127.0.0.1' }],
  });
  await act('POST /v1/settings/erasure-guard/release', '/v1/settings/erasure-guard/release', {});
  const target = { name: 'mail', kind: 'webhook', url: 'https://127.0.0.1:9/erasures' };
  const processor = await act('POST /v1/processors', '/v1/processors', target);
  await act('DELETE /v1/processors/:id', `/v1/processors/${String(processor.body['id'])}`);
  const provider = await act('POST /v1/providers', '/v1/providers', providerEntry('Database host'));
  const path = `/v1/providers/${String(provider.body['id'])}`;
  await act('PUT /v1/providers/:id', path, providerEntry('Database host', { deletion: 'at once' }));
  await act('DELETE /v1/providers/:id', path);
  await act('POST /v1/providers/starters', '/v1/providers/starters', { providers: ['aws'], sites: ['eu-central-1'] });

  const wanted = Object.entries(entered).filter(([, what]) => typeof what === 'string');
  expect([...done].sort()).toEqual(wanted.map(([route]) => route).sort());
}, 120_000);

test('R19: docs/audit.md explains each action there is, and no other', () => {
  const docs = readFileSync(join(__dirname, '..', 'docs', 'audit.md'), 'utf8');
  const table = docs.slice(docs.indexOf('## The acts on record'), docs.indexOf('## Refusals'));
  const explained = [...table.matchAll(/`([a-z-]+\.[a-z-]+)`/g)].map(([, action]) => action);
  expect([...new Set(explained)].sort()).toEqual([...actions].sort());
});
