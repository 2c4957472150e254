import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { mongo } from 'mongoose';
import { type Child, serverEnvironment, startChild, untilReady } from './child';
import { EmbeddedServerError } from './errors';
import { type MongodbEngine, type MongodbExecutable, resolveMongodbServer } from './executables';
import { freePort, requireFreePort } from './ports';
import type { RunningServer } from './server';

/** How MongoDB is started. */
export interface MongodbOptions {
  /** The folder its data is kept in; made if it does not exist. A folder is used by the kind of server that first wrote to it. */
  dataDir: string;
  /** The port on the loopback interface; 0 takes a free one. */
  port: number;
  env?: NodeJS.ProcessEnv | undefined;
  /** Told in a few words what is being fetched. */
  onProgress?: ((text: string) => void) | undefined;
  /** The path of a log file for its output. */
  log?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** A MongoDB-compatible server that is primary of a replica set of one, and so has transactions and change streams. */
export interface RunningMongodb extends RunningServer {
  uri: string;
  engine: MongodbEngine;
}

const startTimeoutMs = 60_000;
const engineFile = 'engine.json';

/**
 * Starts a MongoDB-compatible server on the loopback interface and resolves once it accepts writes. Acknowledged writes
 * survive the server being killed.
 *
 * @throws EmbeddedServerError `port-busy`, `data-mismatch`, `start-failed`, or what {@link resolveMongodbServer} throws
 */
export async function startMongodb(options: MongodbOptions): Promise<RunningMongodb> {
  const env = options.env ?? process.env;
  const port = options.port === 0 ? await freePort() : options.port;
  await requireFreePort(port, 'ABLAUF_EMBEDDED_MONGODB_PORT');
  const recorded = await recordedEngine(options.dataDir);
  const executable = await resolveMongodbServer({ ...options, env, engine: recorded });
  const files = join(options.dataDir, 'files');
  await mkdir(files, { recursive: true, mode: 0o700 });
  if (recorded === undefined) {
    await recordEngine(options.dataDir, executable);
  }
  const child = await startChild({
    command: executable.path,
    args: await argumentsFor(executable.engine, options.dataDir, files, port),
    env: serverEnvironment(env),
    cwd: options.dataDir,
    log: options.log,
  });
  await untilReady(child, 'MongoDB', () => isPrimary(executable.engine, port), {
    timeoutMs: startTimeoutMs,
    signal: options.signal,
  });
  return running(child, executable, port);
}

function running(child: Child, executable: MongodbExecutable, port: number): RunningMongodb {
  return {
    uri: `mongodb://127.0.0.1:${port}/ablauf?directConnection=true`,
    engine: executable.engine,
    description: executable.description,
    source: executable.source,
    pid: child.pid,
    exited: child.exited,
    async stop() {
      if (executable.engine === 'mongod') {
        await shutDown(port);
      }
      await child.stop();
    },
  };
}

/** On a signal a replica set's member waits up to fifteen seconds for others to take over; asked like this it does not. */
async function shutDown(port: number): Promise<void> {
  try {
    await withAdmin(port, (admin) => admin.command({ shutdown: 1, force: true, timeoutSecs: 0 }));
  } catch {
    // It is gone already, or closed the connection as it went; if neither, the signal that follows ends it.
  }
}

async function argumentsFor(engine: MongodbEngine, dataDir: string, files: string, port: number): Promise<string[]> {
  if (engine === 'secantusdb') {
    // An empty configuration of our own keeps it from looking for one in the user's folders.
    const config = join(dataDir, 'secantusd.toml');
    await writeFile(config, '');
    // Without --sync-on-commit acknowledged writes are lost when the server is killed.
    return [
      ...['--config', config, '--host', '127.0.0.1', '--port', String(port), '--storage-path', files],
      ...['--cache-size', '256M', '--log-file-max', '64MB', '--sync-on-commit', '--log-level', 'WARNING'],
    ];
  }
  return [
    ...['--replSet', 'ablauf', '--bind_ip', '127.0.0.1', '--port', String(port), '--dbpath', files],
    ...['--wiredTigerCacheSizeGB', '0.25', '--quiet'],
    ...(process.platform === 'win32' ? [] : ['--nounixsocket']),
  ];
}

async function isPrimary(engine: MongodbEngine, port: number): Promise<boolean> {
  return withAdmin(port, async (admin) => {
    const hello = await admin.command({ hello: 1 });
    if (hello['isWritablePrimary'] === true) {
      return true;
    }
    if (engine === 'mongod') {
      await formReplicaSet(admin, hello, `127.0.0.1:${port}`);
    }
    return false;
  });
}

async function withAdmin<T>(port: number, use: (admin: mongo.Db) => Promise<T>): Promise<T> {
  const client = new mongo.MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 500,
    connectTimeoutMS: 500,
    socketTimeoutMS: 5_000,
  });
  try {
    return await use(client.db('admin'));
  } finally {
    await client.close(true);
  }
}

/** A new server is made a replica set of one; one that ran on another port before is told its new address. */
async function formReplicaSet(admin: mongo.Db, hello: mongo.Document, host: string): Promise<void> {
  const members = [{ _id: 0, host }];
  if (hello['isreplicaset'] === true && hello['setName'] === undefined) {
    const known = await admin.command({ replSetGetConfig: 1 }).catch(() => undefined);
    if (known === undefined) {
      await admin.command({ replSetInitiate: { _id: 'ablauf', members } });
      return;
    }
    const config: unknown = known['config'];
    if (typeof config === 'object' && config !== null && !JSON.stringify(config).includes(host)) {
      const version = 'version' in config && typeof config.version === 'number' ? config.version + 1 : 1;
      await admin.command({ replSetReconfig: { ...config, version, members }, force: true });
    }
  }
}

async function recordedEngine(dataDir: string): Promise<MongodbEngine | undefined> {
  let text: string;
  try {
    text = await readFile(join(dataDir, engineFile), 'utf8');
  } catch {
    const present = await readdir(join(dataDir, 'files')).catch(() => []);
    if (present.length > 0) {
      throw new EmbeddedServerError(
        'data-mismatch',
        `${dataDir} holds data, but its ${engineFile} does not say of which server: move the folder away, or use another ABLAUF_DATA_DIR`,
      );
    }
    return undefined;
  }
  const engine = /"engine":\s*"(mongod|secantusdb)"/.exec(text)?.[1];
  if (engine !== 'mongod' && engine !== 'secantusdb') {
    throw new EmbeddedServerError('data-mismatch', `${join(dataDir, engineFile)} names no server known here`);
  }
  return engine;
}

async function recordEngine(dataDir: string, { engine, version }: MongodbExecutable): Promise<void> {
  const path = join(dataDir, engineFile);
  await writeFile(`${path}.new`, `${JSON.stringify({ engine, version })}\n`);
  await rename(`${path}.new`, path);
}
