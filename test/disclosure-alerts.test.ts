/** R24, R29: what whoever is on call hears of a missing disclosure, from the real processes, across a crash, until it is over. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { dataConverterOf } from '../src/temporal';
import { eventually } from './helpers/eventually';
import { startProcesses, type ProcessSystem } from './helpers/processes';
import { providerEntry } from './helpers/providers';
import { region } from './helpers/system';

let system: ProcessSystem;
let connection: Connection;

beforeAll(async () => {
  system = await startProcesses();
  connection = await Connection.connect({ address: system.temporalAddress });
}, 180_000);
afterAll(async () => {
  await connection.close();
  await system.stop();
});

interface Line {
  readonly level: number;
  readonly alert?: string;
  readonly recovered?: string;
  readonly provider?: string;
  readonly since?: string;
}

/** What the worker has logged of disclosures since it was last started. */
function logged(): Line[] {
  const lines = readFileSync(join(system.folder, 'worker.log'), 'utf8').split('\n');
  return lines
    .filter((line) => line.startsWith('{') && line.includes('"disclosure-'))
    .map((line) => JSON.parse(line) as Line);
}

/** Has the schedule look now, and waits until it has. */
async function look(): Promise<void> {
  const { schedule, workflow } = new Client({ connection, dataConverter: dataConverterOf(await system.vault()) });
  const handle = schedule.getHandle(`disclosures/${region}`);
  // The worker sets its schedules up after it has begun to work.
  const { info } = await eventually('there is a schedule', () => handle.describe());
  const before = info.recentActions.length;
  await handle.trigger();
  const run = await eventually('the schedule has begun a look', async () => {
    const { recentActions } = (await handle.describe()).info;
    return recentActions.length > before ? recentActions.at(-1)?.action.workflow : undefined;
  });
  await workflow.getHandle(run.workflowId).result();
}

test('a missing disclosure is an alert once, not again after a crash, and its end is said', async () => {
  const { body: made } = await system.ask<{ items: { id: string; name: string }[] }>('POST', '/v1/providers/starters', {
    providers: ['aws'],
    sites: [region],
  });
  const [{ id, name } = { id: '', name: '' }] = made.items;
  await look();
  expect(logged()).toMatchObject([
    { level: 50, alert: 'disclosure-missing', provider: id, since: expect.any(String) as string },
  ]);

  await system.kill('worker');
  await system.start('worker');
  await look();
  expect(logged()).toEqual([]);

  const put = await system.ask('PUT', `/v1/providers/${id}`, providerEntry(name));
  expect(put.status).toBe(200);
  await look();
  expect(logged()).toMatchObject([{ level: 40, recovered: 'disclosure-missing', provider: id }]);
  const { body: log } = await system.ask<{ items: { action: string }[] }>('GET', '/v1/audit?limit=100');
  const acts = log.items.map(({ action }) => action).filter((action) => action.startsWith('provider.'));
  expect(acts.sort()).toEqual([
    'provider.created',
    'provider.disclosure-missing',
    'provider.disclosure-settled',
    'provider.updated',
  ]);
}, 180_000);
