/** A worker as production runs it, that tells how much memory it takes when asked. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { createActivities } from '../../src/activities';
import { openGridFsArchives } from '../../src/exports';
import { openAgainst, openLedgerAt } from '../../src/ledger';
import { createAccountWorker, dataConverterOf, openCourseKeeper } from '../../src/temporal';
import { guard, openBenchStore, settings } from '../stores';

async function main(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
  const store = await openBenchStore(process.env['BENCH_MONGODB'] ?? '');
  const ledger = openLedgerAt({ path: join(tmpdir(), `ablauf-bench-${process.pid}`, 'ledger.ndjson') }, store.vault);
  await openAgainst({ store, ledger });
  const connection = await NativeConnection.connect({ address: process.env['BENCH_TEMPORAL'] ?? '' });
  const worker = await createAccountWorker({
    connection,
    dataConverter: dataConverterOf(store.vault),
    namespace: 'default',
    taskQueue: process.env['BENCH_TASK_QUEUE'] ?? '',
    activities: createActivities({
      store,
      settings,
      guard,
      archives: openGridFsArchives(store),
      ledger,
      courses: openCourseKeeper({
        client: new Client({ connection, dataConverter: dataConverterOf(store.vault) }),
        region: store.region,
        taskQueue: process.env['BENCH_TASK_QUEUE'] ?? '',
        settings,
      }),
    }),
    bundle: { codePath: process.env['BENCH_BUNDLE'] ?? '' },
  });
  const running = worker.run();
  process.on('message', () => {
    void settledMemory().then((bytes) => process.send?.(bytes));
  });
  process.once('SIGTERM', () => {
    worker.shutdown();
    void running.finally(() => process.exit(0));
  });
  process.send?.('ready');
  await running;
}

/** Memory once everything that can go has gone: needs `--expose-gc`. */
async function settledMemory(): Promise<number> {
  for (let round = 0; round < 5; round += 1) {
    globalThis.gc?.();
    await pause(200);
  }
  return process.memoryUsage.rss();
}

process.on('disconnect', () => process.exit(0));
void main();
