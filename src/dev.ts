import { once } from 'node:events';
import { get as plainGet } from 'node:http';
import { get as secureGet } from 'node:https';
import { readFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  type Child,
  type DevIdentityProvider,
  type DevSettings,
  devLedger,
  devSecrets,
  EmbeddedServerError,
  keepRunning,
  lockFolder,
  messageOf,
  packageManagerAncestors,
  readDevSettings,
  requireFreePorts,
  type RunningMongodb,
  type RunningTemporal,
  startCodecBridge,
  startDevIdentityProvider,
  startMongodb,
  startService,
  startTemporal,
} from './embedded';
import { searchAttributeTypes } from './workflows';

/** From the start of the API and the worker until every part answers; a worker started from source bundles the workflows first. */
const readyTimeoutMs = 120_000;

/** Last started, first stopped: nothing loses what it still writes to. */
const stopOrder = ['API', 'worker', 'identity provider', 'Temporal', 'codec', 'MongoDB'] as const;
type Part = (typeof stopOrder)[number];

interface Run {
  settings: DevSettings;
  /** What the parts are started with. */
  env: NodeJS.ProcessEnv;
  print: (line: string) => void;
  /** Aborts when everything is to stop. */
  signal: AbortSignal;
  /** How to stop what has been started so far. */
  stops: Map<Part, () => Promise<void>>;
}

/**
 * Starts everything a developer needs, says so, and keeps it running until `signal` aborts; then stops it in order. What
 * was made and stored is there again at the next start.
 *
 * @throws Error with one line to act on, if something cannot be started; then nothing is left running
 */
async function runDev(
  entries: { server: string; worker: string },
  env: NodeJS.ProcessEnv,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const settings = readDevSettings(env);
  const lock = lockFolder(settings.dataDir);
  // Whatever fails stops the rest: one abort for both reasons to stop.
  const failing = new AbortController();
  const run: Run = {
    settings,
    env: { ...env, ...devSecrets(settings, env), ...devLedger(settings, env), ABLAUF_DATA_DIR: settings.dataDir },
    print,
    signal: AbortSignal.any([signal, failing.signal]),
    stops: new Map(),
  };
  try {
    if (lock.takenOverFrom !== undefined) {
      print(
        `Process ${lock.takenOverFrom} ended without giving ${shown(settings.dataDir)} back; carrying on from there`,
      );
    }
    await requireFreePorts(settings);
    const starting = [startOwnMongodb(run), startOwnTemporal(run), startOwnIdentityProvider(run)] as const;
    const [mongodb, temporal, identityProvider] = await Promise.all(starting).catch(async (error: unknown) => {
      failing.abort();
      await Promise.allSettled(starting);
      throw error;
    });
    Object.assign(run.env, {
      ...(mongodb && { ABLAUF_MONGODB_URI: mongodb.uri, ...vaultBeside(mongodb.uri, run.env) }),
      ...(temporal && { ABLAUF_TEMPORAL_ADDRESS: temporal.address, ABLAUF_TEMPORAL_NAMESPACE: temporal.namespace }),
      ...(identityProvider && { ABLAUF_SSO: JSON.stringify([identityProvider.entry]) }),
    });
    await startServices(run, entries);
    announce(run, mongodb, temporal, identityProvider);
    await aborted(signal);
    print('stopping');
  } catch (error) {
    // Being told to stop while starting is no failure.
    if (!signal.aborted) {
      throw error;
    }
  } finally {
    for (const part of stopOrder) {
      await run.stops.get(part)?.();
    }
    lock.release();
  }
}

/** A developer's keys lie beside the data: that an erasure reaches backups too is for production, with servers of their own. */
function vaultBeside(uri: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if ((env['ABLAUF_VAULT_URI'] ?? env['ABLAUF_VAULT_URI_FILE'] ?? '') !== '') return {};
  const vault = new URL(uri);
  vault.pathname = '/ablauf_vault';
  return { ABLAUF_VAULT_URI: vault.href, ABLAUF_VAULT_SHARED: '1' };
}

async function startOwnMongodb(run: Run): Promise<RunningMongodb | undefined> {
  if (run.settings.ownMongodb) {
    return undefined;
  }
  const start = (signal: AbortSignal): Promise<RunningMongodb> =>
    startMongodb({
      dataDir: join(run.settings.dataDir, 'mongodb'),
      port: run.settings.mongodbPort,
      env: run.env,
      log: logOf(run, 'mongodb'),
      onProgress: run.print,
      signal,
    });
  const first = await start(run.signal);
  run.stops.set('MongoDB', keepRunning('MongoDB', first, start, run.print).stop);
  return first;
}

