/** The whole system, started as a newcomer starts it, but in a folder and on ports of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../../src/embedded';

export interface DevSystem {
  readonly api: string;
  readonly webUi: string;
  readonly temporal: string;
  readonly mongodb: string;
  readonly adminKey: string;
  stop(): Promise<void>;
}

export interface DevSystemOptions {
  /** Further configuration, such as shorter periods. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Each line the start prints. */
  readonly onLine?: (line: string) => void;
}

const startPatience = 180_000;
const adminKey = 'ablauf-demo-administrator';

/** Starts `src/dev.ts`, and waits until it says that it is ready. */
export async function startDevSystem({ environment = {}, onLine }: DevSystemOptions = {}): Promise<DevSystem> {
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-demo-'));
  const [port, management, workerManagement, mongodb, temporal, webUi, identityProvider] = await Promise.all(
    Array.from({ length: 7 }, () => freePort()),
  );
  const child = spawn(process.execPath, ['--import', 'tsx', join(__dirname, '..', '..', 'src', 'dev.ts')], {
    cwd: join(__dirname, '..', '..'),
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      ABLAUF_DATA_DIR: folder,
      ABLAUF_PORT: String(port),
      ABLAUF_MANAGEMENT_PORT: String(management),
      ABLAUF_WORKER_MANAGEMENT_PORT: String(workerManagement),
      ABLAUF_EMBEDDED_MONGODB_PORT: String(mongodb),
      ABLAUF_EMBEDDED_TEMPORAL_PORT: String(temporal),
      ABLAUF_EMBEDDED_TEMPORAL_UI_PORT: String(webUi),
      ABLAUF_EMBEDDED_IDP_PORT: String(identityProvider),
      ABLAUF_ADMIN_KEY: adminKey,
      ...environment,
    },
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const stop = async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the system did not become ready in time')), startPatience);
      lines.on('line', (line) => {
        onLine?.(line);
        if (!line.startsWith('ready')) return;
        clearTimeout(timer);
        resolve();
      });
      void exited.then(([code]) => {
        clearTimeout(timer);
        reject(new Error(`the system ended with code ${String(code)} before it was ready`));
      });
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    api: `http://127.0.0.1:${port}`,
    webUi: `http://127.0.0.1:${webUi}`,
    temporal: `127.0.0.1:${temporal}`,
    mongodb: `mongodb://127.0.0.1:${mongodb}/ablauf?directConnection=true`,
    adminKey,
    stop,
  };
}
