/** The API process: answers over HTTP until it is told to stop. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import {
  createKeyring,
  createSessions,
  followedCollections,
  noteKeyUses,
  registerAddressLists,
  registerApprovals,
  registerKeys,
  registerKeyUses,
  registerSessions,
  registerUsers,
} from './access';
import { createApp, keepRefusals, limitPolicies, registerIdempotency } from './api';
import { startSequencer } from './audit';
import { readConfig } from './config';
import { sayPlain } from './config-transit';
import { registerRateLimits, shareLimits } from './edge';
import { assertDeclared, prepareStore } from './data';
import { followChanges } from './database';
import { registerProviders } from './disclosures';
import { openArchives, registerExports } from './exports';
import { checkHealth, serveMetrics } from './operations';
import { openConfiguredLedger } from './open-ledger';
import { openConfiguredStore } from './open-store';
import { openConfiguredVault } from './open-vault';
import { createLog, runMain } from './process';
import { connectLazily, dataConverterOf, keepAssertingNamespace, openCourses, openJobs } from './temporal';
import { openProvider } from './sso';
import { createSecuredServer } from './transit';
import { openWitnesses } from './witnesses';

/** How long the database may be silent before a request is answered without it, in milliseconds. */
const databasePatience = 4000;
/** How long the first comparison with the ledger is waited for before the API listens, in milliseconds. */
const comparisonPatience = 3000;

/** How long Temporal may take at start to say whose its namespace is, in milliseconds. */
const temporalPatience = 2000;

runMain('api', async () => {
  const config = readConfig(process.env);
  const log = createLog('api', config.logLevel);
  const { region } = config;
  const { namespace, taskQueue } = config.temporal;
  const vault = await openConfiguredVault(config, databasePatience);
  sayPlain(config, log);
  const store = await openConfiguredStore(config, vault, { appName: 'ablauf-api', socketTimeout: databasePatience });
  const keys = registerKeys(store.connection);
  registerKeyUses(store.connection);
  registerApprovals(store.connection);
  const sessionModels = registerSessions(store.connection);
  registerUsers(store.connection);
  registerAddressLists(store.connection);
  registerIdempotency(store.connection);
  registerRateLimits(store.connection);
  registerExports(store.connection);
  registerProviders(store.connection);
  await prepareStore(store);
  // Over a connection of its own: looking through large collections may take longer than a request has patience.
  const patient = await openConfiguredStore(config, vault, { appName: 'ablauf-api-start' });
  await assertDeclared(patient);
  const archives = openArchives(store, config.exports.s3);
  const { watch } = await openConfiguredLedger(config, patient, openArchives(patient, config.exports.s3), log);
  const connection = connectLazily(config.temporal.address, config.transit.temporal);
  const client = new Client({ connection, namespace, dataConverter: dataConverterOf(vault) });
  const stopping = new AbortController();
  const ours = keepAssertingNamespace(client, region, stopping.signal);
  // Known by now, as a rule. Where Temporal is away the API starts without it, and ends should the namespace be another's.
  await Promise.race([ours, sleep(temporalPatience, undefined, { ref: false })]);
  const feed = followChanges(store.connection, { collections: followedCollections, log });
  const refusals = keepRefusals({ store, clock: () => new Date(), log });
  const uses = noteKeyUses({ store, log });
  const clock = () => new Date();
  const rates = shareLimits({ ...store, policies: limitPolicies(config.access.limits), log });
  const app = createApp({
    store,
    courses: openCourses({ connection, client, region, taskQueue }),
    jobs: openJobs({ client, taskQueue }),
    archives,
    keys: createKeyring({ model: keys, feed, adminKey: config.adminKey, clock: () => new Date(), uses }),
    feed,
    refusals,
    signIn: {
      providers: config.sso.providers.map((settings) => openProvider(settings, { clock })),
      sessions: createSessions({ models: sessionModels, vault, feed, limits: config.sso.limits, clock, log }),
      ...(config.processors.publicUrl === undefined ? {} : { publicUrl: config.processors.publicUrl }),
    },
    stepUpAge: config.sso.stepUpAge,
    ending: stopping.signal,
    secondPerson: config.secondPerson,
    trustedProxies: config.access.trustedProxies,
    limits: rates,
    settings: config.settings,
    guard: config.guard,
    region,
    tls: config.transit.server.kind,
    ...(config.security === undefined ? {} : { security: config.security }),
    accountPaths: config.accountPaths,
    clock: () => new Date(),
    processors: config.processors,
    witnesses: openWitnesses(config.witnesses, { rules: config.processors }).flatMap(({ record }) => record ?? []),
    webUiOrigins: config.temporal.uiOrigins,
    log,
    closed: () => watch.closed(),
    health: () => checkHealth({ store, connection, namespace, taskQueue }),
  });
  // What a client may take its time for, and how much it may say before its body; each call bounds its own, see `bodies.ts`.
  const limits = {
    requestTimeout: 60_000,
    headersTimeout: 10_000,
    keepAliveTimeout: 10_000,
    connectionsCheckingInterval: 2000,
    maxHeaderSize: 16_384,
  };
  const { server, renew, release } = createSecuredServer(config.transit.server, limits, app, {
    renewed: (until) => log.info({ until }, 'the certificate was renewed'),
    refused: (reason) => log.error({ reason }, 'the new certificate cannot be used; the one before stays'),
    ending: (until) => log.warn({ until }, 'the certificate ends'),
  });
  if (config.transit.server.kind === 'own') process.on('SIGHUP', renew);
  // As a rule there is nothing to do, and nobody need be turned away for a moment. Where there is, it is said why.
  await Promise.race([watch.open, pause(comparisonPatience, undefined, { ref: false })]);
  server.listen(config.port, config.host);
  await once(server, 'listening');
  const sequencer = startSequencer(store, { log });
  const management = await serveMetrics(config.managementHost, config.managementPort);
  const { kind: tls } = config.transit.server;
  log.info({ host: config.host, port: config.port, tls, region }, 'the API listens');
  return {
    log,
    finished: Promise.race([once(server, 'error').then(([error]) => Promise.reject(error as Error)), never(ours)]),
    async stop() {
      release();
      stopping.abort();
      // Requests under way are finished; connections without one are closed.
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      await closed;
      await refusals.stop();
      await rates.stop();
      management.close();
      await uses.stop();
      await sequencer.stop();
      await connection.close();
      await feed.stop();
      await watch.stop();
      await patient.connection.close();
      await store.close();
    },
  };
});

/** Fails where something does, and says nothing where it does not. */
async function never(checked: Promise<void>): Promise<never> {
  await checked;
  return new Promise(() => undefined);
}