async function startOwnTemporal(run: Run): Promise<RunningTemporal | undefined> {
  if (run.settings.ownTemporal) {
    return undefined;
  }
  const codec = await startCodecBridge({
    api: apiUrl(run.settings),
    key: givenAdminKey(run.env),
    uiPort: run.settings.temporalUiPort,
  });
  run.stops.set('codec', () => codec.stop());
  const start = (signal: AbortSignal): Promise<RunningTemporal> =>
    startTemporal({
      dataDir: join(run.settings.dataDir, 'temporal'),
      port: run.settings.temporalPort,
      uiPort: run.settings.temporalUiPort,
      uiCodecEndpoint: codec.url,
      namespace: run.settings.namespace,
      searchAttributes: searchAttributeTypes,
      env: run.env,
      log: logOf(run, 'temporal'),
      onProgress: run.print,
      signal,
    });
  const first = await start(run.signal);
  run.stops.set('Temporal', keepRunning('Temporal', first, start, run.print).stop);
  return first;
}

async function startOwnIdentityProvider({ settings, stops }: Run): Promise<DevIdentityProvider | undefined> {
  if (settings.ownIdentityProvider) {
    return undefined;
  }
  const provider = await startDevIdentityProvider({
    dataDir: join(settings.dataDir, 'identity-provider'),
    port: settings.identityProviderPort,
    origins: settings.origins,
  });
  stops.set('identity provider', () => provider.stop());
  return provider;
}

/** Starts the worker and the API, and resolves once the API says that every part answers. */
async function startServices(run: Run, entries: { server: string; worker: string }): Promise<void> {
  // Until then the API is asked again and again whether it is ready, and warns each time that it is not.
  let ready = false;
  const starts: [Part, () => Promise<Child>][] = (['worker', 'API'] as const).map((part) => [
    part,
    () =>
      startService({
        name: part,
        entry: part === 'API' ? entries.server : entries.worker,
        env: run.env,
        log: logOf(run, part.toLowerCase()),
        report: (line) => {
          if (ready || part !== 'API') {
            run.print(line);
          }
        },
      }),
  ]);
  const failing = new AbortController();
  const children: [Part, () => Promise<Child>, Child][] = [];
  for (const [part, start] of starts) {
    const child = await start();
    run.stops.set(part, () => child.stop());
    children.push([part, start, child]);
  }
  try {
    await Promise.race([
      untilApiIsReady(run, AbortSignal.any([run.signal, failing.signal])),
      ...children.map(([part, , child]) => endOf(part, child, run)),
    ]);
  } finally {
    failing.abort();
  }
  ready = true;
  for (const [part, start, child] of children) {
    run.stops.set(part, keepRunning(part, child, start, run.print).stop);
  }
}

/** Rejects, with its last words, when a process ends that ought to run. */
async function endOf(part: Part, child: Child, run: Run): Promise<never> {
  const exit = await child.exited;
  const log = shown(logOf(run, part.toLowerCase()));
  // The log has the stack; what happened is in the other lines.
  const said = child.lastLines().filter((line) => !/^\s+at /.test(line));
  throw new Error(
    `The ${part} ended with ${exit} before it was ready (its log: ${log})\n  ${said.slice(-12).join('\n  ')}`,
  );
}

async function untilApiIsReady(run: Run, signal: AbortSignal): Promise<void> {
  const url = `${apiUrl(run.settings)}/readyz`;
  const end = Date.now() + readyTimeoutMs;
  let missing = 'it does not listen';
  while (Date.now() < end) {
    try {
      const { status, text } = await ask(url, AbortSignal.any([signal, AbortSignal.timeout(5_000)]));
      if (status === 200) {
        return;
      }
      missing = `${status} ${text.slice(0, 500)}`;
    } catch {
      signal.throwIfAborted();
    }
    await sleep(200, undefined, { signal });
  }
  throw new Error(`Not everything answered within ${readyTimeoutMs / 1000} s; ${url} says: ${missing}`);
}

