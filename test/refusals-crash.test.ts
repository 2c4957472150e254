/** R19: what was entered of a flood outlives the process. */
import { startProcesses, type ProcessSystem } from './helpers/processes';
import { eventually } from './helpers/eventually';

let system: ProcessSystem;
beforeAll(async () => {
  system = await startProcesses();
}, 180_000);
afterAll(() => system.stop(), 60_000);

/** Refusals on record: how many entries, and how many they tell of. */
async function onRecord(): Promise<readonly [number, number]> {
  const found = await system.database().collection('auditEntries').find({ action: 'auth.refused' }).toArray();
  const counts = found.map(({ details }) => (details as { count?: number }).count ?? 1);
  return [found.length, counts.reduce((sum, count) => sum + count, 0)];
}

async function flood(requests: number): Promise<void> {
  for (let n = 0; n < requests; n += 20) {
    const asked = Array.from({ length: 20 }, () => system.ask('GET', '/v1/accounts', undefined, { key: `wrong-${n}` }));
    for (const { status } of await Promise.all(asked)) expect([401, 429]).toContain(status);
  }
}

test('R19: a crash in the middle of a flood leaves the first few and a log that verifies', async () => {
  await flood(200);
  await eventually('the first few', async () => ((await onRecord())[0] >= 5 ? true : undefined));
  await system.kill('api');
  await system.start('api');
  expect((await onRecord())[0]).toBeGreaterThanOrEqual(5);
  expect(await system.ask('POST', '/v1/audit/verify')).toMatchObject({ status: 200, body: { ok: true } });
}, 120_000);
