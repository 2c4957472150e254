/** R21: a rotation of data keys whose worker is killed in each of its steps comes to the same end, with nothing lost. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findAccount, openProfile, readRecords, type Store } from '../src/data';
import { native } from '../src/database';
import { startService, type Child } from '../src/embedded';
import { connectLazily, dataConverterOf, startDataRotation } from '../src/temporal';
import { addDueAccount, addRecords } from './helpers/due-accounts';
import { dropTestStore, openTestStore, region, required } from './helpers/system';
import { storedVersions } from './helpers/versions';

const cacheFor = 300;
let store: Store;
let folder: string;

beforeAll(async () => {
  store = await openTestStore(cacheFor);
  folder = await mkdtemp(join(tmpdir(), 'ablauf-reencrypt-'));
});
afterAll(async () => {
  await dropTestStore(store);
  await rm(folder, { recursive: true, force: true });
});

/** What is read of an account. */
async function readingOf(id: string): Promise<unknown> {
  const account = await findAccount(store, id);
  if (account === null) throw new Error(`there is no account ${id}`);
  const { records } = await readRecords(store, id, { limit: 1000 });
  return [await openProfile(store, account), records];
}

test('R21: killed in each step, it goes on where it was, and ends once', async () => {
  const accounts: string[] = [];
  for (let made = 0; made < 8; made += 1) {
    const account = await addDueAccount(store);
    await addRecords(store, account, 10);
    accounts.push(account._id);
  }
  await store.vault.systemCipher('payloads');
  const before = await Promise.all(accounts.map(readingOf));
  const temporal = required('ABLAUF_TEST_TEMPORAL');
  const connection = connectLazily(temporal);
  const taskQueue = `test-${randomUUID()}`;
  const { host, port, name } = store.connection;
  let starts = 0;
  const startWorker = (dies: string): Promise<Child> =>
    startService({
      name: 'worker',
      entry: join(__dirname, 'helpers', 'dying-worker.ts'),
      env: {
        ...process.env,
        DATABASE: `mongodb://${host}:${port}/${name}?directConnection=true`,
        TASK_QUEUE: taskQueue,
        CACHE_FOR: String(cacheFor),
        DIES: dies,
      },
      log: join(folder, `worker-${(starts += 1)}.log`),
      report: () => undefined,
    });
  try {
    const client = new Client({ connection, dataConverter: dataConverterOf(store.vault) });
    const rotation = await startDataRotation({ client, taskQueue }, { region, reencrypts: true });
    // Started again, it is joined.
    const again = await startDataRotation({ client, taskQueue }, { region, reencrypts: true });
    expect([rotation.joined, again.joined, again.workflowId]).toEqual([false, true, rotation.workflowId]);
    for (const dies of [
      'after beginDataRotation',
      'after addKeyVersions',
      'after useKeyVersions',
      'in reencryptData',
      'before concludeDataRotation',
      'after concludeDataRotation',
    ]) {
      const worker = await startWorker(dies);
      await worker.exited;
    }
    const last = await startWorker('');
    const outcome = await rotation.outcome();
    await last.stop();

    // The accounts' keys, and the deployment's own that are there.
    expect(outcome).toMatchObject({ complete: true, left: { values: 0, unreadable: 0, accounts: 8 } });
    const keys = await store.vault.keyStore.keys.find({ _id: /^(account|system.payloads)/ }).toArray();
    expect(keys).toHaveLength(9);
    for (const { versions, current } of keys) {
      expect(current).toBe(2);
      expect(versions?.map(({ version }) => version)).toEqual([1, 2]);
    }
    for (const [field, versions] of Object.entries(await storedVersions(store))) {
      expect([field, Object.keys(versions)]).toEqual([field, ['2']]);
    }
    expect(await Promise.all(accounts.map(readingOf))).toEqual(before);
    const entries = await native(store.audit.entries).find({ 'details.rotation': outcome.rotation }).toArray();
    expect(entries.map(({ action }) => action).sort()).toEqual(['keys.data-rotated', 'keys.data-rotation-started']);
  } finally {
    await connection.close();
  }
}, 300_000);