/** Whoever's certificate it is: a process started here is asked whether it is ready, and told nothing. */
function ask(url: string, signal: AbortSignal): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const get = url.startsWith('https:') ? secureGet : plainGet;
    const request = get(url, { signal, rejectUnauthorized: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}

function announce(
  run: Run,
  mongodb: RunningMongodb | undefined,
  temporal: RunningTemporal | undefined,
  identityProvider: DevIdentityProvider | undefined,
): void {
  const { settings, env, print } = run;
  const api = apiUrl(settings);
  const signIn = `${settings.origins[0]}/auth`;
  const rows: [what: string, where: string, about?: string | undefined][] = [
    ['MongoDB', mongodb?.uri ?? 'your own', mongodb?.description],
    ['Temporal', temporal?.address ?? env['ABLAUF_TEMPORAL_ADDRESS'] ?? 'your own', temporal?.description],
  ];
  if (temporal?.uiUrl !== undefined) {
    rows.push(['Web UI', temporal.uiUrl, `namespace ${temporal.namespace}`]);
  }
  rows.push(
    ['Worker', `metrics ${hostUrl(settings.managementHost, settings.workerManagementPort)}/metrics`],
    ['API', api, `metrics ${hostUrl(settings.managementHost, settings.managementPort)}/metrics`],
    [
      'Sign in',
      signIn,
      identityProvider
        ? `no password: pick who you are at ${identityProvider.url}`
        : 'with the providers of your ABLAUF_SSO',
    ],
    ['Data, logs', shown(settings.dataDir)],
  );
  const width = Math.max(...rows.map(([, where]) => where.length));
  print('');
  for (const [what, where, about] of rows) {
    print(`${what.padEnd(12)}${where.padEnd(width + 2)}${about ?? ''}`.trimEnd());
  }
  print(`${'Admin key'.padEnd(12)}${adminKey(run)}`);
  print(`${'Try it'.padEnd(12)}curl -H "Authorization: Bearer ${adminKey(run)}" ${api}/v1/accounts`);
  print('');
  print(`ready ${[api, temporal?.uiUrl, signIn, identityProvider?.url].filter((url) => url !== undefined).join(' ')}`);
}

/** What the API takes as its administrator's key, given as such or as a file. */
function givenAdminKey(env: NodeJS.ProcessEnv): string {
  const file = env['ABLAUF_ADMIN_KEY_FILE'] ?? '';
  return file === '' ? (env['ABLAUF_ADMIN_KEY'] ?? '') : readFileSync(file, 'utf8').trim();
}

/** Only a key made here is shown; one the developer brought is theirs to keep off the screen. */
function adminKey({ env }: Run): string {
  if (process.env['ABLAUF_ADMIN_KEY']) {
    return '$ABLAUF_ADMIN_KEY';
  }
  return process.env['ABLAUF_ADMIN_KEY_FILE'] ? '$(cat $ABLAUF_ADMIN_KEY_FILE)' : (env['ABLAUF_ADMIN_KEY'] ?? '');
}

function apiUrl(settings: DevSettings): string {
  return hostUrl(settings.host, settings.port, settings.secured ? 'https' : 'http');
}

function hostUrl(host: string, port: number, scheme = 'http'): string {
  // A server on every address is reached on this one.
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

function logOf(run: Run, name: string): string {
  return join(run.settings.dataDir, 'logs', `${name}.log`);
}

function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short === '' || short.startsWith('..') ? path : short;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await once(signal, 'abort');
  }
}

/** One Ctrl-C arrives more than once, from the terminal and passed on by npm or tsx: it counts as one for this long. */
const sameSignalMs = 1_000;

/** Aborts on the first signal to stop; a later one ends this process at once, and the guard what it started. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  let first = 0;
  const stop = (): void => {
    if (!controller.signal.aborted) {
      first = Date.now();
      controller.abort();
    } else if (Date.now() - first > sameSignalMs) {
      process.exit(1);
    }
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, stop);
  }
  // npm hands a signal to stop to its child, not to ours; killed itself, it can hand on none.
  const above = packageManagerAncestors(process.env);
  setInterval(() => {
    if (!above.every(isAlive) && !controller.signal.aborted) {
      stop();
    }
  }, 500).unref();
  return controller.signal;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function main(): Promise<void> {
  const extension = extname(__filename);
  const { values } = parseArgs({
    options: {
      server: { type: 'string', default: join(__dirname, `server${extension}`) },
      worker: { type: 'string', default: join(__dirname, `worker${extension}`) },
    },
  });
  // A terminal that is gone is no reason to leave servers behind.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  try {
    await runDev(values, process.env, print, stopSignal());
    process.exit(0);
  } catch (error) {
    const text =
      error instanceof EmbeddedServerError ? messageOf(error) : String(error instanceof Error ? error.message : error);
    process.stderr.write(`${text}\n`, () => process.exit(1));
  }
}

void main();
