/** The timer of what the law keeps (R10): it lasts for years, asks two clocks, and ends when nothing is kept any more. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import { sealSet, statutoryEnd, tombstoneId, type Store } from '../src/data';
import { createPayloadCodec } from '../src/temporal';
import { eventually } from './helpers/eventually';
import { bury, erasingAccount, invoices, storeInvoices } from './helpers/invoices';
import {
  openGuard,
  region,
  startSystem,
  startTimeSkippingSystem,
  type System,
  type SystemOptions,
} from './helpers/system';

const minute = 60 * 1000;
const hour = 60 * minute;
const day = 24 * hour;
const years = invoices.statutory?.years ?? NaN;

let system: System;
afterEach(() => system.stop());

function endOf(issuedOn: string): Date {
  return statutoryEnd(issuedOn, { years });
}

/** An erased account whose invoices of these dates are sealed, and the workflow that waits for them. */
async function kept({ store, jobs, client }: System, dates: readonly string[]): Promise<[string, WorkflowHandle]> {
  const account = await erasingAccount(store);
  await storeInvoices(store, account, dates);
  await sealSet(store, { account, set: invoices });
  await bury(store, account);
  return [account, await begin({ jobs, client, store }, account)];
}

async function begin(
  { jobs, client, store }: Pick<System, 'jobs' | 'client' | 'store'>,
  account: string,
): Promise<WorkflowHandle> {
  const name = tombstoneId(store, account);
  const id = `retained/${region}/${name.slice(1)}`;
  const input = { account: name, region };
  await jobs.start({ type: 'retainedWorkflow', id, input, summary: `Kept of ${name}`, account: name });
  return client.workflow.getHandle(id);
}

function left(store: Store, account: string): Promise<number> {
  return store.sealed.countDocuments({ subject: store.vault.pseudonymOf(account) });
}

/** The database server's clock from now on. */
function setDatabaseClock(store: Store, clock: () => Promise<Date>): void {
  Object.assign(store, { databaseTime: clock });
}

