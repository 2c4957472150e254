/** R19: each refusal is on record with its reason, and whoever makes thousands of them fills neither the log nor the memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { keepRefusals, type Refusals } from '../src/api';
import type { AuditEntry } from '../src/audit';
import { openStore, prepareStore, type Store } from '../src/data';
import { freePort, startMongodb } from '../src/embedded';
import type { Actor } from '../src/lifecycle';
import { startApi, type Api } from './helpers/api';
import { eventually } from './helpers/eventually';
import { openTestStore, openTestVault, dropTestStore, region } from './helpers/system';

const silent = pino({ level: 'silent' });
const auditor: Actor = { type: 'key', id: 'key_of_an_auditor', role: 'auditor', address: '10.0.0.1' };
const tried = { method: 'POST', route: '/v1/accounts/:id/close', requestId: 'a-request' };
type Details = Readonly<Record<string, unknown>>;

async function refusalsIn({ audit }: Store): Promise<AuditEntry[]> {
  const stored = await audit.entries.find({ action: 'auth.refused' }).sort({ at: 1 }).lean();
  return audit.reveal(stored);
}

/** How many refusals entries tell of. */
function countOf(entries: readonly AuditEntry[]): number {
  return entries.reduce((sum, { details: { count } }) => sum + Number(count ?? 1), 0);
}

/** Refusals that count until they are told that a window has ended, which is when they stop. */
async function withRefusals(store: Store, work: (refusals: Refusals) => void | Promise<void>): Promise<AuditEntry[]> {
  const before = new Set((await refusalsIn(store)).map(({ id }) => id));
  const refusals = keepRefusals({ store, clock: () => new Date(), log: silent });
  await work(refusals);
  await refusals.stop();
  return (await refusalsIn(store)).filter(({ id }) => !before.has(id));
}

describe('floods', () => {
  let store: Store;

  beforeAll(async () => {
    store = await openTestStore();
    await prepareStore(store);
  });

  afterAll(async () => {
    await dropTestStore(store);
  });

  test('R19: the first few of a kind are entered at once, the others as one that says how many', async () => {
    const entries = await withRefusals(store, async (refusals) => {
      for (let n = 0; n < 1000; n += 1)
        void refusals.enter({ reason: 'unknown-key', address: '198.51.100.7', ...tried });
      await eventually('five entries', async () => ((await refusalsIn(store)).length === 5 ? true : undefined));
    });
    expect(entries).toHaveLength(6);
    for (const { actor } of entries) expect(actor).toEqual({ type: 'system', id: 'public', address: '198.51.100.7' });
    expect(entries[0]).toMatchObject({
      details: { reason: 'unknown-key', method: 'POST', path: '/v1/accounts/:id/close' },
      requestId: 'a-request',
    });
    const { details } = entries.find(({ details: { count } }) => count !== undefined) as AuditEntry;
    expect(details).toMatchObject({ reason: 'unknown-key', count: 995 });
    expect(Date.parse(String(details['from']))).toBeLessThanOrEqual(Date.parse(String(details['to'])));
  });

  test('R19: one from thousands of addresses leaves a bounded number of entries, which count every refusal', async () => {
    const requests = 20_000;
    const entries = await withRefusals(store, (refusals) => {
      for (let n = 0; n < requests; n += 1) {
        const address =
          n % 2 === 0 ? `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}` : `2001:db8:${n.toString(16)}::1`;
        void refusals.enter({ reason: n % 4 === 0 ? 'rate-limit' : 'unknown-key', address, ...tried });
      }
    });
    expect(entries.length).toBeLessThanOrEqual(61);
    expect(countOf(entries)).toBe(requests);
    const rest = entries.find(({ details }) => 'kinds' in details)?.details as Details;
    expect(Object.keys(rest['reasons'] as Details).sort()).toEqual(['rate-limit', 'unknown-key']);
    for (const name of ['kinds', 'addresses']) {
      expect(Number(rest[name])).toBeGreaterThan(requests * 0.85);
      expect(Number(rest[name])).toBeLessThan(requests * 1.15);
    }
  });

  test('R19: one network of IPv6 is one origin, however many addresses it has', async () => {
    const entries = await withRefusals(store, (refusals) => {
      for (let n = 0; n < 1000; n += 1) {
        void refusals.enter({ reason: 'unknown-key', address: `2001:db8::${n.toString(16)}`, ...tried });
      }
    });
    expect(entries).toHaveLength(6);
  });

  test('R19: one of strangers does not hide what somebody known was refused', async () => {
    const entries = await withRefusals(store, async (refusals) => {
      for (let n = 0; n < 5000; n += 1) {
        void refusals.enter({ reason: 'unknown-key', address: `10.9.${n >> 8}.${n & 255}`, ...tried });
      }
      await refusals.enter({ reason: 'role', actor: auditor, account: 'acct-1', ...tried });
    });
    expect(entries.filter(({ actor }) => actor.id === auditor.id)).toMatchObject([
      { actor: auditor, details: { reason: 'role' }, requestId: 'a-request' },
    ]);
  });

  test('R19: the sum of what one key tried at many accounts is in no account’s timeline but its own', async () => {
    const customer: Actor = { type: 'key', id: 'key_of_a_customer', role: 'customer' };
    const entries = await withRefusals(store, async (refusals) => {
      for (let n = 0; n < 10; n += 1) {
        await refusals.enter({ reason: 'role', actor: auditor, account: `acct-${n}`, ...tried });
        await refusals.enter({ reason: 'standing', actor: customer, account: 'acct-own', ...tried });
      }
    });
    const sums = entries.filter(({ details: { count } }) => count === 7);
    expect(sums.map(({ actor, account }) => [actor.role, account])).toEqual(
      expect.arrayContaining([
        ['auditor', undefined],
        ['customer', `~${store.vault.pseudonymOf('acct-own')}`],
      ]),
    );
  });

  test('R19: window after window, a flood that goes on leaves one entry each', async () => {
    const refusals = keepRefusals({ store, clock: () => new Date(), log: silent, window: 200 });
    const before = (await refusalsIn(store)).length;
    let sent = 0;
    const flood = setInterval(() => {
      for (let n = 0; n < 50; n += 1, sent += 1) {
        void refusals.enter({ reason: 'unknown-key', address: '203.0.113.9', ...tried });
      }
    }, 10);
    // The few at once, and three windows.
    await eventually('three windows', async () => ((await refusalsIn(store)).length - before >= 8 ? true : undefined));
    clearInterval(flood);
    await refusals.stop();
    const entries = (await refusalsIn(store)).slice(before);
    expect(entries.filter(({ details: { count } }) => count === undefined).length).toBeLessThanOrEqual(6);
    expect(countOf(entries)).toBe(sent);
  });
});

