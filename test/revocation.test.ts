/**
 * Revoking a key takes effect within a second in every process: two API processes on one database, one of them over a connection
 * that is cut, frozen and mended, while the database itself is killed and started again.
 */
import { join } from 'node:path';
import { freePort, startService, type Child } from '../src/embedded';
import { startCutter, type Cutter } from './helpers/cutter';
import { eventually } from './helpers/eventually';
import { startProcesses, type ProcessSystem } from './helpers/processes';

jest.setTimeout(240_000);

/** What is promised, in milliseconds. */
const within = 1000;

let system: ProcessSystem;
let cutter: Cutter;
let other: Child;
let otherUrl: string;
/** How long it took, in milliseconds, from the answer to the revocation to the first refusal elsewhere. */
const measured: number[] = [];

beforeAll(async () => {
  system = await startProcesses();
  const uri = new URL(system.environment['ABLAUF_MONGODB_URI'] ?? '');
  cutter = await startCutter(new URL(uri.href));
  uri.host = `127.0.0.1:${cutter.port}`;
  const port = await freePort();
  otherUrl = `http://127.0.0.1:${port}`;
  other = await startService({
    name: 'api',
    entry: join(__dirname, '..', 'src', 'server.ts'),
    env: {
      ...system.environment,
      ABLAUF_PORT: String(port),
      ABLAUF_MANAGEMENT_PORT: String(await freePort()),
      ABLAUF_MONGODB_URI: uri.href,
    },
    log: join(system.folder, 'other-api.log'),
    report: () => undefined,
  });
  await eventually('the other process answers', async () => ((await statusOf('/readyz')) === 200 ? true : undefined));
});
afterAll(async () => {
  if (measured.length > 0) {
    const sorted = [...measured].sort((a, b) => a - b).map(Math.round);
    process.stdout.write(`refused elsewhere after ${sorted.join(', ')} ms\n`);
  }
  await other.stop();
  await cutter.stop();
  await system.stop();
});

async function statusOf(path: string, key?: string, url = otherUrl): Promise<number> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  return fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(10_000) }).then(
    (response) => response.status,
    () => 0,
  );
}

const uses = (key: string) => statusOf('/v1/accounts?limit=1', key);

async function aKeyInUse(): Promise<{ id: string; key: string }> {
  const made = await system.ask<{ id: string; key: string }>('POST', '/v1/api-keys', { role: 'operator' });
  expect(made.status).toBe(201);
  expect(await uses(made.body.key)).toBe(200);
  expect(await uses(made.body.key)).toBe(200);
  return made.body;
}

async function revoke(id: string): Promise<number> {
  expect((await system.ask('DELETE', `/v1/api-keys/${id}`)).status).toBe(204);
  return performance.now();
}

/**
 * Uses a key again and again, and looks only at what was asked after the time was up: however slow the machine is, none of that may
 * have been let in. Returns the statuses, and when
 * the first refusal was asked for.
 */
async function usesAfter(revokedAt: number, key: string, until: number) {
  const statuses: number[] = [];
  let refusedAfter = Infinity;
  while (performance.now() < revokedAt + until || statuses.length === 0) {
    const asked = performance.now();
    const status = await uses(key);
    if (status === 401) refusedAfter = Math.min(refusedAfter, asked - revokedAt);
    if (asked - revokedAt >= within) statuses.push(status);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { statuses, refusedAfter };
}

describe('a revoked key', () => {
  it('is refused everywhere', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id, key } = await aKeyInUse();
      const revokedAt = await revoke(id);
      // Where it was revoked, at once.
      expect(await statusOf('/v1/accounts?limit=1', key, system.url)).toBe(401);
      const { statuses, refusedAfter } = await usesAfter(revokedAt, key, within);
      expect(new Set(statuses)).toEqual(new Set([401]));
      measured.push(refusedAfter);
    }
  });

  it('is let in by nobody who cannot hear of it, because the stream was cut just before', async () => {
    const { id, key } = await aKeyInUse();
    cutter.cut();
    const { statuses } = await usesAfter(await revoke(id), key, 3000);
    cutter.mend();
    expect(statuses).not.toContain(200);
    expect(await eventually('it is refused', async () => ((await uses(key)) === 401 ? true : undefined))).toBe(true);
  });

  it('nor because nothing comes over it any more', async () => {
    const { id, key } = await aKeyInUse();
    cutter.freeze();
    const { statuses } = await usesAfter(await revoke(id), key, 3000);
    cutter.cut();
    cutter.mend();
    expect(statuses).not.toContain(200);
    expect(await eventually('it is refused', async () => ((await uses(key)) === 401 ? true : undefined))).toBe(true);
  });

  it('stays refused when the database is killed right after, and one that was not revoked works again', async () => {
    const [revoked, kept] = [await aKeyInUse(), await aKeyInUse()];
    const revokedAt = await revoke(revoked.id);
    await system.kill('mongodb');
    expect((await usesAfter(revokedAt, revoked.key, 3000)).statuses).not.toContain(200);
    await system.start('mongodb');
    expect(await eventually('it is refused', async () => ((await uses(revoked.key)) === 401 ? true : undefined))).toBe(
      true,
    );
    expect(await eventually('it works', async () => ((await uses(kept.key)) === 200 ? true : undefined))).toBe(true);
    // The stream follows again: the next revocation is heard of.
    const revokedLater = await eventually('it is revoked', async () =>
      (await system.ask('DELETE', `/v1/api-keys/${kept.id}`)).status === 204 ? performance.now() : undefined,
    );
    expect(new Set((await usesAfter(revokedLater, kept.key, 2000)).statuses)).toEqual(new Set([401]));
  });

  it('is refused at its instant when it expires, without anybody telling', async () => {
    const expiresAt = new Date(Date.now() + 3000);
    const made = await system.ask<{ key: string }>('POST', '/v1/api-keys', {
      role: 'operator',
      expiresAt: expiresAt.toISOString(),
    });
    expect(await uses(made.body.key)).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, expiresAt.getTime() - Date.now() + 1));
    expect(await uses(made.body.key)).toBe(401);
  });
});