describe('with time skipped', () => {
  let now: Date;

  async function startSkipping(options: SystemOptions = {}): Promise<System> {
    const { clockTolerance } = openGuard;
    system = await startTimeSkippingSystem({ ...options, guard: { clockTolerance } });
    now = await system.now();
    return system;
  }

  async function sleepUntil(at: Date): Promise<void> {
    await system.sleep(at.getTime() - (await system.now()).getTime());
  }

  /** The years after this one. */
  function inYears(n: number): number {
    return now.getUTCFullYear() + n;
  }

  // That server ends every workflow after ten years; the real one does not.
  test('R10: invoices go on the first of January of the ninth year, each year with a certificate, and not before', async () => {
    const { store, actions, account: find } = await startSkipping();
    const dates = [`${inYears(0)}-01-01`, `${inYears(0)}-12-31`, `${inYears(1)}-02-28`];
    const [one, two] = [endOf(`${inYears(0)}-06-30`), endOf(`${inYears(1)}-06-30`)];
    const [account, workflow] = await kept(system, dates);
    await sleepUntil(new Date(one.getTime() - minute));
    expect(await left(store, account)).toBe(3);
    await sleepUntil(new Date(one.getTime() + minute));
    await eventually('the first go', async () => ((await left(store, account)) === 1 ? true : undefined));
    await eventually('the first certificate', async () => (await find(account)).certificateIds?.[0]);
    expect(await find(account)).toMatchObject({ retainedUntil: two });
    await sleepUntil(new Date(two.getTime() - minute));
    expect(await left(store, account)).toBe(1);
    await sleepUntil(new Date(two.getTime() + minute));
    await workflow.result();
    expect(await left(store, account)).toBe(0);
    const tombstone = await find(account);
    expect(tombstone.certificateIds).toHaveLength(2);
    expect(tombstone).not.toHaveProperty('retainedUntil');
    expect(await actions(account)).toEqual(['retained.erased', 'retained.erased', 'key.destroyed']);
    const entries = await store.audit.entries
      .find({ subject: store.vault.pseudonymOf(account) })
      .sort({ at: 1 })
      .lean();
    expect(entries[0]?.at.getTime()).toBeGreaterThanOrEqual(one.getTime());
    expect(entries[1]?.at.getTime()).toBeGreaterThanOrEqual(two.getTime());
  }, 120_000);

  test.each([
    ['behind', -3653 * day],
    ['ahead', 3653 * day],
  ])(
    "R10: with the database server's clock ten years %s nothing goes until it is set right; it is told once",
    async (_where, off) => {
      const { store, actions, now: skipped } = await startSkipping();
      setDatabaseClock(store, async () => new Date((await skipped()).getTime() + off));
      const [account, workflow] = await kept(system, [`${inYears(0)}-06-30`]);
      const due = endOf(`${inYears(0)}-06-30`);
      await sleepUntil(new Date(due.getTime() + 5.5 * hour));
      await eventually('it is told', async () => ((await actions(account)).length > 0 ? true : undefined));
      expect(await left(store, account)).toBe(1);
      expect(await actions(account)).toEqual(['retained.erasure-delayed']);
      setDatabaseClock(store, skipped);
      await workflow.result();
      expect(await left(store, account)).toBe(0);
      expect((await actions(account)).sort()).toEqual(['key.destroyed', 'retained.erased', 'retained.erasure-delayed']);
      const [certificate] = await store.certificates.find({}).lean();
      expect(certificate).toMatchObject({
        content: { delays: [{ reason: 'clocks-disagree', since: due.toISOString() }] },
      });
    },
    120_000,
  );

  test('it may wait for months: a run hands over to the next, and nothing is told twice', async () => {
    const { store, actions, now: skipped } = await startSkipping();
    setDatabaseClock(store, async () => new Date((await skipped()).getTime() - 3653 * day));
    const [account, workflow] = await kept(system, [`${inYears(0)}-06-30`]);
    const { runId } = await workflow.describe();
    const due = endOf(`${inYears(0)}-06-30`);
    await sleepUntil(due);
    const until = due.getTime() + 120 * day;
    while ((await workflow.describe()).runId === runId && (await skipped()).getTime() < until) await system.sleep(day);
    expect((await workflow.describe()).runId).not.toBe(runId);
    expect(await left(store, account)).toBe(1);
    setDatabaseClock(store, skipped);
    await workflow.result();
    expect(await left(store, account)).toBe(0);
    expect((await actions(account)).sort()).toEqual(['key.destroyed', 'retained.erased', 'retained.erasure-delayed']);
  }, 180_000);

  test("a database server's clock a few seconds behind is waited for, and nobody is told", async () => {
    const { store, actions, now: skipped } = await startSkipping();
    setDatabaseClock(store, async () => new Date((await skipped()).getTime() - 90_000));
    const [account, workflow] = await kept(system, [`${inYears(0)}-06-30`]);
    await workflow.result();
    expect(await actions(account)).toEqual(['retained.erased', 'key.destroyed']);
    const [entry] = await store.audit.entries.find({ subject: store.vault.pseudonymOf(account) }).lean();
    expect(entry?.at.getTime()).toBeGreaterThanOrEqual(endOf(`${inYears(0)}-06-30`).getTime());
  }, 120_000);
});

