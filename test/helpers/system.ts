/** The real system, for tests: real database, real Temporal, real worker. */
import { randomBytes, randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { Client, type Connection } from '@temporalio/client';
import { temporal as proto } from '@temporalio/proto';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, makeTelemetryFilterString, NativeConnection, Runtime, type Worker } from '@temporalio/worker';
import { createActivities, type Activities } from '../../src/activities';
import { startSequencer } from '../../src/audit';
import {
  assertDeclared,
  findAccount,
  openStore,
  prepareStore,
  storeDraft,
  type AccountDocument,
  type GuardSettings,
  type Store,
} from '../../src/data';
import { registerProviders } from '../../src/disclosures';
import { openGridFsArchives, registerExports, type ArchiveStorage, type ExportLimits } from '../../src/exports';
import type { Actor, CommandName, PolicyOverrides, Role, Settings } from '../../src/lifecycle';
import {
  connectLazily,
  createAccountWorker,
  dataConverterOf,
  openCourseKeeper,
  openCourses,
  openJobs,
  workflowIdOf,
  type Courses,
  type Jobs,
} from '../../src/temporal';
import type { ProcessorSettings } from '../../src/processors';
import { localKeyProvider, openKeyStore, openVault, type Vault } from '../../src/vault';
import { openTestLedger, type TestLedger } from './ledger';
import { searchAttributeTypes, type MessageContext, type Recorded } from '../../src/workflows';

export const region = 'eu-central-1';

export const standardSettings: Settings = {
  gracePeriod: 'P14D',
  expiryPeriod: 'P30D',
  notice: 'P7D',
  minPeriod: 'PT1M',
};

/** A guard that lets a test erase as many accounts as it likes. */
export const openGuard: GuardSettings = { clockTolerance: 300_000, share: 1, minimum: 1_000_000 };

export const admin: Actor = { type: 'key', id: 'test-admin', role: 'admin' };

export function actorWith(role: Role): Actor {
  return { type: 'key', id: `test-${role}`, role };
}

/** What a test's part of the world needs to be told; see {@link standardSettings}. */
export interface SystemOptions {
  readonly settings?: Partial<Settings>;
  readonly guard?: Partial<GuardSettings>;
  /** How processors are reached, and reach us. */
  readonly processors?: ProcessorSettings;
  /** Wraps the activities, to be able to stop in the middle of them. */
  readonly activities?: (activities: Activities) => Activities;
  /** Wraps the database, to have it refuse something. */
  readonly store?: (store: Store) => Store;
  /** The test stores what the data map does not declare, on purpose. Otherwise that fails it, by name, when it stops. */
  readonly undeclared?: true;
  /** Where exports are kept; GridFS where nothing is said. */
  readonly archives?: (store: Store) => ArchiveStorage;
  readonly exportLimits?: ExportLimits;
  /** How long keys are kept in memory, in milliseconds; as in production where nothing is said. */
  readonly cacheFor?: number;
}

