/** The real API as a process, and what it takes to talk to it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../src/embedded';
import { databaseUri, type Ground } from './harness';
import { masterKey, region, vaultUri } from './stores';

export const adminKey = 'bench-administrator';

export interface Api {
  readonly url: string;
  /** Posts JSON over a connection that is kept. Fails unless the answer's status is in the 200s. */
  post(path: string, body: object | string): Promise<unknown>;
  stop(): Promise<void>;
}

const startPatience = 60_000;

/** Starts the API on a database of the benchmark's own. */
export async function startApi(ground: Ground, database: string): Promise<Api> {
  const [port, management] = await Promise.all([freePort(), freePort()]);
  // One that is left from another run was signed by keys that are gone.
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-bench-ledger-'));
  const child = fork(join(__dirname, 'processes', 'api.ts'), {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {
      ...process.env,
      NODE_ENV: 'production',
      ABLAUF_PORT: String(port),
      ABLAUF_MANAGEMENT_PORT: String(management),
      ABLAUF_REGION: region,
      ABLAUF_ADMIN_KEY: adminKey,
      LITELLM_MASTER_KEY: masterKey,
      ABLAUF_MONGODB_URI: databaseUri(ground, database),
      ABLAUF_VAULT_URI: vaultUri(databaseUri(ground, database)),
      ABLAUF_VAULT_SHARED: '1',
      ABLAUF_LEDGER: `file:${join(folder, 'ledger.ndjson')}`,
      ABLAUF_TEMPORAL_ADDRESS: ground.temporalAddress,
      ABLAUF_LOG_LEVEL: 'warn',
    },
  });
  const exited = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
    agent.destroy();
    await rm(folder, { recursive: true, force: true });
  };
  const agent = new Agent({ keepAlive: true });
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + startPatience;
  while (!(await answers(url))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error('the API did not start');
    }
    await pause(100);
  }
  return {
    url,
    stop,
    post: (path, body) => post(agent, `${url}${path}`, typeof body === 'string' ? body : JSON.stringify(body)),
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url, { signal: AbortSignal.timeout(1000) });
    return true;
  } catch {
    return false;
  }
}

function post(agent: Agent, url: string, body: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${adminKey}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const outgoing = request(url, { method: 'POST', agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const { statusCode = 0 } = response;
        if (statusCode >= 200 && statusCode < 300) resolve(JSON.parse(text));
        else reject(new Error(`${url} answered ${statusCode}: ${text.slice(0, 300)}`));
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