describe('while the database is away', () => {
  test('R19: refusals are kept, and entered once it is back; nobody waits for that', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ablauf-test-'));
    const port = await freePort();
    const first = await startMongodb({ dataDir: folder, port });
    const vault = await openTestVault(first.uri);
    const store = await openStore({ uri: first.uri, region, vault });
    await prepareStore(store);
    const refusals = keepRefusals({ store, clock: () => new Date(), log: silent, most: 20 });
    const address = '198.51.100.7';
    try {
      await refusals.enter({ reason: 'role', actor: auditor, ...tried });
      expect(await refusalsIn(store)).toHaveLength(1);
      process.kill(first.pid, 'SIGKILL');
      await first.exited;
      for (let n = 0; n < 5; n += 1) await refusals.enter({ reason: 'role', actor: auditor, ...tried });
      for (let n = 0; n < 3000; n += 1) {
        await refusals.enter({
          reason: 'unknown-key',
          address: n % 2 === 0 ? address : `10.0.${n >> 8}.${n & 255}`,
          ...tried,
        });
      }
      const second = await startMongodb({ dataDir: folder, port });
      try {
        await eventually('what waited', async () => ((await refusalsIn(store)).length >= 21 ? true : undefined));
        await refusals.stop();
        const entries = await refusalsIn(store);
        expect(countOf(entries)).toBe(3006);
        expect(new Set(entries.map(({ id }) => id)).size).toBe(entries.length);
        expect(entries.length).toBeLessThan(100);
      } finally {
        await Promise.all([store, vault.keyStore].map(({ connection }) => connection.close(true)));
        await second.stop();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('the API', () => {
  let api: Api;

  beforeAll(async () => {
    api = await startApi({ dependencies: (given) => ({ ...given, trustedProxies: ['127.0.0.1'] }) });
  });

  afterAll(async () => {
    await api.stop();
  });

  /** What was entered under a request id, which strangers do not wait for. */
  async function entered(requestId: string): Promise<AuditEntry> {
    const { audit } = api.system.store;
    return eventually(`an entry of ${requestId}`, async () => {
      const [entry] = await audit.reveal(await audit.entries.find({ requestId }).lean());
      return entry;
    });
  }

  test('R19: says of an unknown key where it came from and what it was shown for, and nothing of the key', async () => {
    const key = 'ablauf_a-secret-that-was-mistyped';
    const headers = { 'x-request-id': 'unknown', 'x-forwarded-for': '203.0.113.5' };
    expect(await api.ask('GET', '/v1/accounts/acct-1', { key, headers })).toMatchObject({ status: 401 });
    const entry = await entered('unknown');
    expect(entry).toMatchObject({
      actor: { type: 'system', id: 'public', address: '203.0.113.5' },
      details: { reason: 'unknown-key', method: 'GET', path: '/v1/accounts/:id' },
    });
    expect(JSON.stringify(entry)).not.toContain('secret');
  });

  test('R19: has a role’s refusal on record before it answers, reads and writes alike', async () => {
    const key = await api.keyFor('operator');
    for (const [method, path] of [
      ['GET', '/v1/audit'],
      ['POST', '/v1/api-keys'],
    ] as const) {
      const headers = { 'x-request-id': `role-${method}` };
      expect(await api.ask(method, path, { key, headers })).toMatchObject({ status: 403 });
      const stored = await api.system.store.audit.entries.find({ requestId: `role-${method}` }).lean();
      expect(stored).toMatchObject([{ action: 'auth.refused', details: { reason: 'role', method, path } }]);
    }
  });

  test('R15, R19: what a customer tries concerns its own account, and no other knows of it', async () => {
    const [own, other] = [await api.system.createAccount(), await api.system.createAccount()];
    const key = await api.keyFor('customer', own);
    const ask = (method: string, path: string, requestId: string) =>
      api.ask(method, path, { key, headers: { 'x-request-id': requestId } });
    expect(await ask('GET', `/v1/accounts/${other}`, 'other-read')).toMatchObject({ status: 404 });
    expect(await ask('POST', `/v1/accounts/${other}/suspend`, 'other-write')).toMatchObject({ status: 403 });
    expect(await ask('POST', '/v1/accounts', 'none')).toMatchObject({ status: 403 });
    await api.system.send(own, 'suspend', { reason: 'non_payment' });
    expect(await ask('GET', `/v1/accounts/${own}/records`, 'locked')).toMatchObject({ status: 403 });
    for (const [requestId, reason] of [
      ['other-read', 'other-account'],
      ['other-write', 'role'],
      ['none', 'role'],
      ['locked', 'standing'],
    ] as const) {
      const { account, actor, details } = await entered(requestId);
      expect([account, actor.role, details['reason']]).toEqual([own, 'customer', reason]);
      expect(actor.id).toMatch(/^key_/);
    }
    expect(await api.system.actions(other)).toEqual(['account.created']);
  });

  test('R19: a request that shows nothing leaves no entry, nor does one that finds nothing', async () => {
    const { entries } = api.system.store.audit;
    const before = await entries.countDocuments({ action: 'auth.refused' });
    expect(await api.ask('GET', '/v1/accounts', { key: null })).toMatchObject({ status: 401 });
    expect(await api.ask('GET', '/v1/accounts/nobody')).toMatchObject({ status: 404 });
    expect(await api.ask('GET', '/no/such/path')).toMatchObject({ status: 404 });
    expect(await entries.countDocuments({ action: 'auth.refused' })).toBe(before);
  });

  test('R19: answers thousands of wrong keys from forged addresses, and the log stays small', async () => {
    const { entries } = api.system.store.audit;
    const before = await entries.countDocuments({ action: 'auth.refused' });
    const statuses = new Set<number>();
    for (let batch = 0; batch < 40; batch += 1) {
      const answers = Array.from({ length: 50 }, (_, n) =>
        api.ask('GET', `/v1/accounts/secret-${batch}-${n}`, {
          key: `wrong-${batch}-${n}`,
          headers: { 'x-forwarded-for': `10.1.${batch}.${n}, 198.18.${batch}.${n}` },
        }),
      );
      for (const { status } of await Promise.all(answers)) statuses.add(status);
    }
    expect(statuses).toEqual(new Set([401]));
    await api.system.store.connection.db?.command({ ping: 1 });
    const after = await entries.countDocuments({ action: 'auth.refused' });
    // 40 at once in each minute, and the flood may have seen two of them end.
    expect(after - before).toBeLessThanOrEqual(3 * 61);
    const stored = JSON.stringify(await entries.find({ action: 'auth.refused' }).lean());
    expect(stored).not.toMatch(/wrong-|secret-/);
    expect(await api.ask('POST', '/v1/audit/verify')).toMatchObject({ status: 200, body: { ok: true } });
  });
});
