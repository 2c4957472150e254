/** The whole system in processes of its own, each of which can be killed and started again. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mongoose, { type mongo } from 'mongoose';
import {
  freePort,
  startMongodb,
  startService,
  startTemporal,
  type Child,
  type RunningMongodb,
  type RunningTemporal,
} from '../../src/embedded';
import { searchAttributeTypes } from '../../src/workflows';
import { call, type Answer } from '../../scripts/support/http';
import type { Vault } from '../../src/vault';
import { masterKey, openTestVault, vaultUriBeside } from './system';

export type Part = 'mongodb' | 'temporal' | 'worker' | 'api';

export interface ProcessSystem {
  readonly url: string;
  readonly adminKey: string;
  /** Calls the API as the administrator, or with another key. */
  ask<T>(method: string, path: string, body?: unknown, options?: AskOptions): Promise<Answer<T>>;
  /** Ends a part at once, as a power cut would. */
  kill(part: Part): Promise<void>;
  /** Gives the worker and the API something else in their environment, from their next start on. */
  configure(environment: Readonly<Record<string, string | undefined>>): void;
  /** Starts a part again, on the same ports and data. */
  start(part: Part): Promise<void>;
  /** Where both servers keep their files, and all processes their logs. */
  readonly folder: string;
  /** What the worker and the API are started with. */
  readonly environment: Readonly<NodeJS.ProcessEnv>;
  /** Where Temporal listens. */
  readonly temporalAddress: string;
  /** The database, past the product. */
  database(): mongo.Db;
  /** The keys, past the product. */
  vault(): Promise<Vault>;
  stop(): Promise<void>;
}

export interface AskOptions {
  readonly key?: string;
  readonly idempotencyKey?: string;
}

/** Starts all four parts, with the given configuration on top of periods of seconds. */
export async function startProcesses(environment: Readonly<Record<string, string>> = {}): Promise<ProcessSystem> {
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-faults-'));
  const ports = {
    mongodb: await freePort(),
    temporal: await freePort(),
    api: await freePort(),
    metrics: await freePort(),
    workerMetrics: await freePort(),
  };
  const adminKey = `admin-${randomBytes(12).toString('hex')}`;
  const uri = `mongodb://127.0.0.1:${ports.mongodb}/ablauf?directConnection=true`;
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ABLAUF_PORT: String(ports.api),
    ABLAUF_MANAGEMENT_PORT: String(ports.metrics),
    ABLAUF_WORKER_MANAGEMENT_PORT: String(ports.workerMetrics),
    ABLAUF_ADMIN_KEY: adminKey,
    LITELLM_MASTER_KEY: masterKey,
    ABLAUF_MONGODB_URI: uri,
    ABLAUF_VAULT_URI: vaultUriBeside(uri),
    ABLAUF_VAULT_SHARED: '1',
    ABLAUF_LEDGER: `file:${join(folder, 'ledger.ndjson')}`,
    ABLAUF_TEMPORAL_ADDRESS: `127.0.0.1:${ports.temporal}`,
    ABLAUF_GRACE_PERIOD: 'PT2S',
    ABLAUF_EXPIRY_PERIOD: 'PT2S',
    ABLAUF_MIN_PERIOD: 'PT1S',
    ABLAUF_MIN_NOTICE: 'PT0S',
    ABLAUF_LOG_LEVEL: 'warn',
    ...environment,
  };
  const running = new Map<Part, RunningMongodb | RunningTemporal | Child>();
  const source = (file: string) => join(__dirname, '..', '..', 'src', file);
  const starters: Record<Part, () => Promise<RunningMongodb | RunningTemporal | Child>> = {
    mongodb: () => startMongodb({ dataDir: join(folder, 'mongodb'), port: ports.mongodb }),
    temporal: () =>
      startTemporal({
        dataDir: join(folder, 'temporal'),
        port: ports.temporal,
        namespace: 'default',
        searchAttributes: searchAttributeTypes,
      }),
    worker: () =>
      startService({
        name: 'worker',
        entry: source('worker.ts'),
        env,
        log: join(folder, 'worker.log'),
        report: () => undefined,
      }),
    api: () =>
      startService({
        name: 'api',
        entry: source('server.ts'),
        env,
        log: join(folder, 'api.log'),
        report: () => undefined,
      }),
  };
  const url = `http://127.0.0.1:${ports.api}`;
  const connection = mongoose.createConnection(uri, { serverSelectionTimeoutMS: 60_000 });
  connection.on('error', () => undefined);
  let vault: Promise<Vault> | undefined;

  /** What the API said at last. */
  function lastWords(): string {
    const api = running.get('api');
    return api !== undefined && 'lastLines' in api ? api.lastLines().join('\n') : 'it does not run';
  }

  async function answers(path: string, until: (status: number) => boolean): Promise<void> {
    for (const end = Date.now() + 60_000; ;) {
      const status = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(5000) }).then(
        (response) => response.status,
        () => 0,
      );
      if (until(status)) return;
      if (Date.now() > end) throw new Error(`${path} did not answer as awaited, but ${status}:\n${lastWords()}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  const system: ProcessSystem = {
    url,
    adminKey,
    ask: (method, path, body, { key = adminKey, idempotencyKey } = {}) =>
      call(url, key, method, path, body, idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
    async kill(part) {
      const target = running.get(part);
      if (target === undefined) throw new Error(`${part} does not run`);
      running.delete(part);
      process.kill(target.pid, 'SIGKILL');
      await target.exited;
    },
    configure(given) {
      for (const [name, value] of Object.entries(given)) {
        if (value === undefined) Reflect.deleteProperty(env, name);
        else env[name] = value;
      }
    },
    async start(part) {
      running.set(part, await starters[part]());
      if (part === 'api') await answers('/healthz', (status) => status === 200);
    },
    folder,
    environment: env,
    temporalAddress: `127.0.0.1:${ports.temporal}`,
    database: () => connection.getClient().db('ablauf'),
    vault: () => (vault ??= openTestVault(uri)),
    async stop() {
      await connection.close();
      await (await vault)?.close();
      for (const part of ['api', 'worker', 'temporal', 'mongodb'] as const) await running.get(part)?.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await Promise.all([system.start('mongodb'), system.start('temporal')]);
    await Promise.all([system.start('worker'), system.start('api')]);
    await answers('/readyz', (status) => status === 200);
    await connection.asPromise();
    return system;
  } catch (error) {
    await system.stop();
    throw error;
  }
}
