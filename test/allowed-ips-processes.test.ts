/** R27: a list is in force on every process within two seconds, while the database's changes come and while they do not. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freePort, startService, type Child } from '../src/embedded';
import { eventually } from './helpers/eventually';
import { startProcesses, type ProcessSystem } from './helpers/processes';

let system: ProcessSystem;
let second: Child;
let urls: readonly [string, string];

const home = '203.0.113.9';
const abroad = '198.51.100.1';

beforeAll(async () => {
  system = await startProcesses({ ABLAUF_TRUSTED_PROXIES: '127.0.0.1' });
  const port = await freePort();
  second = await startService({
    name: 'api',
    entry: join(__dirname, '..', 'src', 'server.ts'),
    env: { ...system.environment, ABLAUF_PORT: String(port), ABLAUF_MANAGEMENT_PORT: String(await freePort()) },
    log: join(system.folder, 'second-api.log'),
    report: () => undefined,
  });
  urls = [system.url, `http://127.0.0.1:${port}`];
  await eventually('the second process serves', async () => {
    const { status } = await fetch(`${urls[1]}/healthz`);
    return status === 200 ? true : undefined;
  });
}, 180_000);
afterAll(async () => {
  await second.stop();
  await system.stop();
});

const ask = (url: string, address: string, method = 'GET', path = '/v1/accounts', body?: unknown) =>
  fetch(`${url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${system.adminKey}`,
      'content-type': 'application/json',
      'x-forwarded-for': address,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

async function put(entries: readonly object[]): Promise<void> {
  const { status } = await ask(urls[0], home, 'PUT', '/v1/settings/allowed-ips', { entries });
  expect(status).toBe(200);
}

/** How long it takes from the acknowledgement until a process answers so, in milliseconds. */
async function until(url: string, status: number): Promise<number> {
  const from = performance.now();
  await eventually(`${url} answers ${status}`, async () =>
    (await ask(url, abroad)).status === status ? true : undefined,
  );
  return performance.now() - from;
}

test('R27: two processes keep out and let in who is listed, whichever of them was told', async () => {
  const took: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    await put([{ cidr: home }]);
    // Where it was changed it is in force at once.
    expect((await ask(urls[0], abroad)).status).toBe(403);
    took.push(await until(urls[1], 403));
    expect((await ask(urls[1], home)).status).toBe(200);
    await put([]);
    took.push(await until(urls[1], 200));
  }
  process.stdout.write(`in force on the other process after ${took.map(Math.round).join(', ')} ms\n`);
}, 120_000);

test('R27: after the database was away for a while the list is in force as before', async () => {
  await put([{ cidr: home }]);
  await until(urls[1], 403);
  await system.kill('mongodb');
  // Who may come from where cannot be told any more after a moment: nobody is let in because of that.
  await eventually('nobody is let in', async () => ((await ask(urls[1], abroad)).status >= 500 ? true : undefined));
  await system.start('mongodb');
  await until(urls[1], 403);
  await eventually('who is listed is let in again', async () =>
    (await ask(urls[1], home)).status === 200 ? true : undefined,
  );
}, 120_000);
