import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { categories, ingest, type Store } from '../src/data';
import type { SweepInput } from '../src/workflows';
import { dataConverterOf, ensureSchedules, keepEnsuringSchedules, sweepIdOf } from '../src/temporal';
import { accountPaths, event, everywhere, recordCounts } from './helpers/events';
import { eventually } from './helpers/eventually';
import { region, required, startSystem, startTimeSkippingSystem, type NewAccount, type System } from './helpers/system';

// The promise: R12 end to end. Whatever has passed its age is gone an hour later, on a clock that skips; and a region's
// schedule starts the sweeps.

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** What the schedule does on a server that has none. */
const interval = 20 * minute;

async function sweep(system: System): Promise<{ accounts: number; records: number }> {
  const input: SweepInput = { region };
  // A client of its own: the time-skipping one would let time fly while it waits for a result.
  const dataConverter = dataConverterOf(system.store.vault);
  const client = new Client({ connection: system.client.connection, dataConverter });
  return client.workflow.execute('sweepWorkflow', {
    workflowId: `sweep/${region}/run-${randomUUID()}`,
    taskQueue: system.taskQueue,
    args: [input],
  }) as Promise<{ accounts: number; records: number }>;
}

/** Stores an event, and has the gate say when it passes its age, as ingest does. */
async function store(system: System, account: string, at: Date): Promise<void> {
  // Received when it happened: what is past its age by both clocks is not stored at all.
  const result = await ingest(system.store, [event(account, at)], accountPaths, at);
  expect(result).toMatchObject({ accepted: 1 });
  const days = (await system.account(account)).lifecycle.overrides.activeRetentionDays;
  if (days === undefined) return;
  const purgeAt = new Date(Math.ceil(at.getTime() / 1000) * 1000 + days * day);
  await system.store.gates.updateOne({ _id: account }, { $min: { purgeAt } });
}

