/** The data map against what is stored: nobody can add a collection or a field that escapes it. */
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { mongo, type Schema } from 'mongoose';
import { dataMapPage, currentDataMapPage } from '../scripts/data-map-docs';
import { registerAddressLists, registerKeys } from '../src/access';
import { registerIdempotency } from '../src/api';
import { registerRateLimits } from '../src/edge';
import {
  assertDeclared,
  compareWithMap,
  dataSets,
  otherCollections,
  prepareStore,
  undeclaredPaths,
  type Store,
} from '../src/data';
import { dropTestStore, masterKey, openTestStore, required, vaultUriBeside } from './helpers/system';

let store: Store;

beforeAll(async () => {
  store = await openTestStore();
  registerKeys(store.connection);
  registerAddressLists(store.connection);
  registerIdempotency(store.connection);
  registerRateLimits(store.connection);
  await prepareStore(store);
});

afterAll(async () => {
  await dropTestStore(store);
});

describe('the data map', () => {
  test('declares every collection once, with an account or a reason why there is none', () => {
    const declared = [...dataSets, ...otherCollections].map((set) => set.collection);
    expect(new Set(declared).size).toBe(declared.length);
    expect(new Set(dataSets.map((set) => set.name)).size).toBe(dataSets.length);
    for (const set of dataSets) if (set.erasure === 'keep') expect([set.name, set.reason]).not.toContain(undefined);
  });

  test('declares every collection of ours, and every path of its schema', () => {
    const undeclared = Object.values(store.connection.models).flatMap((model) => {
      const { collectionName } = model.collection;
      return undeclaredPaths(collectionName, pathsOf(model.schema)).map((path) => `${collectionName}.${path}`);
    });
    expect(undeclared).toEqual([]);
  });

  test('is what docs/data-map.md says (renew it with npm run docs:data-map)', () => {
    expect(currentDataMapPage()).toBe(dataMapPage());
  });
});

function pathsOf(schema: Schema, prefix = ''): string[] {
  return Object.entries(schema.paths).flatMap(([path, { schema: inner }]) =>
    inner === undefined ? [`${prefix}${path}`] : pathsOf(inner, `${prefix}${path}.`),
  );
}

describe('compareWithMap', () => {
  const collection = (name: string) => store.connection.collection<{ _id: string }>(name);

  beforeEach(async () => {
    for (const { name } of await store.connection.listCollections()) await collection(name).deleteMany({});
  });

  const record = (id: string) => ({ _id: `acme:${id}`, account: 'acme', callId: id, at: new Date(), body: encrypted });
  /** As far as anybody can tell without the key. */
  const encrypted = new mongo.Binary(Buffer.from([0xa1]));

  test('finds nothing where everything is declared', async () => {
    await collection('prompts').insertOne(record('a'));
    await collection('apiKeys').insertOne({ _id: 'staff', role: 'admin', hash: 'h', createdAt: new Date() } as never);
    await collection('certificates').insertOne({ _id: 'c', content: { any: [{ thing: 1 }] }, addenda: [] } as never);
    await collection('accounts').insertOne({
      _id: 'acme',
      lifecycle: { holds: [], causes: [{ note: 'sealed:1:oQ' }] },
    } as never);
    expect(await compareWithMap(store)).toEqual([]);
  });

  test('names a collection nobody declared, once it holds something', async () => {
    await store.connection.createCollection('conversations').catch(() => undefined);
    expect(await compareWithMap(store)).toEqual([]);
    await collection('conversations').insertOne({ _id: 'one' });
    expect(await compareWithMap(store)).toEqual([{ collection: 'conversations', documents: 1, what: 'collection' }]);
  });

  test('names a field nobody declared, in whatever depth, and looks through lists', async () => {
    await collection('prompts').insertOne({ ...record('a'), sentiment: 'bad' } as never);
    await collection('accounts').insertOne({
      _id: 'acme',
      phone: '1',
      lifecycle: { causes: [{ reason: 'other' }, { witness: 'M.' }], closure: { by: 'C.' } },
    } as never);
    const found = await compareWithMap(store);
    expect(found.map(({ collection: name, field }) => `${name}.${String(field)}`)).toEqual([
      'accounts.lifecycle.causes.witness',
      'accounts.lifecycle.closure.by',
      'accounts.phone',
      'prompts.sentiment',
    ]);
  });

  test('names a data set with documents that do not name their account', async () => {
    const { account: _, ...nameless } = record('a');
    await collection('prompts').insertOne(nameless);
    await collection('ingestReceipts').insertOne({ _id: 'deadbeef', at: new Date() } as never);
    expect(await compareWithMap(store)).toEqual([
      { collection: 'ingestReceipts', field: '_id', documents: 1, what: 'owner' },
      { collection: 'prompts', field: 'account', documents: 1, what: 'owner' },
    ]);
  });

  test('reads a large collection by its ends and at random, or whole where asked', async () => {
    const documents = Array.from({ length: 3000 }, (_, index) => record(String(index).padStart(5, '0')));
    await collection('logs').insertMany(documents);
    await collection('logs').updateOne({ _id: 'acme:01500' }, { $set: { hidden: 1 } });
    expect(await compareWithMap(store, { full: true })).toMatchObject([{ collection: 'logs', field: 'hidden' }]);
    await collection('logs').insertOne({ ...record('99999'), newest: 1 } as never);
    expect((await compareWithMap(store)).map(({ field }) => field)).toContain('newest');
  });

  test('names at most some fields of one collection', async () => {
    const names = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`name-${index}`, 1]));
    await collection('logs').insertOne({ ...record('a'), ...names });
    expect(await compareWithMap(store)).toHaveLength(20);
  });

  test('a process does not start on a database that holds undeclared data, and says what and what to do', async () => {
    await collection('conversations').insertOne({ _id: 'one' });
    await collection('prompts').insertOne({ ...record('a'), sentiment: 'bad' } as never);
    await expect(assertDeclared(store)).rejects.toMatchObject({
      name: 'UndeclaredDataError',
      places: ['conversations', 'prompts.sentiment'],
    });
    const uri = new URL(required('ABLAUF_TEST_MONGODB'));
    uri.pathname = `/${store.connection.name}`;
    for (const part of ['worker', 'server']) {
      const { status, stdout } = spawnSync(
        process.execPath,
        ['--import', 'tsx', join(__dirname, '..', 'src', `${part}.ts`)],
        {
          encoding: 'utf8',
          env: {
            ...process.env,
            ABLAUF_ADMIN_KEY: 'an-administrators-key',
            LITELLM_MASTER_KEY: masterKey,
            ABLAUF_VAULT_URI: vaultUriBeside(uri.href),
            ABLAUF_VAULT_SHARED: '1',
            ABLAUF_LEDGER: `file:${join(tmpdir(), 'ablauf-no-ledger.ndjson')}`,
            ABLAUF_MONGODB_URI: uri.href,
            ABLAUF_TEMPORAL_ADDRESS: required('ABLAUF_TEST_TEMPORAL'),
            ABLAUF_PORT: '0',
            ABLAUF_MANAGEMENT_PORT: '0',
            ABLAUF_WORKER_MANAGEMENT_PORT: '0',
          },
        },
      );
      expect([part, status]).toEqual([part, 1]);
      expect(stdout).toContain(
        'UndeclaredDataError: the database holds what src/data/map.ts does not declare: conversations, prompts.sentiment.',
      );
    }
  });
});
