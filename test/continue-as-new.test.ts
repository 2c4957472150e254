import { randomUUID } from 'node:crypto';
import { startTemporal, type RunningTemporal } from '../src/embedded';
import { RefusedError } from '../src/temporal';
import { searchAttributeTypes, stateQuery, type CourseView, type Recorded } from '../src/workflows';
import { admin, region, startSystem, workflowIdOf, type System } from './helpers/system';

// The promise: an account's life is longer than any run of its workflow, and nobody notices where one run ends and the next
// begins. The server here suggests it after a few dozen events instead of thousands.

describe('across runs', () => {
  let temporal: RunningTemporal;
  let system: System;

  beforeAll(async () => {
    temporal = await startTemporal({
      port: 0,
      namespace: 'default',
      searchAttributes: searchAttributeTypes,
      extraArgs: ['--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=60'],
    });
    system = await startSystem({ address: temporal.address });
  }, 120_000);
  afterAll(async () => {
    await system.stop();
    await temporal.stop();
  }, 60_000);

  const handleOf = (id: string) => system.client.workflow.getHandle(workflowIdOf(region, id));
  const runOf = async (id: string) => (await handleOf(id).describe()).runId;

  async function stepTaken(id: string, seq: number) {
    for (const started = performance.now(); ;) {
      const account = await system.account(id);
      if (account.seq >= seq) return account;
      if (performance.now() - started > 30_000) throw new Error(`still at step ${account.seq} of ${seq}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function runsOf(id: string): Promise<number> {
    let runs = 0;
    const query = `WorkflowId = '${workflowIdOf(region, id)}'`;
    const listed = system.client.workflow.list({ query })[Symbol.asyncIterator]();
    while ((await listed.next()).done !== true) runs += 1;
    return runs;
  }

  /** Every step once, in order, without a gap. */
  async function expectUnbrokenLog(id: string, steps: number): Promise<void> {
    const entries = await system.store.audit.entries
      .find({ subject: system.store.vault.pseudonymOf(id) })
      .sort({ seq: 1 })
      .lean()
      .exec();
    expect(entries.map((entry) => entry.seq)).toEqual(Array.from({ length: steps }, (_, n) => n + 1));
    expect(await system.account(id)).toMatchObject({ seq: steps });
    const view = await handleOf(id).query<CourseView>(stateQuery);
    expect(view).toMatchObject({ seq: steps, waiting: 0 });
  }

  test('R13: updates that follow each other are all carried out, once', async () => {
    const id = await system.createAccount();
    const first = await runOf(id);
    for (let n = 0; n < 20; n += 1) {
      await system.send(id, 'suspend', { reason: 'other' });
      await system.send(id, 'reinstate');
    }
    expect(await runOf(id)).not.toBe(first);
    await expectUnbrokenLog(id, 41);
    expect(await system.account(id)).toMatchObject({ state: 'active' });
    expect((await system.account(id)).inactive).toHaveLength(20);
  }, 60_000);

  test('R13: updates and signals that keep arriving from all sides lose nothing, and nothing happens twice', async () => {
    const id = await system.createAccount();
    const asked = 12;
    const each = 10;
    const placed: Recorded[] = [];
    const clients = Array.from({ length: 4 }, async (_, client) => {
      for (let n = 0; n < asked; n += 1) {
        placed.push(await system.send(id, 'placeHold', { reason: `update ${client}.${n}` }));
      }
    });
    const hands = Array.from({ length: 3 }, async (_, hand) => {
      for (let n = 0; n < each; n += 1) {
        await handleOf(id).signal('placeHold', { reason: `signal ${hand}.${n}` });
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
    });
    await Promise.all([...clients, ...hands]);
    const total = 4 * asked + 3 * each;
    const account = await stepTaken(id, 1 + total);
    const reasons = account.lifecycle.holds.map((hold) => hold.reason);
    expect(new Set(reasons).size).toBe(total);
    expect(reasons).toHaveLength(total);
    // Every answer is about a step of its own, and the hold it names stands.
    expect(new Set(placed.map((answer) => answer.seq)).size).toBe(4 * asked);
    const standing = new Set(account.lifecycle.holds.map((hold) => hold.id));
    for (const answer of placed) expect(standing.has(answer.hold?.id ?? '')).toBe(true);
    await expectUnbrokenLog(id, 1 + total);
  }, 90_000);

  test('R13: an update repeated in a later run is answered as it was, refused or carried out', async () => {
    const id = await system.createAccount();
    const [done, refused] = [randomUUID(), randomUUID()];
    const suspend = () => system.courses.send(id, 'suspend', { reason: 'other' }, { actor: admin }, done);
    const reopen = () =>
      system.courses.send(id, 'reopen', { note: 'x' }, { actor: admin }, refused).catch((error: unknown) => error);
    const answer = await suspend();
    const refusal = await reopen();
    expect(refusal).toBeInstanceOf(RefusedError);
    const first = await runOf(id);
    for (let n = 0; n < 18 && (await runOf(id)) === first; n += 1) {
      await system.send(id, 'changePolicy', { expiryPeriod: `P${31 + n}D` });
    }
    expect(await runOf(id)).not.toBe(first);
    const { seq } = await system.account(id);
    expect(await suspend()).toEqual(answer);
    expect(await reopen()).toEqual(refusal);
    await expectUnbrokenLog(id, seq);
  }, 60_000);

  test('signals that come faster than they are carried out do not keep a run from ending', async () => {
    const id = await system.createAccount();
    await Promise.all(Array.from({ length: 60 }, (_, n) => handleOf(id).signal('placeHold', { reason: `hold ${n}` })));
    const account = await stepTaken(id, 61);
    expect(account.lifecycle.holds).toHaveLength(60);
    await expectUnbrokenLog(id, 61);
    expect(await runsOf(id)).toBeGreaterThan(1);
  }, 60_000);

  test('R3: a deadline, its holds and what operators see survive the change of runs', async () => {
    const id = await system.createAccount();
    await system.send(id, 'suspend', { reason: 'non_payment' });
    const { deadline } = await system.account(id);
    const first = await runOf(id);
    for (let n = 0; n < 20 && (await runOf(id)) === first; n += 1) {
      const { hold } = await system.send(id, 'placeHold', { reason: `hold ${n}` });
      await system.send(id, 'releaseHold', { holdId: hold?.id });
    }
    expect(await runOf(id)).not.toBe(first);
    const view = await handleOf(id).query<CourseView>(stateQuery);
    expect(view).toMatchObject({ state: 'suspended', deadline: { action: 'close', at: deadline?.at.toISOString() } });
    const { typedSearchAttributes } = await handleOf(id).describe();
    const seen = Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
    expect(seen).toMatchObject({
      AccountId: id,
      AccountState: 'suspended',
      NextAction: 'close',
      DeadlineAt: deadline?.at,
    });
    const metadata = await handleOf(id).query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    expect(metadata.currentDetails).toContain('**suspended** since');
  }, 60_000);
});
