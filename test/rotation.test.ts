/**
 * R21: the master key is replaced while everything goes on: in processes that are killed, under traffic, and with erasures
 * that destroy keys meanwhile.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { liteLlmCall } from '../scripts/support/traffic';
import {
  contextOf,
  localKeyProvider,
  openVault,
  type KeyDocument,
  type KeyProvider,
  type KeyStore,
} from '../src/vault';
import { ablauf, run } from './helpers/command';
import { eventually } from './helpers/eventually';
import { addKeys, keyDocument, mastersOf } from './helpers/keys';
import { startProcesses, type ProcessSystem } from './helpers/processes';
import { masterKey, region } from './helpers/system';

const nextKey = 'sk-test-the-next-master-key-of-some-length';
const [old, next, strange] = [masterKey, nextKey, 'sk-test-a-master-key-nobody-gave'].map((key) =>
  localKeyProvider(key, region),
) as [KeyProvider, KeyProvider, KeyProvider];

/** Keys of accounts there are none of: enough for the worker to be killed among them. */
const many = 20_000;

let system: ProcessSystem;
let keyStore: KeyStore;
let ids: string[];
let sample: KeyDocument[];
let kept: string;
let closed: string;
let customerKey: string;

beforeAll(async () => {
  system = await startProcesses();
  ({ keyStore } = await system.vault());
  ids = (await addKeys(keyStore, region, old, many)).sort();
  sample = await keyStore.keys.find({ _id: { $in: ids.filter((_id, index) => index % 400 === 0) } }).toArray();
  kept = await createAccount();
  closed = await createAccount();
  for (const account of [kept, closed]) await ingest(account);
  const { body } = await system.ask<{ key: string }>('POST', '/v1/api-keys', { role: 'customer', account: kept });
  customerKey = body.key;
}, 120_000);
afterAll(() => system.stop(), 60_000);

const ask = () => {
  const account = { name: 'Turning Ltd', email: 'turning@example.org', plan: 'standard' };
  return system.ask<{ id: string }>('POST', '/v1/accounts', account);
};

async function createAccount(): Promise<string> {
  const { status, body } = await ask();
  expect(status).toBe(201);
  return body.id;
}

async function ingest(account: string): Promise<void> {
  const { status, body } = await system.ask<{ accepted: number }>('POST', '/v1/ingest/litellm', [
    liteLlmCall({ account }),
  ]);
  expect([status, body.accepted]).toEqual([202, 1]);
}

/** Reads the kept account's profile and its newest prompt: both are encrypted under its key. */
async function readKept(): Promise<void> {
  const { body } = await system.ask<{ name: string }>('GET', `/v1/accounts/${kept}`);
  expect(body.name).toBe('Turning Ltd');
  const path = `/v1/accounts/${kept}/records?category=prompts&limit=1`;
  const prompts = await system.ask<{ items: unknown[] }>('GET', path, undefined, { key: customerKey });
  expect(JSON.stringify(prompts.body.items)).toContain('What is a grace period?');
}

async function isUnder(id: string | undefined, master: string): Promise<boolean> {
  const found = await keyStore.keys.findOne({ _id: id ?? '' });
  return found?.index?.master === master && (found.versions ?? []).every((version) => version.master === master);
}

async function entriesOf(action: string): Promise<{ details: unknown }[]> {
  const found = await system.database().collection('auditEntries').find({ action }).toArray();
  return found.map(({ details }) => ({ details: details as unknown }));
}

const withNext = () => ({ ...system.environment, LITELLM_MASTER_KEY_NEXT: nextKey });

