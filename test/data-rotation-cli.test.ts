/** R21: data keys are rotated from the command line, by a worker, and what comes of it is said. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type Connection } from '@temporalio/client';
import { mongo } from 'mongoose';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type AccountDocument, type Store } from '../src/data';
import { native } from '../src/database';
import { freePort, startService, startTemporal, type Child, type RunningTemporal } from '../src/embedded';
import { connectLazily, dataConverterOf } from '../src/temporal';
import { dataRotationWorkflowId, searchAttributeTypes, type DataRotationOutcome } from '../src/workflows';
import { ablauf, type Said } from './helpers/command';
import { addDueAccount, addRecords } from './helpers/due-accounts';
import { dropTestStore, masterKey, openTestStore, region, vaultUriBeside } from './helpers/system';
import { storedVersions } from './helpers/versions';

const cacheFor = 300;
let store: Store;
let folder: string;
let temporal: RunningTemporal;
let worker: Child;
let environment: NodeJS.ProcessEnv;
let one: AccountDocument;

beforeAll(async () => {
  store = await openTestStore(cacheFor);
  folder = await mkdtemp(join(tmpdir(), 'ablauf-data-rotation-'));
  const port = await freePort();
  temporal = await startTemporal({
    dataDir: join(folder, 'temporal'),
    port,
    namespace: 'default',
    searchAttributes: searchAttributeTypes,
  });
  const { host, port: databasePort, name } = store.connection;
  const uri = `mongodb://${host}:${databasePort}/${name}?directConnection=true`;
  environment = {
    ...process.env,
    LITELLM_MASTER_KEY: masterKey,
    ABLAUF_ADMIN_KEY: 'an-administrators-key',
    ABLAUF_REGION: region,
    ABLAUF_MONGODB_URI: uri,
    ABLAUF_VAULT_URI: vaultUriBeside(uri),
    ABLAUF_VAULT_SHARED: '1',
    ABLAUF_LEDGER: `file:${join(folder, 'ledger.ndjson')}`,
    ABLAUF_TEMPORAL_ADDRESS: `127.0.0.1:${port}`,
  };
  worker = await startService({
    name: 'worker',
    entry: join(__dirname, 'helpers', 'dying-worker.ts'),
    env: {
      ...environment,
      ABLAUF_TEST_TEMPORAL: `127.0.0.1:${port}`,
      DATABASE: uri,
      TASK_QUEUE: `ablauf-${region}`,
      CACHE_FOR: String(cacheFor),
      DIES: '',
    },
    log: join(folder, 'worker.log'),
    report: () => undefined,
  });
  one = await addDueAccount(store);
  await addRecords(store, one, 5);
  const other = await addDueAccount(store);
  await addRecords(store, other, 5);
}, 120_000);
afterAll(async () => {
  await connection?.close();
  await worker.stop();
  await temporal.stop();
  await dropTestStore(store);
  await rm(folder, { recursive: true, force: true });
});

let connection: Connection | undefined;

function client(): Client {
  connection ??= connectLazily(environment['ABLAUF_TEMPORAL_ADDRESS'] ?? '');
  return new Client({ connection, dataConverter: dataConverterOf(store.vault) });
}

function rotate(...options: string[]): Promise<Said> {
  return ablauf(environment, 'keys', 'rotate', ...options);
}

/** Which versions records of an account, and of all others, are under. */
async function versions(): Promise<{ own: string[]; others: string[] }> {
  const of = async (only: (document: Readonly<Record<string, unknown>>) => boolean) =>
    Object.keys((await storedVersions(store, only))['prompts.body'] ?? {});
  return {
    own: await of(({ account }) => account === one._id),
    others: await of(({ account }) => account !== one._id),
  };
}

test('R21: of one account, of all, and what is wrong with what is asked', async () => {
  expect(await rotate('--account', one._id)).toMatchObject({ code: 2, err: expect.stringContaining('--data') });
  expect(await rotate('--data', '--signing')).toMatchObject({ code: 2, err: expect.stringContaining('one at a time') });
  const nobody = await rotate('--data', '--account', 'nobody-at-all');
  expect(nobody).toMatchObject({
    code: 1,
    err: expect.stringContaining('there is no key of an account nobody-at-all'),
  });
  expect(await versions()).toEqual({ own: ['1'], others: ['1'] });

  const single = await rotate('--data', '--account', one._id, '--reencrypt');
  expect(single).toMatchObject({ code: 0, err: '' });
  expect(single.out).toContain('1 data keys have a new version, and use it.');
  expect(single.out).toMatch(/\d+ values were encrypted anew; 0 are under an older version still\./);
  expect(await versions()).toEqual({ own: ['2'], others: ['1'] });

  // Left to itself: a command remembers keys for as long as any process, and this worker waits for less.
  const all = await rotate('--data', '--reencrypt', '--detach', '--json');
  expect(all).toMatchObject({ code: 0, err: '' });
  const { workflow, joined } = JSON.parse(all.out) as { workflow: string; joined: boolean };
  expect([workflow, joined]).toEqual([dataRotationWorkflowId(region), false]);
  expect(await client().workflow.getHandle(workflow).result()).toMatchObject({
    complete: true,
    reencrypted: true,
    left: { values: 0, unreadable: 0 },
  });
  expect(await versions()).toEqual({ own: ['3'], others: ['2'] });

  // What does not open is named, and nothing else stops at it.
  const records = native(store.records.prompts);
  const [damaged] = await records.find({ account: one._id }).toArray();
  const bytes = Buffer.from(damaged?.body.value() ?? '');
  bytes[50] = (bytes[50] ?? 0) ^ 1;
  await records.updateOne({ _id: damaged?._id ?? '' }, { $set: { body: new mongo.Binary(bytes) } });
  const wrong = await rotate('--data', '--account', one._id, '--reencrypt', '--json');
  expect(wrong.code).toBe(1);
  expect(wrong.err).toContain(`prompts.body of ${damaged?._id ?? ''}`);
  const outcome = JSON.parse(wrong.out) as DataRotationOutcome;
  expect(outcome).toMatchObject({ complete: false, left: { values: 0, unreadable: 1 } });
  expect(await versions()).toEqual({ own: ['3', '4'], others: ['2'] });
}, 300_000);
