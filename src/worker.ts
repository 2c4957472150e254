/** The worker process: runs workflows and activities until it is told to stop. */
import { Client } from '@temporalio/client';
import { NativeConnection, Runtime } from '@temporalio/worker';
import { createActivities } from './activities';
import { startPruning, startSequencer } from './audit';
import { assertDeclared, heldSubjects, prepareStore } from './data';
import { readConfig } from './config';
import { registerProviders } from './disclosures';
import { sayPlain } from './config-transit';
import { openArchives, registerExports } from './exports';
import { createLog, runMain } from './process';
import { openConfiguredLedger } from './open-ledger';
import { openConfiguredStore } from './open-store';
import { openConfiguredVault } from './open-vault';
import {
  createAccountWorker,
  dataConverterOf,
  keepAssertingNamespace,
  keepEnsuringSchedules,
  openCourseKeeper,
  securityOptions,
} from './temporal';
import { openWitnesses, startPublishing } from './witnesses';

runMain('worker', async () => {
  const config = readConfig(process.env);
  const log = createLog('worker', config.logLevel);
  Runtime.install({
    // The process stops the worker itself, after a signal; see below.
    shutdownSignals: [],
    logger: {
      log: (level, message, meta) => log[levels[level]](shown(meta), message),
      trace: (message, meta) => log.trace(shown(meta), message),
      debug: (message, meta) => log.debug(shown(meta), message),
      info: (message, meta) => log.info(shown(meta), message),
      warn: (message, meta) => log.warn(shown(meta), message),
      error: (message, meta) => log.error(shown(meta), message),
    },
    telemetryOptions: {
      metrics: { prometheus: { bindAddress: `${config.managementHost}:${config.workerManagementPort}` } },
    },
  });
  const vault = await openConfiguredVault(config);
  sayPlain(config, log);
  const store = await openConfiguredStore(config, vault, { appName: 'ablauf-worker' });
  registerExports(store.connection);
  registerProviders(store.connection);
  await prepareStore(store);
  await assertDeclared(store);
  const archives = openArchives(store, config.exports.s3);
  let whenRestored = (): void => undefined;
  const { ledger, watch } = await openConfiguredLedger(config, store, archives, log, () => whenRestored());
  // No workflow runs before: it would act on what a restore brought back (R23).
  await watch.open;
  const connection = await NativeConnection.connect({
    address: config.temporal.address,
    ...securityOptions(config.transit.temporal),
  });
  const dataConverter = dataConverterOf(vault);
  const { namespace, taskQueue } = config.temporal;
  const client = new Client({ connection, namespace, dataConverter });
  const stopping = new AbortController();
  await keepAssertingNamespace(client, config.region, stopping.signal);
  const worker = await createAccountWorker({
    connection,
    dataConverter,
    namespace: config.temporal.namespace,
    taskQueue: config.temporal.taskQueue,
    region: config.region,
    activities: createActivities({
      store,
      settings: config.settings,
      guard: config.guard,
      processors: config.processors,
      archives,
      ledger,
      courses: openCourseKeeper({
        client,
        region: config.region,
        taskQueue: config.temporal.taskQueue,
        settings: config.settings,
      }),
      exportLimits: config.exports.limits,
    }),
  });
  const running = worker.run();
  const restoredLater = new Promise<never>((_, reject) => {
    whenRestored = () => reject(new Error('the database was restored under this worker, which has to begin anew'));
  });
  const sequencer = startSequencer(store, { log });
  const pruning = startPruning(store, {
    retention: config.auditRetention,
    kept: (session) => heldSubjects(store, session),
    log,
  });
  const { witnesses: places, witnessSecret: secret, processors: rules } = config;
  const witnesses = openWitnesses(places, { rules, ...(secret === undefined ? {} : { secret }) });
  const publishing = startPublishing(store, { witnesses, log });
  const scheduled = keepEnsuringSchedules(
    { client, region: config.region, taskQueue },
    (error) => log.warn({ err: error }, 'the schedules could not be set up yet'),
    stopping.signal,
  );
  // Two regions that began in one namespace at the same moment both see it now.
  const ours = scheduled.then(() => keepAssertingNamespace(client, config.region, stopping.signal));
  log.info({ taskQueue: config.temporal.taskQueue, region: config.region }, 'the worker runs');
  return {
    log,
    finished: Promise.race([Promise.all([running, ours]), restoredLater]),
    async stop() {
      stopping.abort();
      worker.shutdown();
      await running;
      await ours.catch(() => undefined);
      await publishing.stop();
      await pruning.stop();
      await sequencer.stop();
      await watch.stop();
      await connection.close();
      await store.close();
    },
  };
});

const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/** What activities say beside a message; what the SDK adds to each line of its own accord is left out. */
const said = [
  'alert',
  'account',
  'reason',
  'detail',
  'due',
  'hoursLate',
  'reasons',
  'request',
  'processor',
  'provider',
  'requestedAt',
  'attempts',
  'lastError',
  'since',
  'recovered',
  'workflowType',
  'activityType',
];

function shown(meta: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return Object.fromEntries(said.flatMap((name) => (meta[name] === undefined ? [] : [[name, meta[name]]])));
}