describe('before', () => {
  test('R21: a master key that is too short or missing is named, and nothing is asked', async () => {
    const short = await ablauf({ ...withNext(), LITELLM_MASTER_KEY_NEXT: 'short' }, 'keys', 'rotate');
    expect(short.code).toBe(2);
    expect(short.err).toContain('LITELLM_MASTER_KEY_NEXT: must have at least 20 characters');
    const { LITELLM_MASTER_KEY: _gone, ...without } = system.environment;
    const missing = await ablauf(without, 'keys', 'status');
    expect([missing.code, missing.out]).toEqual([2, '']);
    expect(missing.err).toContain('LITELLM_MASTER_KEY: is missing');
  });

  test('R21: a wrong one opens nothing: every key is named by status, and no rotation begins', async () => {
    const wrong = { ...system.environment, LITELLM_MASTER_KEY: 'sk-test-the-wrong-master-key-altogether' };
    const status = await ablauf(wrong, 'keys', 'status', '--json');
    expect(status.code).toBe(1);
    expect(JSON.parse(status.out)).toMatchObject({ masters: { [old.id]: expect.any(Number) } });
    expect(status.err).toContain(`${ids[0] ?? ''}: it is wrapped under the master key ${old.id}`);
    const rotate = await ablauf(wrong, 'keys', 'rotate');
    expect(rotate.code).toBe(1);
    expect(rotate.err).toContain('nothing was begun');
  });

  test('R21: a single key under a master key nobody gave is named, and nothing is begun', async () => {
    const stray = await keyDocument(region, 'account/stray', strange);
    await keyStore.keys.insertOne(stray);
    const said = await ablauf(withNext(), 'keys', 'rotate', '--json');
    expect(said.code).toBe(1);
    expect(said.err).toContain(`account/stray: it is wrapped under the master key ${strange.id}`);
    expect(JSON.parse(said.out)).toMatchObject({ begun: false, left: 1, leftKeys: [{ key: 'account/stray' }] });
    expect(await keyStore.keys.findOne({ _id: stray._id })).toEqual(stray);
    expect(await entriesOf('keys.rotation-started')).toEqual([]);
    await keyStore.keys.deleteOne({ _id: stray._id });
  });
});

describe('while it goes on', () => {
  test('R21, R22: with traffic, an erasure, and the worker killed before, in the middle and at the end, it completes', async () => {
    // The worker has the new master key as the next one, and the API in use already: both open what the other wraps.
    await system.kill('worker');
    system.configure({ LITELLM_MASTER_KEY_NEXT: nextKey });
    const detached = await ablauf(system.environment, 'keys', 'rotate', '--detach');
    expect(detached).toMatchObject({ code: 0, err: '' });
    expect(detached.out).toContain(`keys will be wrapped under ${next.id} (next)`);
    await system.kill('api');
    system.configure({
      LITELLM_MASTER_KEY: nextKey,
      LITELLM_MASTER_KEY_NEXT: undefined,
      LITELLM_MASTER_KEY_PREVIOUS: masterKey,
    });
    await system.start('api');
    expect(await isUnder(ids.at(0), old.id)).toBe(true);
    system.configure({
      LITELLM_MASTER_KEY: masterKey,
      LITELLM_MASTER_KEY_NEXT: nextKey,
      LITELLM_MASTER_KEY_PREVIOUS: undefined,
    });
    await system.start('worker');
    const made: string[] = [];
    const over = new AbortController();
    const traffic = (async () => {
      while (!over.signal.aborted) {
        await ingest(kept);
        await readKept();
        if (made.length === 20) continue;
        const { status, body } = await ask();
        // Without a worker an account cannot begin, and nobody is told that it has.
        expect([201, 503, 504]).toContain(status);
        if (status === 201) made.push(body.id);
      }
    })();
    // Whoever fails in there is heard of at the end.
    traffic.catch(() => undefined);
    const told = ablauf(system.environment, 'keys', 'rotate');

    await eventually('it is in the middle', async () => ((await isUnder(ids[many / 4], next.id)) ? true : undefined));
    await system.kill('worker');
    expect(await isUnder(ids.at(-1), old.id)).toBe(true);
    const midway = await mastersOf(keyStore);
    expect(Object.keys(midway).sort()).toEqual([old.id, next.id].sort());
    await system.start('worker');
    const idempotencyKey = randomUUID();
    await eventually('an account is closed', async () => {
      const { status } = await system.ask('POST', `/v1/accounts/${closed}/close`, {}, { idempotencyKey });
      return status === 200 ? true : undefined;
    });

    await eventually('the last key is re-wrapped', async () =>
      (await isUnder(ids.at(-1), next.id)) ? true : undefined,
    );
    await system.kill('worker');
    expect(await entriesOf('keys.rotated')).toEqual([]);
    await system.start('worker');

    const said = await told;
    expect(said).toMatchObject({ code: 0, err: '' });
    expect(said.out).toContain('A rotation runs already; this joins it.');
    expect(said.out).toMatch(new RegExp(`Done: \\d+ keys are wrapped under ${next.id} and no other`));
    const subject = (await system.vault()).pseudonymOf(closed);
    const destroyed = await eventually('the key of the erased account is destroyed', async () => {
      const found = await keyStore.keys.findOne({ _id: `account/${subject}` });
      return found?.destroyedAt === undefined ? undefined : found;
    });
    over.abort();
    await traffic;
    expect(Object.keys(destroyed).sort()).toEqual(['_id', 'createdAt', 'destroyedAt', 'region', 'revision']);
    expect(made.length).toBeGreaterThan(1);
    expect(Object.keys(await mastersOf(keyStore))).toEqual([next.id]);
    expect(await entriesOf('keys.rotation-started')).toMatchObject([{ details: { to: next.id } }]);
    expect(await entriesOf('keys.rotated')).toMatchObject([{ details: { to: next.id, from: [old.id] } }]);
    for (const document of [masterKey, nextKey]) {
      expect(JSON.stringify(await system.database().collection('auditEntries').find().toArray())).not.toContain(
        document,
      );
    }
  }, 300_000);

  test('R21: every key is the key it was', async () => {
    for (const before of sample) {
      const after = await keyStore.keys.findOne({ _id: before._id });
      const opened = async ({ versions = [], index }: KeyDocument, master: KeyProvider) =>
        Promise.all(
          [...versions, { version: 'index' as const, ...index }].map(({ version, wrapped }) =>
            master.unwrap(Buffer.from(wrapped?.value() ?? ''), contextOf(region, before._id, version)),
          ),
        );
      expect(after).not.toBeNull();
      if (after !== null) expect(await opened(after, next)).toEqual(await opened(before, old));
    }
  });
});

