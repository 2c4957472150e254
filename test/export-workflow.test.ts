/** R14, R15: the course of an export, from its request to the day its archive goes, with time skipped. */
import { randomUUID } from 'node:crypto';
import { native } from '../src/database';
import { ingest, type Store } from '../src/data';
import {
  openGridFsArchives,
  registerExports,
  requestExport,
  type ArchiveStorage,
  type ExportDocument,
} from '../src/exports';
import { exportSummary, exportWorkflowId, exportWorkflowType } from '../src/workflows';
import { event, accountPaths } from './helpers/events';
import { eventually } from './helpers/eventually';
import { region, startSystem, startTimeSkippingSystem, type System } from './helpers/system';

const day = 24 * 3_600_000;

async function begin(system: System, account: string): Promise<string> {
  const id = `exp_${randomUUID().replaceAll('-', '')}`;
  const at = await system.now();
  const asked = await system.store.transaction((session) =>
    requestExport(system.store, session, system.archives, { id, account, requestedBy: 'test', at, to: at }),
  );
  expect(asked).toHaveProperty('created');
  await system.jobs.start({
    type: exportWorkflowType,
    id: exportWorkflowId(region, account, id),
    input: { exportId: id },
    summary: exportSummary(account, region),
    account,
  });
  return id;
}

async function seek({ store }: System, id: string): Promise<ExportDocument> {
  const found = await native(registerExports(store.connection).exports).findOne<ExportDocument>({ _id: id });
  if (found === null) throw new Error('there is no such export');
  return found;
}

async function fill(system: System, account: string, calls: number): Promise<void> {
  const at = new Date((await system.now()).getTime() - day);
  await ingest(
    system.store,
    Array.from({ length: calls }, () => event(account, at)),
    accountPaths,
  );
}

describe('with time skipped', () => {
  let system: System;
  beforeAll(async () => {
    system = await startTimeSkippingSystem();
  }, 120_000);
  afterAll(() => system.stop());

  it('R14: an archive is kept for a week, and then goes by itself', async () => {
    const account = await system.createAccount();
    await fill(system, account, 5);
    const id = await begin(system, account);
    const ready = await eventually('it is ready', async () => {
      const found = await seek(system, id);
      return found.status === 'ready' ? found : undefined;
    });
    expect((ready.expiresAt?.getTime() ?? 0) - (ready.readyAt?.getTime() ?? 0)).toBe(7 * day);
    await system.sleep(6.9 * day);
    expect(await system.archives.find(account)).toBeGreaterThan(0);
    const handle = system.client.workflow.getHandle(exportWorkflowId(region, account, id));
    expect(await handle.result()).toEqual({ ended: 'expired' });
    expect(await seek(system, id)).toMatchObject({ status: 'expired' });
    expect(await system.archives.find(account)).toBe(0);
    expect(await system.actions(account)).toEqual(expect.arrayContaining(['export.ready', 'export.expired']));
  });

  it('R15: told that it is withdrawn it removes the archive at once, and finds out by itself where it was not told', async () => {
    for (const told of [true, false]) {
      const account = await system.createAccount();
      await fill(system, account, 5);
      const id = await begin(system, account);
      await eventually('it is ready', async () => (await seek(system, id)).status === 'ready' || undefined);
      await system.send(account, 'suspend', { reason: 'other' });
      expect(await seek(system, id)).toMatchObject({ status: 'withdrawn', reason: 'account.suspended' });
      const handle = system.client.workflow.getHandle(exportWorkflowId(region, account, id));
      if (told) await system.jobs.signal(handle.workflowId, 'withdraw').catch(() => false);
      expect(await handle.result()).toEqual({ ended: 'withdrawn' });
      expect(await system.archives.find(account)).toBe(0);
    }
  });

  it('ends when its account is erased', async () => {
    const account = await system.createAccount();
    const id = await begin(system, account);
    await eventually('it is ready', async () => (await seek(system, id)).status === 'ready' || undefined);
    await native(registerExports(system.store.connection).exports).deleteOne({ _id: id });
    const handle = system.client.workflow.getHandle(exportWorkflowId(region, account, id));
    expect(await handle.result()).toEqual({ ended: 'withdrawn' });
  });
});

it('what the storage refuses is tried again, and then failed with a reason; nothing of it is called ready', async () => {
  let refusing = true;
  const patience = 2500;
  const system = await startSystem({
    exportLimits: { lifetime: day, patience },
    archives: (store) => refusingWhile(store, () => refusing),
  });
  try {
    const account = await system.createAccount();
    await fill(system, account, 5);
    // A validator is how a database refuses for good; a full disk looks the same from here.
    const failed = await begin(system, account);
    const handle = system.client.workflow.getHandle(exportWorkflowId(region, account, failed));
    expect(await handle.result()).toEqual({ ended: 'failed' });
    expect(await seek(system, failed)).toMatchObject({ status: 'failed', reason: 'storage', parts: [] });
    expect(await system.archives.find(account)).toBe(0);
    expect(await system.actions(account)).toContain('export.failed');
    const second = await begin(system, account);
    await eventually('it has begun', async () => (await seek(system, second)).progress.total);
    refusing = false;
    await eventually('it is ready', async () => (await seek(system, second)).status === 'ready' || undefined);
  } finally {
    await system.stop();
  }
});

/** The real storage, on a database whose collection of chunks refuses whatever comes. */
function refusingWhile(store: Store, refusing: () => boolean): ArchiveStorage {
  const storage = openGridFsArchives(store);
  const database = store.connection.getClient().db(store.connection.name);
  return {
    ...storage,
    async put(...part) {
      const validator = refusing() ? { never: { $exists: true } } : {};
      await database.command({ collMod: 'archives.chunks', validator });
      await storage.put(...part);
    },
  };
}
