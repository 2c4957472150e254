/** How often anybody may ask: limits as requests meet them, and what guessing comes to. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createKeyring, newKey, registerKeys } from '../src/access';
import { createApp, limitPolicies, type ApiDependencies } from '../src/api';
import { shareLimits, type SharedLimits } from '../src/edge';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { adminKey, listen, startApi, type Api } from './helpers/api';
import { complete, flawsIn } from './helpers/configuration';
import { readConfig } from '../src/config';

let api: Api;
let given: ApiDependencies;
let questions = 0;
const servers: Server[] = [];
const open: SharedLimits[] = [];

beforeAll(async () => {
  api = await startApi({
    dependencies: (dependencies) => {
      given = dependencies;
      return dependencies;
    },
  });
}, 120_000);
afterAll(async () => {
  for (const limits of open) await limits.stop();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await api.stop();
});

/** The API with limits, as another process would be. */
async function limited(
  settings: { key?: number; address?: number; attempts?: number },
  ring: ApiDependencies['keys'] = given.keys,
) {
  const policies = limitPolicies({ key: 0, address: 0, attempts: 0, ...settings });
  const limits = shareLimits({ ...given.store, policies, log: given.log });
  open.push(limits);
  const keys = {
    ...ring,
    find: (key: string) => {
      questions += 1;
      return ring.find(key);
    },
  };
  const app = createApp({ ...given, keys, limits, trustedProxies: ['127.0.0.1'] });
  const server = await listen(createServer(app));
  servers.push(server);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return async (path: string, { key, from = anywhere() }: { key?: string; from?: string } = {}) => {
    const headers = { 'x-forwarded-for': from, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) };
    const answer = await fetch(`${url}${path}`, { headers });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
}

/** An address nobody else has. */
function anywhere(): string {
  const [a = 0, b = 0, c = 0] = randomBytes(3);
  return `10.${a}.${b}.${c}`;
}

const publicKeys = '/v1/keys/public';
const statuses = (answers: readonly { status: number }[], status: number) =>
  answers.filter((answer) => answer.status === status).length;

describe('a limit of requests', () => {
  test('holds for a key, whatever address it comes from, and says so in the standard headers', async () => {
    const ask = await limited({ key: 1 });
    const key = await api.keyFor('operator');
    const first = await ask('/v1/accounts', { key });
    expect(first.status).toBe(200);
    expect(first.headers.get('ratelimit-policy')).toBe('"key";q=10;w=10');
    expect(first.headers.get('ratelimit')).toMatch(/^"key";r=9;t=([1-9]|10)$/);
    const more = await Promise.all(Array.from({ length: 20 }, () => ask('/v1/accounts', { key })));
    expect(statuses(more, 200)).toBeLessThanOrEqual(10);
    const refused = more.find(({ status }) => status === 429);
    expect(JSON.parse(refused?.text ?? '{}')).toMatchObject({ code: 'rate-limited', status: 429 });
    expect(refused?.headers.get('ratelimit')).toMatch(/^"key";r=0;t=\d+$/);
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await ask('/v1/accounts', { key: adminKey })).status).toBe(200);
  });

  test('holds for an address that shows nothing, an IPv6 one with all of its /64, and leaves probes alone', async () => {
    const ask = await limited({ address: 1 });
    const from = anywhere();
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask(publicKeys, { from })));
    expect(statuses(answers, 429)).toBeGreaterThanOrEqual(19);
    expect((await ask('/nowhere', { from })).status).toBe(429);
    expect((await ask('/healthz', { from })).status).toBe(200);
    expect((await ask(publicKeys)).status).toBe(200);
    const many = Array.from({ length: 30 }, (_none, n) => `2001:db8:1:1::${n.toString(16)}`);
    const six = await Promise.all(many.map((address) => ask(publicKeys, { from: address })));
    expect(statuses(six, 429)).toBeGreaterThanOrEqual(19);
    expect((await ask(publicKeys, { from: '2001:db8:1:2::1' })).status).toBe(200);
  });

  test('is shared by two processes', async () => {
    const [one, other] = [await limited({ key: 4 }), await limited({ key: 4 })];
    const key = await api.keyFor('operator');
    const load = async (ask: typeof one, count: number) =>
      statuses(await Promise.all(Array.from({ length: count }, () => ask('/v1/settings/policy', { key }))), 200);
    expect((await load(one, 30)) > 0).toBe(true);
    for (const limits of open) await limits.exchange();
    await load(other, 5);
    for (const limits of open) await limits.exchange();
    const left = (await other('/v1/settings/policy', { key })).headers.get('ratelimit') ?? '';
    // Fourty in ten seconds, thirty-six of which are used; within the next window some weigh less.
    expect(Number(/r=(\d+)/.exec(left)?.[1])).toBeLessThan(30);
  });

  test('does not hold where there is none', async () => {
    const ask = await limited({});
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(publicKeys, { from: '10.9.9.9' })));
    expect(statuses(answers, 200)).toBe(50);
    expect(answers[0]?.headers.get('ratelimit')).toBeNull();
  });
});