/** A running system with a database of its own. */
export interface System {
  readonly store: Store;
  readonly client: Client;
  readonly courses: Courses;
  readonly jobs: Jobs;
  readonly archives: ArchiveStorage;
  readonly ledger: TestLedger;
  readonly settings: Settings;
  readonly guard: GuardSettings;
  readonly taskQueue: string;
  /** The time the system goes by. */
  now(): Promise<Date>;
  /** Lets time pass. On the time-skipping server it costs none. */
  sleep(milliseconds: number): Promise<void>;
  createAccount(options?: NewAccount): Promise<string>;
  send(account: string, name: CommandName, body?: unknown, context?: Partial<MessageContext>): Promise<Recorded>;
  account(id: string): Promise<AccountDocument>;
  /** The actions of an account's audit entries, oldest first. */
  actions(id: string): Promise<string[]>;
  /** Does something while there is no worker, and starts another one then, which remembers no workflow. */
  withoutWorker(work: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

export interface NewAccount {
  readonly id?: string;
  readonly plan?: 'standard' | 'enterprise';
  readonly overrides?: PolicyOverrides;
  readonly state?: 'active' | 'suspended' | 'expired';
  readonly since?: string;
}

export function required(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: tests run by jest, whose global setup sets it`);
  return value;
}

export const masterKey = 'sk-test-master-key-of-some-length';

/** A database of the test's own on the shared server, and a vault beside it. */
export async function openTestStore(cacheFor?: number): Promise<Store> {
  const uri = new URL(required('ABLAUF_TEST_MONGODB'));
  uri.pathname = `/test_${randomBytes(6).toString('hex')}`;
  const store = await openStore({ uri: uri.href, region, vault: await openTestVault(uri.href, cacheFor) });
  registerExports(store.connection);
  registerProviders(store.connection);
  await prepareStore(store);
  return store;
}

/** The vault's database, beside the data's. */
export function vaultUriBeside(uri: string): string {
  const vault = new URL(uri);
  vault.pathname = `${vault.pathname}_vault`;
  return vault.href;
}

/** The vault of the database with this URI. */
export async function openTestVault(uri: string, cacheFor?: number): Promise<Vault> {
  const keyStore = await openKeyStore({ uri: vaultUriBeside(uri) });
  return openVault({
    keyStore,
    region,
    master: localKeyProvider(masterKey, region),
    ...(cacheFor === undefined ? {} : { cacheFor }),
  });
}

/** Drops what a test's store has in its database and its vault, and closes both. */
export async function dropTestStore(store: Store): Promise<void> {
  await store.connection.dropDatabase();
  await store.vault.keyStore.connection.dropDatabase();
  await store.close();
}

export function randomAccountId(): string {
  return `acct-${randomBytes(5).toString('hex')}`;
}

export function quietRuntime(): void {
  try {
    Runtime.install({
      // Alerts are provoked on purpose; everything else that goes wrong is shown.
      logger: new DefaultLogger('ERROR', (entry) => {
        const { level, message, meta } = entry;
        if (meta?.['alert'] === undefined) process.stderr.write(`${level} ${message} ${inspect(meta?.['error'])}\n`);
      }),
      shutdownSignals: [],
      // Tests provoke what the core warns of; what counts is asserted.
      telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }) } },
    });
  } catch {
    // One runtime per process; an earlier test of this file installed it.
  }
}

/** The system on the time-skipping server: years pass in moments, but only while somebody sleeps through {@link System.sleep}. */
export async function startTimeSkippingSystem(options: SystemOptions = {}): Promise<System> {
  quietRuntime();
  const store = await openTestStore(options.cacheFor);
  const environment = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path: required('ABLAUF_TEST_TIME_SKIPPING') } },
    client: { dataConverter: dataConverterOf(store.vault) },
  });
  await environment.connection.operatorService.addSearchAttributes({
    namespace: 'default',
    searchAttributes: Object.fromEntries(
      Object.entries(searchAttributeTypes).map(([name, type]) => [name, indexedTypes[type]]),
    ),
  });
  // Time may leap between handing an activity out and asking what time it is: only tests about that care.
  return assemble(
    { ...options, guard: { clockTolerance: leap, ...options.guard } },
    {
      store,
      connection: environment.connection,
      native: environment.nativeConnection,
      client: environment.client,
      now: async () => new Date(await environment.currentTimeMs()),
      sleep: (milliseconds) => environment.sleep(milliseconds),
      close: () => environment.teardown(),
    },
  );
}

/** A thousand years, in milliseconds. */
const leap = 31_557_600_000_000;

const { IndexedValueType } = proto.api.enums.v1;
const indexedTypes = {
  Keyword: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
  Datetime: IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
  Int: IndexedValueType.INDEXED_VALUE_TYPE_INT,
} as const;

/** The system on Temporal's development server, in real time. */
export async function startSystem(options: SystemOptions & { readonly address?: string } = {}): Promise<System> {
  quietRuntime();
  const address = options.address ?? required('ABLAUF_TEST_TEMPORAL');
  const store = await openTestStore(options.cacheFor);
  const connection = connectLazily(address);
  const native = await NativeConnection.connect({ address });
  return assemble(options, {
    store,
    connection,
    native,
    client: new Client({ connection, dataConverter: dataConverterOf(store.vault) }),
    now: () => Promise.resolve(new Date()),
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    async close() {
      await native.close();
      await connection.close();
    },
  });
}

/** What goes wrong with the log where no test wants it to is shown. */
export const loudly = {
  warn: (meta: object, message: string) => process.stderr.write(`${message} ${JSON.stringify(meta)}\n`),
  error: (meta: object, message: string) => process.stderr.write(`${message} ${JSON.stringify(meta)}\n`),
};

interface Ground {
  readonly store: Store;
  readonly connection: Connection;
  readonly native: NativeConnection;
  readonly client: Client;
  readonly now: () => Promise<Date>;
  readonly sleep: (milliseconds: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

async function assemble(options: SystemOptions, ground: Ground): Promise<System> {
  const settings = { ...standardSettings, ...options.settings };
  const opened = options.store?.(ground.store) ?? ground.store;
  // Whoever skips time moves the database's clock along.
  const store: Store = { ...opened, databaseTime: ground.now };
  const guard = { ...openGuard, ...options.guard };
  const taskQueue = `test-${randomUUID()}`;
  const archives = (options.archives ?? openGridFsArchives)(store);
  const ledger = await openTestLedger(store);
  const activities = createActivities({
    store,
    ledger: ledger.ledger,
    courses: openCourseKeeper({ client: ground.client, region, taskQueue, settings }),
    settings,
    guard,
    ...(options.processors === undefined ? {} : { processors: options.processors }),
    archives,
    ...(options.exportLimits === undefined ? {} : { exportLimits: options.exportLimits }),
  });
  const startWorker = async () => {
    const worker: Worker = await createAccountWorker({
      connection: ground.native,
      dataConverter: dataConverterOf(store.vault),
      namespace: 'default',
      taskQueue,
      activities: options.activities?.(activities) ?? activities,
      bundle: { codePath: required('ABLAUF_TEST_BUNDLE') },
    });
    const running = worker.run();
    return async () => {
      worker.shutdown();
      await running;
    };
  };
  let stopWorker = await startWorker();
  // On the bare database: what a test has it refuse is not the log's own work.
  const sequencer = startSequencer({ ...ground.store, databaseTime: ground.now }, { log: loudly });
  const courses = openCourses({
    connection: ground.connection,
    client: ground.client,
    region,
    taskQueue,
    patience: 20_000,
  });
  return {
    store,
    client: ground.client,
    courses,
    guard,
    jobs: openJobs({ client: ground.client, taskQueue, patience: 20_000 }),
    archives,
    ledger,
    settings,
    taskQueue,
    now: ground.now,
    sleep: ground.sleep,
    async createAccount({ id = randomAccountId(), plan = 'standard', overrides = {}, state = 'active', since } = {}) {
      const draftId = randomUUID();
      await storeDraft(store, {
        _id: draftId,
        account: id,
        name: `Name of ${id}`,
        email: `${id}@example.org`,
        plan,
        locale: 'en',
        createdAt: new Date(),
      });
      const origin = { state, overrides, ...(since === undefined ? {} : { since }) };
      await courses.create({ account: id, draftId, origin, settings, actor: admin }, randomUUID());
      return id;
    },
    send: (account, name, body = {}, context = {}) =>
      courses.send(account, name, body, { actor: admin, ...context }, randomUUID()),
    async account(id) {
      const found = await findAccount(store, id);
      if (found === null) throw new Error(`there is no account ${id}`);
      return found;
    },
    async actions(id) {
      const subject = store.vault.pseudonymOf(id);
      const entries = await store.audit.entries.find({ subject }).sort({ seq: 1, at: 1 }).lean().exec();
      return entries.map((entry) => entry.action);
    },
    async withoutWorker(work) {
      await stopWorker();
      await work();
      stopWorker = await startWorker();
    },
    async stop() {
      await stopWorker();
      await sequencer.stop();
      try {
        if (options.undeclared !== true) await assertDeclared(store, { full: true });
      } finally {
        await dropTestStore(store);
        await ledger.remove();
        await ground.close();
      }
    },
  };
}

export { workflowIdOf };
