/**
 * A worker for rotations of data keys, in a process of its own that ends itself as `kill -9` would, at the place it is told:
 * `before ACTIVITY`, `after ACTIVITY`, or `in ACTIVITY`, which is between its transactions.
 */
import process from 'node:process';
import { NativeConnection } from '@temporalio/worker';
import type { Activities } from '../../src/activities';
import { dataRotationActivities } from '../../src/activities/data-rotation';
import { openStore } from '../../src/data';
import { registerExports } from '../../src/exports';
import { createAccountWorker, dataConverterOf } from '../../src/temporal';
import { openTestVault, region, required } from './system';

/** Transactions that pass before it dies in the middle of an activity. */
const passing = 3;

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('it goes on after it was killed');
}

async function main(): Promise<void> {
  const [when = '', where = ''] = (process.env['DIES'] ?? '').split(' ');
  const uri = required('DATABASE');
  const vault = await openTestVault(uri, Number(required('CACHE_FOR')));
  const opened = await openStore({ uri, region, vault });
  registerExports(opened.connection);
  let running = '';
  let passed = 0;
  const store: typeof opened = {
    ...opened,
    async transaction(work) {
      const result = await opened.transaction(work);
      passed += 1;
      if (when === 'in' && running === where && passed > passing) die();
      return result;
    },
  };
  const activities = Object.fromEntries(
    Object.entries(dataRotationActivities({ store })).map(([name, activity]) => [
      name,
      async (...given: unknown[]): Promise<unknown> => {
        running = name;
        if (when === 'before' && name === where) die();
        const result = await (activity as (...all: unknown[]) => Promise<unknown>)(...given);
        if (when === 'after' && name === where) die();
        return result;
      },
    ]),
  );
  const connection = await NativeConnection.connect({ address: required('ABLAUF_TEST_TEMPORAL') });
  const worker = await createAccountWorker({
    connection,
    dataConverter: dataConverterOf(vault),
    namespace: 'default',
    taskQueue: required('TASK_QUEUE'),
    activities: activities as unknown as Activities,
    bundle: { codePath: required('ABLAUF_TEST_BUNDLE') },
  });
  await worker.run();
  await store.close();
  await connection.close();
}

void main();