describe('guessing', () => {
  test('a thousand wrong keys soon cost neither the database nor the log, while who shares the address goes on', async () => {
    const ask = await limited({ attempts: 50 });
    const from = anywhere();
    const good = await api.keyFor('operator');
    expect((await ask('/v1/accounts', { key: good, from })).status).toBe(200);
    const entries = given.store.audit.entries;
    const before = await entries.countDocuments({ action: 'auth.refused' });
    questions = 0;
    const answers: { status: number }[] = [];
    for (let round = 0; round < 20; round += 1) {
      const some = Array.from({ length: 50 }, () => ask('/v1/accounts', { key: newKey(), from }));
      answers.push(...(await Promise.all(some)));
    }
    // Those of the first rush that were under way at once are looked up together.
    expect(statuses(answers, 401)).toBeLessThanOrEqual(150);
    expect(statuses(answers, 401) + statuses(answers, 429)).toBe(1000);
    expect(questions).toBeLessThanOrEqual(150);
    expect((await entries.countDocuments({ action: 'auth.refused' })) - before).toBeLessThanOrEqual(20);
    const refused = await ask('/v1/accounts', { key: newKey(), from });
    expect(refused.headers.get('ratelimit-policy')).toBe('"attempts";q=50;w=60');
    // A key that is known without asking, and the first administrator's, which is never stored.
    expect((await ask('/v1/accounts', { key: good, from })).status).toBe(200);
    expect((await ask('/v1/accounts', { key: adminKey, from })).status).toBe(200);
    expect((await ask('/v1/accounts', { key: newKey() })).status).toBe(401);
  }, 60_000);

  test('a first administrator’s key that could be guessed is tried no more often than any other', async () => {
    const { feed, clock, store } = given;
    const ring = createKeyring({ model: registerKeys(store.connection), feed, adminKey: 'letmein', clock });
    const ask = await limited({ attempts: 5 }, ring);
    const from = anywhere();
    expect((await ask('/v1/accounts', { key: 'letmein', from })).status).toBe(200);
    for (let n = 0; n < 6; n += 1) await ask('/v1/accounts', { key: `guess-${n}`, from });
    expect((await ask('/v1/accounts', { key: 'letmein', from })).status).toBe(429);
    expect((await ask('/v1/accounts', { key: 'letmein' })).status).toBe(200);
  });

  test('what cannot be a key counts as well, and never reaches the database; showing nothing is no guess', async () => {
    const ask = await limited({ attempts: 5 });
    const from = anywhere();
    for (let n = 0; n < 20; n += 1) expect((await ask('/v1/accounts', { from })).status).toBe(401);
    for (let n = 0; n < 5; n += 1) expect((await ask('/v1/accounts', { from, key: 'ablauf_guess' })).status).toBe(401);
    expect((await ask('/v1/accounts', { from, key: 'ablauf_guess' })).status).toBe(429);
  });
});

test('limits are configured, with defaults that no honest gateway meets; 0 is none', () => {
  expect(readConfig(complete).access.limits).toEqual({ key: 50_000, address: 1000, attempts: 300 });
  expect(limitPolicies({ key: 0, address: 0, attempts: 0 })).toEqual([]);
  expect(flawsIn({ ...complete, ABLAUF_RATE_LIMIT_KEY: '-1' })[0]).toContain('ABLAUF_RATE_LIMIT_KEY');
  expect(flawsIn({ ...complete, ABLAUF_RATE_LIMIT_ATTEMPTS: 'many' })[0]).toContain('ABLAUF_RATE_LIMIT_ATTEMPTS');
});