describe('on the time-skipping server', () => {
  let system: System;

  beforeAll(async () => {
    system = await startTimeSkippingSystem({ settings: { gracePeriod: 'P60D', expiryPeriod: 'P60D' } });
  });
  afterAll(() => system.stop());

  const enterprise = (days?: number, more: NewAccount = {}) =>
    system.createAccount({
      plan: 'enterprise',
      overrides: days === undefined ? {} : { activeRetentionDays: days },
      ...more,
    });

  /** Lets time pass, with a sweep every twenty minutes as the schedule has it; the first right away. */
  async function pass(milliseconds: number): Promise<void> {
    for (let passed = 0; ; passed += interval) {
      await sweep(system);
      if (passed >= milliseconds) return;
      await system.sleep(interval);
    }
  }

  const counts = (id: string) => recordCounts(system, id);

  test.each(['active', 'suspended', 'expired'] as const)(
    'R12: of an account that is %s, everything is there until it passes N days, and gone an hour later at the latest',
    async (state) => {
      const id = await enterprise(2);
      const stored = await system.now();
      await store(system, id, stored);
      if (state !== 'active') await system.send(id, 'suspend', { reason: 'other' });
      if (state === 'expired') await system.send(id, 'close');
      expect((await system.account(id)).state).toBe(state);
      await system.sleep(2 * day - hour);
      await pass(interval);
      expect((await system.now()).getTime()).toBeLessThan(stored.getTime() + 2 * day);
      expect(await counts(id)).toEqual(everywhere(1));
      await pass(hour + interval);
      expect((await system.now()).getTime()).toBeLessThan(stored.getTime() + 2 * day + hour);
      expect(await counts(id)).toEqual(everywhere(0));
      expect(await system.actions(id)).toContain('records.purged');
    },
  );

  test('R9, R12: holds keep what they protect, and their release lets it go', async () => {
    const [whole, part] = [await enterprise(1), await enterprise(1)];
    for (const id of [whole, part]) await store(system, id, await system.now());
    const holds = [
      await system.send(whole, 'placeHold', { reason: 'a lawsuit' }),
      await system.send(part, 'placeHold', { reason: 'a lawsuit', datasets: ['logs', 'usage'] }),
    ].map(({ hold }) => hold?.id);
    await system.sleep(day + minute);
    await sweep(system);
    expect(await counts(whole)).toEqual(everywhere(1));
    expect(await counts(part)).toEqual({ prompts: 0, completions: 0, logs: 1, usage: 1 });
    await system.send(whole, 'releaseHold', { holdId: holds[0] });
    await system.send(part, 'releaseHold', { holdId: holds[1] });
    await system.sleep(1000);
    await sweep(system);
    for (const id of [whole, part]) expect(await counts(id)).toEqual(everywhere(0));
  });

  test('R9: a hold that ends by itself lets it go as well', async () => {
    const id = await enterprise(1);
    await store(system, id, await system.now());
    const until = new Date((await system.now()).getTime() + 3 * day).toISOString();
    await system.send(id, 'placeHold', { reason: 'a lawsuit', until });
    await system.sleep(2 * day);
    await sweep(system);
    expect(await counts(id)).toEqual(everywhere(1));
    await system.sleep(day + minute);
    await sweep(system);
    expect(await counts(id)).toEqual(everywhere(0));
  });

  test('R12: N takes effect when it is set or lowered, and no longer when it is raised or taken away', async () => {
    const id = await enterprise();
    const now = (await system.now()).getTime();
    for (const age of [1, 5, 10, 20]) await store(system, id, new Date(now - age * day));
    const change = async (activeRetentionDays: number | null) => {
      await system.send(id, 'changePolicy', { activeRetentionDays });
      await system.sleep(1000);
      await sweep(system);
    };
    await change(15);
    expect(await counts(id)).toEqual(everywhere(3));
    await change(7);
    expect(await counts(id)).toEqual(everywhere(2));
    await change(30);
    await system.sleep(6 * day);
    await sweep(system);
    expect(await counts(id)).toEqual(everywhere(2));
    await change(null);
    await system.sleep(30 * day);
    await sweep(system);
    expect(await counts(id)).toEqual(everywhere(2));
    await change(0);
    expect(await counts(id)).toEqual(everywhere(0));
    expect((await system.account(id)).purging).toBeUndefined();
  });

  test('R11: an account that leaves the plan keeps its value, and the purge goes on', async () => {
    const id = await enterprise(1);
    await system.store.accounts.updateOne({ _id: id }, { $set: { plan: 'standard' } });
    await store(system, id, await system.now());
    await system.sleep(day + minute);
    await sweep(system);
    expect(await counts(id)).toEqual(everywhere(0));
  });

  test('R6: an account that was erased has left nothing to sweep', async () => {
    const id = await enterprise(1);
    await store(system, id, await system.now());
    await system.send(id, 'close');
    await system.sleep(61 * day);
    await eventually('it is erased', async () => ((await system.account(id)).state === 'erased' ? true : undefined));
    expect(await sweep(system)).toMatchObject({ accounts: 0, records: 0 });
  });

  test('a sweep that has nothing to do does nothing', async () => {
    expect(await sweep(system)).toMatchObject({ accounts: 0, records: 0 });
  });
});

