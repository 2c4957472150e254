import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { Connection } from '@temporalio/client';
import { type Child, serverEnvironment, startChild, untilReady } from './child';
import { type Executable, resolveTemporalCli } from './executables';
import { freePort, requireFreePort } from './ports';
import type { RunningServer } from './server';

/** The types a search attribute can have. */
export type SearchAttributeType = 'Text' | 'Keyword' | 'Int' | 'Double' | 'Bool' | 'Datetime' | 'KeywordList';

/** How the Temporal development server is started. */
export interface TemporalOptions {
  /** The folder its data is kept in; made if it does not exist. Without it everything is kept in memory. */
  dataDir?: string | undefined;
  /** The port on the loopback interface; 0 takes a free one. */
  port: number;
  /** The Web UI's port; 0 takes a free one, without it there is no Web UI. */
  uiPort?: number | undefined;
  /** The codec its Web UI opens payloads with, as a URL. */
  uiCodecEndpoint?: string | undefined;
  /** Made if it does not exist. */
  namespace: string;
  /** Made in the namespace if they do not exist. */
  searchAttributes: Readonly<Record<string, SearchAttributeType>>;
  /** Further arguments of `temporal server start-dev`. */
  extraArgs?: readonly string[] | undefined;
  env?: NodeJS.ProcessEnv | undefined;
  /** Told in a few words what is being fetched. */
  onProgress?: ((text: string) => void) | undefined;
  /** The path of a log file for its output. */
  log?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** A Temporal development server that answers, with its namespace and search attributes in place. */
export interface RunningTemporal extends RunningServer {
  /** Host and port, as a client or a worker takes them. */
  address: string;
  namespace: string;
  uiUrl: string | undefined;
}

const startTimeoutMs = 60_000;
const callTimeoutMs = 2_000;

/**
 * Starts Temporal's development server on the loopback interface and resolves once the namespace can be worked with. It
 * opens no connection to the outside. Its inner ports are free ones of its own choice, so that several run side by side.
 *
 * @throws EmbeddedServerError `port-busy`, `start-failed`, or what {@link resolveTemporalCli} throws
 */
export async function startTemporal(options: TemporalOptions): Promise<RunningTemporal> {
  const env = options.env ?? process.env;
  const port = options.port === 0 ? await freePort() : options.port;
  const uiPort = options.uiPort === 0 ? await freePort() : options.uiPort;
  await requireFreePort(port, 'ABLAUF_EMBEDDED_TEMPORAL_PORT');
  if (uiPort !== undefined) {
    await requireFreePort(uiPort, 'ABLAUF_EMBEDDED_TEMPORAL_UI_PORT');
  }
  const executable = await resolveTemporalCli({ ...options, env });
  if (options.dataDir !== undefined) {
    await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  }
  const child = await startChild({
    command: executable.path,
    args: argumentsFor(options, port, uiPort),
    env: { ...serverEnvironment(env), TEMPORAL_VERSION_CHECK_DISABLED: '1' },
    log: options.log,
  });
  await untilReady(child, 'Temporal', () => isServing(`127.0.0.1:${port}`, options), {
    timeoutMs: startTimeoutMs,
    signal: options.signal,
  });
  return running(child, executable, options, port, uiPort);
}

function running(
  child: Child,
  executable: Executable,
  { namespace }: TemporalOptions,
  port: number,
  uiPort: number | undefined,
): RunningTemporal {
  return {
    address: `127.0.0.1:${port}`,
    namespace,
    uiUrl: uiPort === undefined ? undefined : `http://127.0.0.1:${uiPort}`,
    description: executable.description,
    source: executable.source,
    pid: child.pid,
    exited: child.exited,
    stop: () => child.stop(),
  };
}

function argumentsFor(options: TemporalOptions, port: number, uiPort: number | undefined): string[] {
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--namespace', options.namespace],
    ...(uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort), '--ui-disable-news-fetch']),
    ...(uiPort === undefined || options.uiCodecEndpoint === undefined
      ? []
      : ['--ui-codec-endpoint', options.uiCodecEndpoint]),
    ...(options.dataDir === undefined ? [] : ['--db-filename', join(options.dataDir, 'temporal.db')]),
    ...Object.entries(options.searchAttributes).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
    ...['--log-level', 'warn', '--log-format', 'json', '--color', 'never'],
    ...(options.extraArgs ?? []),
  ];
}

async function isServing(address: string, { namespace, searchAttributes }: TemporalOptions): Promise<boolean> {
  const connection = await Connection.connect({ address, connectTimeout: callTimeoutMs });
  try {
    return await connection.withDeadline(Date.now() + callTimeoutMs, async () => {
      await connection.healthService.check({});
      await connection.workflowService.describeNamespace({ namespace });
      const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
      return Object.keys(searchAttributes).every((name) => name in customAttributes);
    });
  } finally {
    await connection.close();
  }
}
