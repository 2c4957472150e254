/** What holds for every call: who asks, how requests look, how answers do, and what happens when something is away. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceError, type Client, type Connection } from '@temporalio/client';
import pino from 'pino';
import { createKeyring, followedCollections, registerKeys } from '../src/access';
import { createApp, keepRefusals, problemCatalogue, registerIdempotency } from '../src/api';
import { openStore, prepareStore } from '../src/data';
import { followChanges } from '../src/database';
import { startMongodb } from '../src/embedded';
import { openCourses, OutcomeUnknownError, TemporalUnavailableError } from '../src/temporal';
import { Interposer, adminKey, listen, startApi, type Api } from './helpers/api';
import { openTestVault } from './helpers/system';

let api: Api;
const interposer = new Interposer();
let checks: () => Promise<Record<string, string>> = () =>
  Promise.resolve({ mongodb: 'ok', temporal: 'ok', worker: 'ok' });

beforeAll(async () => {
  api = await startApi({
    dependencies: (given) => ({
      ...given,
      health: () => checks(),
      courses: interposer.between(given.courses),
    }),
  });
}, 120_000);
afterEach(() => {
  interposer.reset();
});
afterAll(() => api.stop());

const profile = { name: 'Somebody', email: 'somebody@example.org', plan: 'standard' };

describe('problems', () => {
  it('are RFC 9457, with a code, the request id, and nothing else to learn from', async () => {
    const answer = await api.ask('GET', '/v1/accounts/nobody', { headers: { 'x-request-id': 'mine-1' } });
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(answer.body).toEqual({
      type: '/problems/not-found',
      title: problemCatalogue['not-found'].title,
      status: 404,
      code: 'not-found',
      detail: 'there is no such account',
      requestId: 'mine-1',
    });
  });

  it('say where no path or no method is', async () => {
    expect(await api.ask('GET', '/v1/nothing', { key: null })).toMatchObject({
      status: 404,
      body: { code: 'not-found' },
    });
    const answer = await api.ask('DELETE', '/v1/accounts/x');
    expect(answer).toMatchObject({ status: 405, body: { code: 'method-not-allowed' } });
    expect(answer.headers.get('allow')).toBe('GET, HEAD, PATCH');
    expect(await api.ask('GET', '/v1/accounts/%E0%A4%A')).toMatchObject({ status: 400, body: { code: 'validation' } });
  });

  it('never tell what broke inside, but the log does', async () => {
    interposer.answering = () => Promise.reject(new Error('a secret of the house'));
    const { body } = await api.ask('POST', '/v1/accounts', { body: profile });
    const answer = await api.ask('POST', `/v1/accounts/${String(body['id'])}/close`);
    expect(answer).toMatchObject({ status: 500, body: { code: 'internal' } });
    expect(answer.text).not.toMatch(/secret|stack|\.ts/);
    expect(api.logged.join('\n')).toContain('a secret of the house');
  });
});

describe('headers', () => {
  it('carry a request id, the one given where it is harmless', async () => {
    const made = await api.ask('GET', '/healthz', { key: null });
    expect(made.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    const refused = await api.ask('GET', '/healthz', { key: null, headers: { 'x-request-id': 'a b<script>' } });
    expect(refused.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('forbid storing and sniffing, and name no product', async () => {
    const { headers } = await api.ask('GET', '/v1/accounts');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-powered-by')).toBeNull();
  });
});

describe('authentication', () => {
  it.each([
    ['no key', null, {}],
    ['a key nobody made', `ablauf_${'A'.repeat(49)}`, {}],
    ['another scheme', null, { authorization: 'Basic YTpi' }],
    ['a key with a line break encoded', null, { authorization: 'Bearer ' }],
  ])('refuses %s', async (_name, key, headers) => {
    const answer = await api.ask('GET', '/v1/accounts', { key, headers });
    expect(answer).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  it('comes before the body is read', async () => {
    const answer = await api.ask('POST', '/v1/accounts', {
      key: null,
      raw: '{',
      headers: { 'content-type': 'text/plain' },
    });
    expect(answer.status).toBe(401);
  });
});

describe('bodies', () => {
  const post = (raw: string, type = 'application/json') =>
    api.ask('POST', '/v1/accounts', { raw, headers: { 'content-type': type } });

  it('must be JSON of modest size', async () => {
    expect(await post('{')).toMatchObject({ status: 400, body: { code: 'validation' } });
    expect(await post('"text"')).toMatchObject({ status: 400, body: { code: 'validation' } });
    expect(await post('{}', 'text/plain')).toMatchObject({ status: 415, body: { code: 'unsupported-media-type' } });
    expect(await post('{}', 'application/json; charset=latin-9')).toMatchObject({ status: 415 });
    expect(await post(JSON.stringify({ name: 'x'.repeat(300_000) }))).toMatchObject({
      status: 413,
      body: { code: 'payload-too-large' },
    });
  });

  it('cannot reach prototypes or be built too high', async () => {
    expect(await post(`{"__proto__":{"role":"admin"},"name":"x"}`)).toMatchObject({ status: 400 });
    expect(await post(`{"name":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)).toMatchObject({ status: 400 });
  });
});

describe('Idempotency-Key', () => {
  it('must be visible text', async () => {
    for (const key of ['a b', 'x'.repeat(256)]) {
      const answer = await api.ask('POST', '/v1/accounts', { body: profile, headers: { 'idempotency-key': key } });
      expect(answer).toMatchObject({ status: 400, body: { errors: [{ path: 'Idempotency-Key' }] } });
    }
  });

  it('is each caller’s own', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const operator = await api.keyFor('operator');
    const [one, two] = await Promise.all([
      api.ask('POST', '/v1/accounts', { body: profile, headers }),
      api.ask('POST', '/v1/accounts', { body: profile, headers, key: operator }),
    ]);
    expect(one.body['id']).not.toBe(two.body['id']);
  });

  it('makes a command safe to repeat after its outcome was unknown', async () => {
    const { body } = await api.ask('POST', '/v1/accounts', { body: profile });
    const id = String(body['id']);
    const headers = { 'idempotency-key': randomUUID() };
    const suspend = () => api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason: 'other' }, headers });
    interposer.answering = () => Promise.reject(new OutcomeUnknownError('lost on the way'));
    expect(await suspend()).toMatchObject({ status: 504, body: { code: 'outcome-unknown' } });
    interposer.answering = undefined;
    expect(await suspend()).toMatchObject({ status: 200, body: { state: 'suspended' } });
    expect(await api.system.actions(id)).toEqual(['account.created', 'account.suspended']);
  });

  it('does not repeat a secret that is shown once', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const make = () => api.ask('POST', '/v1/api-keys', { body: { role: 'auditor' }, headers });
    const answers = await Promise.all([make(), make(), make()]);
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(answers.filter(({ body }) => 'key' in body)).toHaveLength(1);
    expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(1);
  });
});

describe('health', () => {
  it('says that the process serves, and what is missing', async () => {
    expect((await api.ask('GET', '/healthz', { key: null })).body).toEqual({ status: 'ok' });
    const well = { mongodb: 'ok', temporal: 'ok', worker: 'ok' };
    const ready = await api.ask('GET', '/readyz', { key: null });
    expect(ready).toMatchObject({ status: 200, body: { status: 'ok', checks: well } });
    checks = () => Promise.resolve({ ...well, temporal: 'connect ECONNREFUSED 10.0.0.7:7233' });
    const answer = await api.ask('GET', '/readyz', { key: null });
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(answer).toMatchObject({
      status: 503,
      body: {
        type: '/problems/unavailable',
        title: problemCatalogue.unavailable.title,
        status: 503,
        code: 'unavailable',
        checks: { ...well, temporal: 'missing' },
      },
    });
    expect(answer.text).not.toMatch(/10\.0\.0\.7|7233/);
    expect(api.logged.join('\n')).toContain('10.0.0.7:7233');
    checks = () => new Promise(() => undefined);
    // What never answers is not waited for.
    expect(await api.ask('GET', '/readyz', { key: null })).toMatchObject({ status: 503 });
  });
});

describe('when something is away', () => {
  it('says that nothing happened while Temporal cannot be reached', async () => {
    const { body } = await api.ask('POST', '/v1/accounts', { body: profile });
    const cause = new Error('no route to the house');
    interposer.reaching = () => Promise.reject(new TemporalUnavailableError('away', { cause }));
    const path = `/v1/accounts/${String(body['id'])}`;
    expect(await api.ask('POST', `${path}/close`)).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect(await api.ask('POST', '/v1/accounts', { body: profile })).toMatchObject({ status: 503 });
    expect(await api.ask('GET', path)).toMatchObject({ status: 200, body: { state: 'active' } });
    const lines = api.logged.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.findLast(({ status }) => status === 503)).toMatchObject({
      level: 40,
      cause: 'TemporalUnavailableError: away (Error: no route to the house)',
    });
  });

  it.each([
    ['UNAVAILABLE', 14, OutcomeUnknownError],
    ['DEADLINE_EXCEEDED', 4, OutcomeUnknownError],
    ['RESOURCE_EXHAUSTED', 8, OutcomeUnknownError],
    ['INVALID_ARGUMENT', 3, ServiceError],
    ['PERMISSION_DENIED', 7, ServiceError],
  ])('tells a message that was turned down from one that may still arrive: %s', async (name, code, expected) => {
    const trouble = Object.assign(new Error(`${code} ${name}`), { code, details: name, metadata: {} });
    const executeUpdate = () => Promise.reject(new ServiceError('it failed', { cause: trouble }));
    const courses = openCourses({
      connection: {} as Connection,
      client: {
        withDeadline: <T>(_deadline: number, work: () => Promise<T>) => work(),
        workflow: { getHandle: () => ({ executeUpdate }) },
      } as unknown as Client,
      region: 'eu-central-1',
      taskQueue: 'none',
    });
    const context = { actor: { type: 'key', id: 'somebody' } } as const;
    await expect(courses.send('x', 'close', {}, context, 'once')).rejects.toBeInstanceOf(expected);
  });

  it.each([
    ['gone', 'SIGKILL'],
    ['silent', 'SIGSTOP'],
  ] as const)('answers in time while the database is %s', async (_name, signal) => {
    const folder = await mkdtemp(join(tmpdir(), 'ablauf-test-'));
    const mongodb = await startMongodb({ dataDir: folder, port: 0 });
    const vault = await openTestVault(mongodb.uri);
    const store = await openStore({ uri: mongodb.uri, region: 'eu-central-1', vault });
    const model = registerKeys(store.connection);
    registerIdempotency(store.connection);
    await prepareStore(store);
    const broken: string[] = [];
    const feed = followChanges(store.connection, { collections: followedCollections, log: { warn: () => undefined } });
    const refusals = keepRefusals({ store, clock: () => new Date(), log: pino({ level: 'silent' }) });
    const app = createApp({
      store,
      courses: api.system.courses,
      jobs: api.system.jobs,
      guard: api.system.guard,
      archives: api.system.archives,
      keys: createKeyring({ model, feed, adminKey, clock: () => new Date() }),
      feed,
      refusals,
      settings: api.system.settings,
      region: 'eu-central-1',
      accountPaths: [['account']],
      clock: () => new Date(),
      log: pino({ level: 'error' }, { write: (line: string) => void broken.push(line) }),
      health: () => Promise.resolve({}),
    });
    const server = await listen(createServer(app));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ask = async (method: string, path: string, body?: unknown, more: Record<string, string> = {}) => {
      const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json', ...more };
      const response = await fetch(url + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        // The API's own bound is below five seconds; how fast the machine is today is not the question here.
        signal: AbortSignal.timeout(20_000),
      });
      return (await response.json()) as { status: number; code: string };
    };
    try {
      expect(await ask('GET', '/v1/accounts/x')).toMatchObject({ status: 404 });
      process.kill(mongodb.pid, signal);
      const event = { litellm_call_id: '1', startTime: Date.now() / 1000, account: 'x' };
      const codes = await Promise.all([
        ask('GET', '/v1/accounts/x'),
        ask('GET', '/v1/accounts/x/access'),
        ask('GET', '/v1/accounts'),
        ask('POST', '/v1/accounts/x/close', {}),
        ask('POST', '/v1/accounts/x/close', {}, { 'idempotency-key': 'k' }),
        ask('POST', '/v1/accounts', profile),
      ]);
      // What broke says why, should anything be told as our own fault.
      expect(broken).toEqual([]);
      expect(new Set(codes.map(({ code }) => code))).toEqual(new Set(['unavailable']));
      // What was already being written may count, or not: the server is in no state to say.
      const writes = await Promise.all([
        ask('PUT', '/v1/settings/policy', {}),
        ask('POST', '/v1/ingest/litellm', event),
      ]);
      for (const { status } of writes) expect([503, 504]).toContain(status);
      expect(await ask('GET', '/healthz')).toEqual({ status: 'ok' });
    } finally {
      if (signal === 'SIGSTOP') process.kill(mongodb.pid, 'SIGKILL');
      await feed.stop();
      await mongodb.exited;
      server.closeAllConnections();
      server.close();
      await Promise.all([store, vault.keyStore].map(({ connection }) => connection.close(true)));
      await rm(folder, { recursive: true, force: true });
    }
  });
});