describe('what fails', () => {
  let system: System;
  let refused: string | undefined;
  let stretches = 0;

  beforeAll(async () => {
    system = await startSystem({
      activities: (activities) => ({
        ...activities,
        async purgeDue(stretch) {
          stretches += 1;
          return activities.purgeDue(stretch);
        },
      }),
      store: (opened): Store => ({
        ...opened,
        audit: {
          ...opened.audit,
          append: (session, entry) =>
            entry.account === refused && entry.action === 'records.purged'
              ? Promise.reject(Object.assign(new Error('no space left'), { name: 'MongoServerError', code: 14031 }))
              : opened.audit.append(session, entry),
        },
      }),
    });
  });
  afterAll(() => system.stop());

  test('R12: a refused write leaves that account whole, the others go, the sweep says so, and the next one tries again', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 3; index += 1) {
      const id = await system.createAccount({ plan: 'enterprise', overrides: { activeRetentionDays: 1 } });
      await store(system, id, new Date(Date.now() - (9 - index) * day));
      ids.push(id);
    }
    const [first = '', ...others] = ids;
    refused = first;
    await expect(sweep(system)).rejects.toMatchObject({
      cause: {
        type: 'PurgeFailedError',
        message: expect.stringContaining(`${first} (MongoServerError 14031)`) as unknown,
      },
    });
    expect(await recordCounts(system, first)).toEqual(everywhere(1));
    expect(await system.actions(first)).not.toContain('records.purged');
    for (const id of others) expect(await recordCounts(system, id)).toEqual(everywhere(0));
    refused = undefined;
    expect(await sweep(system)).toMatchObject({ accounts: 1, records: categories.length });
    expect(await recordCounts(system, first)).toEqual(everywhere(0));
    expect(stretches).toBe(2);
  });
});

describe('the schedule', () => {
  let system: System;

  beforeAll(async () => {
    system = await startSystem();
  });
  afterAll(async () => {
    await system.client.schedule.getHandle(sweepIdOf(place())).delete();
    await system.stop();
  });

  // The server is shared: a region of the test's own.
  const own = `test-${randomUUID()}`;
  const place = () => own;

  test('exists however many workers start at once, runs, and is brought up to date without losing an operator’s pause', async () => {
    const { client, taskQueue } = system;
    const options = { client, region: own, taskQueue };
    await Promise.all([ensureSchedules(options), ensureSchedules(options), ensureSchedules(options)]);
    const handle = client.schedule.getHandle(sweepIdOf(own));
    const made = await handle.describe();
    expect(made).toMatchObject({
      spec: { intervals: [{ every: 20 * minute }] },
      policies: { overlap: 'SKIP', catchupWindow: minute },
      action: { workflowType: 'sweepWorkflow', taskQueue, args: [{ region: own }], staticSummary: `Sweep · ${own}` },
      state: { paused: false },
    });

    await handle.trigger();
    const run = await eventually('a sweep has begun', async () => {
      const { info } = await handle.describe();
      return info.recentActions[0]?.action.workflow;
    });
    expect(run.workflowId).toMatch(new RegExp(`^sweep/${own}/run-2`));
    expect(await client.workflow.getHandle(run.workflowId).result()).toMatchObject({ accounts: 0, records: 0 });

    await handle.pause('maintenance');
    await ensureSchedules({ ...options, taskQueue: 'another' });
    expect(await handle.describe()).toMatchObject({
      action: { taskQueue: 'another' },
      state: { paused: true, note: 'maintenance' },
    });
  });

  test('is set up as soon as Temporal is there, and given up when the worker stops', async () => {
    const failures: unknown[] = [];
    const stopping = new AbortController();
    const { taskQueue } = system;
    // As the worker has it: over the connection it works with.
    const connection = await NativeConnection.connect({ address: required('ABLAUF_TEST_TEMPORAL') });
    const client = new Client({ connection, dataConverter: dataConverterOf(system.store.vault) });
    let tries = 0;
    const away = new Proxy(client, {
      get(target, name, receiver) {
        if (name !== 'schedule' || (tries += 1) > 1) return Reflect.get(target, name, receiver) as unknown;
        throw new Error('away');
      },
    });
    const failed = (error: unknown) => failures.push(error);
    await keepEnsuringSchedules({ client: away, region: own, taskQueue }, failed, stopping.signal);
    expect(failures).toHaveLength(1);
    tries = 0;
    const waiting = keepEnsuringSchedules({ client: away, region: own, taskQueue }, failed, stopping.signal);
    stopping.abort();
    await waiting;
    expect(tries).toBe(1);
    await connection.close();
  });
});
