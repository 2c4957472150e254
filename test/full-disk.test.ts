/**
 * A disk that fills up: what was acknowledged is there, what was not is not half there, and nothing is reported as complete
 * that is not. On a real file system without room, which takes Linux and the right to mount one.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { liteLlmCall } from '../scripts/support/traffic';
import {
  beginErasure,
  categories,
  eraseRecords,
  ingest,
  openStore,
  prepareStore,
  type AccountDocument,
  type Store,
} from '../src/data';
import { freePort, startMongodb, type RunningMongodb } from '../src/embedded';
import { addDueAccount, addRecords, beginningOf, judgement } from './helpers/due-accounts';
import { eventually } from './helpers/eventually';
import { openTestVault, region } from './helpers/system';

const size = 160 * 1024 * 1024;
const accountPaths = [['metadata', 'user_api_key_org_id']];

/** A file system of its own, if this process may have one. */
function mounted(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'ablauf-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { timeout: 10_000 });
    return folder;
  } catch {
    rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
}

const disk = mounted();

(disk === undefined ? describe.skip : describe)('when the disk is full', () => {
  const folder = disk ?? '';
  const ballast = join(folder, 'ballast');
  let port: number;
  let server: RunningMongodb;
  let store: Store;

  beforeAll(async () => {
    port = await freePort();
    server = await startMongodb({ dataDir: join(folder, 'mongodb'), port });
    store = await openStore({ uri: server.uri, region, vault: await openTestVault(server.uri), socketTimeout: 4000 });
    await prepareStore(store);
  }, 120_000);

  afterAll(async () => {
    await store.close();
    await server.stop();
    execFileSync('umount', ['-l', folder], { timeout: 10_000 });
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  /** Leaves no room on the disk. */
  function fill(): void {
    for (let bytes = size; bytes >= 4096; bytes /= 2) {
      try {
        writeFileSync(ballast, Buffer.alloc(bytes), { flag: 'a' });
        bytes *= 2;
      } catch {
        // So much does not fit any more: half of it may.
      }
    }
  }

  /** Makes room, and starts the server again. */
  async function clear(): Promise<void> {
    rmSync(ballast, { force: true });
    // Its storage gave up when it could not write, as any server's does: it has to be started again.
    await server.stop();
    server = await startMongodb({ dataDir: join(folder, 'mongodb'), port });
    await eventually('the database answers', () =>
      store.accounts.countDocuments().then(
        () => true as const,
        () => undefined,
      ),
    );
  }

  test('what ingest acknowledged is stored whole, and nothing of what it did not', async () => {
    const { _id: account } = await addDueAccount(store);
    // Open to new records, as an active account is.
    await store.accounts.collection.updateOne(
      { _id: account as never },
      { $set: { state: 'active', 'lifecycle.state': 'active', inactive: [] }, $unset: { deadline: '' } },
    );
    let acknowledged = 0;
    let refused = 0;
    fill();
    for (let batch = 0; batch < 40 && refused < 2; batch += 1) {
      const calls = Array.from({ length: 50 }, () => liteLlmCall({ account, prompt: 'x'.repeat(20_000) }));
      try {
        acknowledged += (await ingest(store, calls, accountPaths)).accepted;
      } catch {
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(0);
    await clear();
    const counts = await Promise.all(categories.map((set) => store.records[set].countDocuments({ account })));
    // A batch whose answer was lost may be there as a whole; part of one never is.
    for (const count of counts) expect(count).toBe(counts[0]);
    const [stored = 0] = counts;
    expect(stored).toBeGreaterThanOrEqual(acknowledged);
    expect((stored - acknowledged) % 50).toBe(0);
    const totals = await store.totals.find({ account }).lean().exec();
    expect(totals.reduce((sum, { requests }) => sum + requests, 0)).toBe(stored);
  }, 180_000);

  test('R6: an erasure that runs into it is not complete, says so, and completes once there is room', async () => {
    const account = await addDueAccount(store);
    await addRecords(store, account, 2000);
    const temporal = await store.databaseTime();
    await beginErasure(store, beginningOf(account, temporal), { ...judgement, temporal });
    let batches = 0;
    const running = eraseRecords(store, account._id, {
      checkpoint: () => {
        batches += 1;
        if (batches === 3) fill();
      },
    });
    const outcome = await running.then(
      (result) => result.finished,
      () => false,
    );
    await clear();
    const left = async () => {
      const counts = await Promise.all(
        categories.map((set) => store.records[set].countDocuments({ account: account._id })),
      );
      return counts.reduce((sum, n) => sum + n, 0);
    };
    const found = await store.accounts.findById(account._id).lean<AccountDocument>().exec();
    expect(found?.state).toBe('expired');
    // What it says is gone is gone, and what it does not say is there.
    expect((found?.erasing?.done ?? 0) + (await left())).toBe(4 * 2000);
    if (outcome) expect(await left()).toBe(0);
    expect((await eraseRecords(store, account._id)).finished).toBe(true);
    expect(await left()).toBe(0);
  }, 180_000);
});
