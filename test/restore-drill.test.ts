/**
 * R23, as an operator does it: everything is stopped, whole folders of the servers are put back to what they were before accounts
 * were erased, and everything is started again. Real servers, real processes, and the ledger where no restore reaches.
 */
import { cp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { liteLlmCall } from '../scripts/support/traffic';
import { eventually } from './helpers/eventually';
import { startProcesses, type Part, type ProcessSystem } from './helpers/processes';
import { region, workflowIdOf } from './helpers/system';

interface Account {
  readonly id: string;
  readonly state: string;
  readonly email?: string;
  readonly holds?: readonly unknown[];
  readonly code?: string;
}

const parts: readonly Part[] = ['api', 'worker', 'temporal', 'mongodb'];
type Server = 'mongodb' | 'temporal';

let system: ProcessSystem;

beforeAll(async () => {
  system = await startProcesses({ ABLAUF_GRACE_PERIOD: 'P14D', ABLAUF_EXPIRY_PERIOD: 'PT2S' });
}, 120_000);
afterAll(() => system.stop(), 60_000);

async function create(id: string): Promise<string> {
  const body = { id, name: `The ${id} company`, email: `${id}@example.org`, plan: 'standard' };
  expect((await system.ask('POST', '/v1/accounts', body)).status).toBe(201);
  const calls = Array.from({ length: 20 }, () => liteLlmCall({ account: id }));
  expect((await system.ask<{ accepted: number }>('POST', '/v1/ingest/litellm', calls)).body.accepted).toBe(20);
  return id;
}

async function stopAll(): Promise<void> {
  for (const part of parts) await system.kill(part);
}

async function startServers(): Promise<void> {
  await Promise.all([system.start('mongodb'), system.start('temporal')]);
}

/** Copies the servers' folders while nothing runs, and starts everything again. */
async function backUp(): Promise<void> {
  await stopAll();
  for (const name of ['mongodb', 'temporal']) {
    await cp(join(system.folder, name), join(system.folder, `${name}.backup`), { recursive: true });
  }
  await startServers();
  await Promise.all([system.start('worker'), system.start('api')]);
  await ready();
}

/** Puts folders back while nothing runs, and starts the servers, and nothing of ours. */
async function putBack(names: readonly Server[]): Promise<void> {
  await stopAll();
  for (const name of names) {
    await rm(join(system.folder, name), { recursive: true });
    await cp(join(system.folder, `${name}.backup`), join(system.folder, name), { recursive: true });
  }
  await startServers();
}

function ready(): Promise<unknown> {
  return eventually('the system is ready', async () => {
    const { status } = await fetch(`${system.url}/readyz`);
    return status === 200 ? true : undefined;
  });
}

async function find(id: string): Promise<Account> {
  return (await system.ask<Account>('GET', `/v1/accounts/${id}`)).body;
}

function until(id: string, what: string, holds: (account: Account) => boolean): Promise<Account> {
  return eventually(`${id}: ${what}`, async () => {
    const account = await find(id);
    return holds(account) ? account : undefined;
  });
}

/** Until an account's workflow has ended: only then its erasure is in the ledger, and complete. */
async function close(id: string): Promise<void> {
  expect((await system.ask('POST', `/v1/accounts/${id}/close`, {})).status).toBe(200);
  await until(id, 'erased', ({ state }) => state === 'erased');
  await withTemporal(async ({ workflow }) => {
    await eventually(`the erasure of ${id} is complete`, async () => {
      const { status } = await workflow.getHandle(workflowIdOf(region, id)).describe();
      return status.name === 'COMPLETED' ? true : undefined;
    });
  });
}

async function withTemporal(work: (client: Client) => Promise<void>): Promise<void> {
  const connection = await Connection.connect({ address: system.temporalAddress });
  try {
    await work(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

/** Starts the check that comes every hour, as the guide says. */
function triggerCheck(): Promise<void> {
  return withTemporal(async ({ schedule }) => {
    await eventually('the check is triggered', async () => {
      await schedule.getHandle(`courses/${region}`).trigger();
      return true;
    });
  });
}

/** What is answered about an account, from the API's first breath until it is ready. */
async function askedMeanwhile(id: string, starting: () => Promise<unknown>): Promise<readonly string[]> {
  const heard: string[] = [];
  const over = new AbortController();
  const asking = (async () => {
    while (!over.signal.aborted) {
      const answer = await system.ask<Account>('GET', `/v1/accounts/${id}`).catch(() => undefined);
      if (answer !== undefined) heard.push(answer.status === 200 ? answer.body.state : (answer.body.code ?? '?'));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  await starting();
  over.abort();
  await asking;
  return heard;
}

async function stored(id: string): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { name } of await system.database().listCollections().toArray()) {
    const documents = system
      .database()
      .collection(name)
      .find({}, { raw: true }) as unknown as AsyncIterable<Uint8Array>;
    for await (const document of documents) {
      if (Buffer.from(document).includes(id)) found[name] = (found[name] ?? 0) + 1;
    }
  }
  return found;
}

async function alerts(): Promise<readonly string[]> {
  const logs = await Promise.all(['api', 'worker'].map((name) => readFile(join(system.folder, `${name}.log`), 'utf8')));
  return logs.flatMap((log) => [...log.matchAll(/"alert":"([^"]+)"/g)].map(([, name = '']) => name));
}

test('R23: the database’s folder from before an erasure: nobody is served from it, and the account is erased again', async () => {
  const [gone, held] = [await create('drill-gone'), await create('drill-held')];
  await backUp();
  await close(gone);
  expect((await system.ask('POST', `/v1/accounts/${held}/holds`, { reason: 'a case' })).status).toBe(201);
  await close(await create('drill-later'));

  await putBack(['mongodb']);
  expect(await stored(gone)).toMatchObject({ accounts: 1, prompts: 20 });
  const heard = await askedMeanwhile(gone, async () => {
    await Promise.all([system.start('worker'), system.start('api')]);
    await ready();
    await until(gone, 'erased', ({ state }) => state === 'erased');
  });
  expect([...new Set(heard)].filter((answer) => answer !== 'unavailable')).toEqual(['erased']);
  expect(await alerts()).toEqual(expect.arrayContaining(['database-restored', 'erased-again']));
  // The log alone may still say how it was called, encrypted; here not even that.
  expect(await stored(gone)).toEqual({});
  expect(await find('drill-later')).toMatchObject({ state: 'erased' });

  // What only the workflow knew comes back, holds first.
  await triggerCheck();
  await until(held, 'held again', ({ holds = [] }) => holds.length === 1);
}, 300_000);

test('R23: then Temporal’s folder from before: workflows adopt what is recorded, and go on', async () => {
  await putBack(['temporal']);
  await Promise.all([system.start('worker'), system.start('api')]);
  await ready();
  await triggerCheck();
  expect((await system.ask('POST', '/v1/accounts/drill-held/suspend', { reason: 'other' })).status).toBe(200);
  expect(await find('drill-held')).toMatchObject({ state: 'suspended', holds: [{}] });
  expect(await find('drill-gone')).toMatchObject({ state: 'erased' });
  expect(await stored('drill-gone')).toEqual({});
}, 300_000);

test('R23: then both from before, as when a whole machine is put back: the ledger alone knows, and suffices', async () => {
  await putBack(['mongodb', 'temporal']);
  const heard = await askedMeanwhile('drill-gone', async () => {
    await Promise.all([system.start('worker'), system.start('api')]);
    await ready();
    await until('drill-gone', 'erased', ({ state }) => state === 'erased');
  });
  expect([...new Set(heard)].filter((answer) => answer !== 'unavailable')).toEqual(['erased']);
  expect(await stored('drill-gone')).toEqual({});
  // Nothing but the backup knew of this account: it is as it was then, and goes on from there.
  expect(await find('drill-held')).toMatchObject({ state: 'active', holds: [] });
  await triggerCheck();
  await close('drill-held');
}, 300_000);