describe('afterwards', () => {
  const otherPorts = { ABLAUF_PORT: '0', ABLAUF_MANAGEMENT_PORT: '0', ABLAUF_WORKER_MANAGEMENT_PORT: '0' };

  test('R21: processes with the new master key alone start and read everything, and one with the old one alone does not', async () => {
    for (const part of ['worker', 'api'] as const) await system.kill(part);
    system.configure({ LITELLM_MASTER_KEY: nextKey, LITELLM_MASTER_KEY_NEXT: undefined });
    await system.start('worker');
    await system.start('api');
    await ingest(kept);
    await readKept();
    const vault = await openVault({ keyStore, region, master: next });
    await expect(vault.cipherOf(kept)).resolves.toBeDefined();
    for (const entry of ['worker.ts', 'server.ts']) {
      const refused = await run({ ...system.environment, ...otherPorts, LITELLM_MASTER_KEY: masterKey }, entry);
      expect(refused.code).toBe(1);
      expect(refused.out).toContain(
        `MasterKeyError: the key ${region}/system/pseudonyms/1 is wrapped under the master key`,
      );
      expect(refused.out).toContain(`${next.id}; this process has ${old.id}`);
    }
    const status = await ablauf(system.environment, 'keys', 'status');
    expect(status).toMatchObject({ code: 0, err: '' });
    expect(status.out).toMatch(new RegExp(`${next.id} {2}\\d+ {2}in use`));
    const again = await ablauf(system.environment, 'keys', 'rotate');
    expect(again.out).toContain(`There is nothing to do: every key is wrapped under ${next.id}.`);
  }, 120_000);

  test('R20: the signing key is replaced without a restart, and what was signed before is checked as before', async () => {
    const published = async () =>
      (await system.ask<{ keys: { kid: string }[] }>('GET', '/v1/keys/public')).body.keys.map(({ kid }) => kid);
    const [before] = await published();
    const said = await ablauf(system.environment, 'keys', 'rotate', '--signing', '--json');
    expect(said).toMatchObject({ code: 0, err: '' });
    const { before: replaced, now } = JSON.parse(said.out) as { before: string; now: string };
    expect(replaced).toBe(before);
    expect(await published()).toEqual([now, before]);
    await ingest(kept);
    const { body } = await system.ask<{ ok: boolean }>('POST', '/v1/audit/verify', {});
    expect(body).toMatchObject({ ok: true });
    expect(await entriesOf('keys.signing-rotated')).toEqual([{ details: { from: before, to: now } }]);
  }, 60_000);
});
