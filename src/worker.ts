/** The worker process: runs workflows and activities until it is told to stop. */
import { Client } from '@temporalio/client';
import { NativeConnection, Runtime } from '@temporalio/worker';
import { createActivities } from './activities';
import { assertDeclared, openStore, prepareStore } from './data';
import { readConfig } from './config';
import { createLog, runMain } from './process';
import { createAccountWorker, keepEnsuringSchedules } from './temporal';

runMain('worker', async () => {
  const config = readConfig(process.env);
  const log = createLog('worker', config.logLevel);
  Runtime.install({
    // The process stops the worker itself, after a signal; see below.
    shutdownSignals: [],
    logger: {
      log: (level, message) => log[levels[level]](message),
      trace: (message) => log.trace(message),
      debug: (message) => log.debug(message),
      info: (message) => log.info(message),
      warn: (message) => log.warn(message),
      error: (message) => log.error(message),
    },
    telemetryOptions: {
      metrics: { prometheus: { bindAddress: `${config.host}:${config.workerManagementPort}` } },
    },
  });
  const store = await openStore({ uri: config.mongodbUri, region: config.region, appName: 'ablauf-worker' });
  await prepareStore(store);
  await assertDeclared(store);
  const connection = await NativeConnection.connect({ address: config.temporal.address });
  const worker = await createAccountWorker({
    connection,
    namespace: config.temporal.namespace,
    taskQueue: config.temporal.taskQueue,
    activities: createActivities({ store, settings: config.settings, now: () => Promise.resolve(new Date()) }),
  });
  const running = worker.run();
  const { namespace, taskQueue } = config.temporal;
  const stopping = new AbortController();
  const scheduled = keepEnsuringSchedules(
    { client: new Client({ connection, namespace }), region: config.region, taskQueue },
    (error) => log.warn({ err: error }, 'the schedules could not be set up yet'),
    stopping.signal,
  );
  log.info({ taskQueue: config.temporal.taskQueue, region: config.region }, 'the worker runs');
  return {
    log,
    finished: running,
    async stop() {
      stopping.abort();
      worker.shutdown();
      await running;
      await scheduled;
      await connection.close();
      await store.connection.close();
    },
  };
});

const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