describe('on the development server', () => {
  let failing: ((attempt: () => Promise<unknown>, account: string) => Promise<void>) | undefined;

  beforeEach(async () => {
    failing = undefined;
    system = await startSystem({
      activities: (activities) => ({
        ...activities,
        async eraseRetained(input) {
          const fail = failing;
          failing = undefined;
          await fail?.(() => activities.eraseRetained(input), input.account);
          return activities.eraseRetained(input);
        },
      }),
    });
  });

  test('an attempt that is lost, and goes on unseen beside the next, leaves one certificate', async () => {
    const { store, account: find, actions } = system;
    let lost: Promise<unknown> | undefined;
    failing = async (attempt, account) => {
      lost = attempt();
      await eventually('it has begun', async () => ((await left(store, account)) < 2500 ? true : undefined));
      throw new Error('the worker is gone');
    };
    const [account, workflow] = await kept(
      system,
      Array.from({ length: 2500 }, () => '2001-06-30'),
    );
    await workflow.result();
    await lost;
    expect(await left(store, account)).toBe(0);
    expect((await find(account)).certificateIds).toHaveLength(1);
    expect(await store.certificates.countDocuments()).toBe(1);
    expect(await actions(account)).toEqual(['retained.erased', 'key.destroyed']);
    expect(await store.certificates.findOne().lean()).toMatchObject({
      content: { sets: [{ found: 2500, erased: 2500 }] },
    });
  }, 120_000);

  test('what the law had let go before the account was erased goes at once', async () => {
    const { store, account: find } = system;
    const [account, workflow] = await kept(system, ['1999-06-30', '2010-01-01', '2010-12-31']);
    await workflow.result();
    expect(await left(store, account)).toBe(0);
    expect((await find(account)).certificateIds).toHaveLength(2);
  });

  test('what is sealed of an account that is not erased yet stays, whatever its date', async () => {
    const { store } = system;
    const account = await erasingAccount(store);
    await storeInvoices(store, account, ['2001-06-30']);
    await sealSet(store, { account, set: invoices });
    const workflow = await begin(system, account);
    await eventually('it was asked for', async () => {
      const { events } = await workflow.fetchHistory();
      return events?.find((event) => event.timerStartedEventAttributes?.timerId !== undefined);
    });
    expect(await left(store, account)).toBe(1);
    await workflow.terminate('the test is over');
  });

  test('it ends at once where nothing is kept, and begun again it does no harm', async () => {
    const { store, account: find } = system;
    const living = await system.createAccount();
    await (await begin(system, living)).result();
    await (await begin(system, 'nobody')).result();
    const [account, workflow] = await kept(system, ['2001-06-30']);
    await workflow.result();
    const before = await find(account);
    await begin(system, account);
    expect(await find(account)).toEqual(before);
    expect(await store.certificates.countDocuments()).toBe(1);
  });

  test('R25: an account of another region is refused by name', async () => {
    const { client, taskQueue } = system;
    const workflow = await client.workflow.start('retainedWorkflow', {
      workflowId: 'retained/us-east-1/somebody',
      taskQueue,
      args: [{ account: 'somebody', region: 'us-east-1' }],
    });
    await expect(workflow.result()).rejects.toMatchObject({ cause: { cause: { type: 'WrongRegionError' } } });
  });

  test('operators find it by its account, and read until when something is kept; a request to cancel changes nothing', async () => {
    const { client, store } = system;
    const year = new Date().getUTCFullYear();
    const [account, workflow] = await kept(system, [`${year}-06-30`]);
    const waiting = await eventually('it waits', async () => {
      const { events } = await workflow.fetchHistory();
      return events?.find((event) => event.timerStartedEventAttributes?.timerId !== undefined);
    });
    const codec = createPayloadCodec(store.vault);
    const [summary] = await codec.decode([waiting.userMetadata?.summary ?? {}]);
    expect(JSON.parse(Buffer.from(summary?.data ?? []).toString())).toBe(
      `Kept by law until ${year + years + 1}-01-01 08:00:00 UTC`,
    );
    await workflow.cancel();
    const { status, typedSearchAttributes } = await workflow.describe();
    expect(status.name).toBe('RUNNING');
    expect(JSON.stringify(typedSearchAttributes)).toContain(tombstoneId(store, account));
    // R22: nothing of it says the id.
    expect(JSON.stringify(await workflow.fetchHistory())).not.toContain(account);
    expect(await left(store, account)).toBe(1);
    await client.workflow.getHandle(workflow.workflowId).terminate('the test is over');
  });
});
