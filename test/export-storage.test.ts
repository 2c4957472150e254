/** R14, R9: where archives lie, how they go, and what keeps them: the same for both kinds of storage. */
import { native } from '../src/database';
import {
  archiveBytes,
  expireExport,
  failExport,
  openGridFsArchives,
  openS3Archives,
  removeBytes,
  removeLeftArchives,
  writeExport,
  type ArchiveStorage,
} from '../src/exports';
import type { Store } from '../src/data';
import type { Hold } from '../src/lifecycle';
import { addAccount, askForExport, exportsOf, storedExport } from './helpers/archives';
import { sha256Of, unpack } from './helpers/exports';
import { storeRecords } from './helpers/records';
import { startObjectStorage, type ObjectStorage } from './helpers/s3';
import { dropTestStore, openTestStore } from './helpers/system';

let store: Store;
let s3: ObjectStorage;

beforeAll(async () => {
  store = await openTestStore();
  s3 = await startObjectStorage();
}, 60_000);
afterAll(async () => {
  await s3.stop();
  await dropTestStore(store);
});

const hold: Hold = { id: 'hold-1', reason: 'lawsuit', placedAt: '2026-01-01T00:00:00.000Z', placedBy: 'test' };
/** An account with so many prompts. */
async function addCustomer(calls = 0): Promise<string> {
  const id = await addAccount(store);
  await storeRecords(
    store,
    'prompts',
    id,
    Array.from({ length: calls }, (_, n) => ({
      callId: `call-${n}`,
      at: new Date(Date.UTC(2026, 0, 1) + n * 1000),
      body: JSON.stringify({ n, noise: sha256Of(Buffer.from(String(n))).repeat(4) }),
    })),
  );
  return id;
}

const ask = (storage: ArchiveStorage, id: string) => askForExport(store, storage, id);
const seek = (id: string) => storedExport(store, id);

async function read(storage: ArchiveStorage, id: string, start = 0, end?: number): Promise<Buffer> {
  const found = await seek(id);
  const pieces: Uint8Array[] = [];
  for await (const piece of archiveBytes(store, storage, found, start, end ?? found.bytes)) {
    expect(piece.length).toBeLessThanOrEqual(256 * 1024);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

async function placeHold(account: string, holds: readonly Hold[]): Promise<void> {
  await native(store.accounts).updateOne({ _id: account }, { $set: { 'lifecycle.holds': holds } });
}

describe.each(['gridfs', 's3'] as const)('archives in %s', (kind) => {
  const storage = (): ArchiveStorage =>
    kind === 'gridfs' ? openGridFsArchives(store) : openS3Archives(store, s3.options);

  it('R14: are whole, and any stretch of them is', async () => {
    const account = await addCustomer(3000);
    const id = await ask(storage(), account);
    await writeExport(store, storage(), id);
    const whole = await read(storage(), id);
    const { sha256, bytes, storage: named } = await seek(id);
    expect([sha256Of(whole), whole.length, named]).toEqual([sha256, bytes, kind]);
    expect((await unpack(whole)).lines['prompts']).toHaveLength(3000);
    for (let turn = 0; turn < 20; turn += 1) {
      const start = Math.floor(Math.random() * bytes);
      const end = start + 1 + Math.floor(Math.random() * (bytes - start - 1));
      expect((await read(storage(), id, start, end)).equals(whole.subarray(start, end))).toBe(true);
    }
    expect(await storage().find(account)).toBeGreaterThan(1);
  });

  it('go on where another process stopped', async () => {
    const account = await addCustomer(3000);
    const id = await ask(storage(), account);
    const storing = storage();
    let puts = 0;
    const dying: ArchiveStorage = {
      ...storing,
      put: (...part) => ((puts += 1) > 1 ? Promise.reject(new Error('the power went')) : storing.put(...part)),
    };
    await expect(writeExport(store, dying, id)).rejects.toThrow('the power went');
    expect(await seek(id)).toMatchObject({ status: 'running', records: 3000 });
    await writeExport(store, storing, id);
    expect((await unpack(await read(storing, id))).lines['prompts']).toHaveLength(3000);
    const again = await seek(id);
    await writeExport(store, storing, id);
    expect(await seek(id)).toEqual(again);
  });

  it('R9: stay under a hold on the account, unreadable, and go once it is released', async () => {
    const account = await addCustomer(50);
    const storing = storage();
    const id = await ask(storing, account);
    await writeExport(store, storing, id);
    const kept = await storing.find(account);
    await placeHold(account, [hold]);
    await expireExport(store, storing, id);
    expect(await seek(id)).toMatchObject({ status: 'expired', stored: true });
    expect(await storing.find(account)).toBe(kept);
    await expect(read(storing, id)).rejects.toThrow('may no longer be read');
    expect(await removeLeftArchives(store, storing, { exports: 10 })).toMatchObject({ removed: 0 });
    expect(await storing.find(account)).toBe(kept);
    // A hold on chosen data sets protects those, and not copies of them.
    await placeHold(account, [{ ...hold, datasets: ['prompts'] }]);
    expect(await removeLeftArchives(store, storing, { exports: 10 })).toMatchObject({
      removed: 1,
      held: 0,
      more: false,
    });
    expect(await storing.find(account)).toBe(0);
    expect(await seek(id)).not.toHaveProperty('stored');
  });

  it('R6: go with their account, once its erasure has begun and not before', async () => {
    const [account, other] = [await addCustomer(50), await addCustomer(5)];
    const storing = storage();
    for (const each of [account, other]) await writeExport(store, storing, await ask(storing, each));
    expect(await storing.removeAll(account)).toBeUndefined();
    await native(store.accounts).updateOne({ _id: account }, { $set: { state: 'expired', erasing: {} as never } });
    expect(await storing.removeAll(account)).toBeGreaterThan(1);
    expect(await storing.find(account)).toBe(0);
    expect(await storing.find(other)).toBeGreaterThan(1);
  });

  it('are removed where nothing is known of them any more, and ended where nobody does', async () => {
    const storing = storage();
    const [gone, late, left] = [await addCustomer(5), await addCustomer(5), await addCustomer(5)];
    const [goneId, lateId, leftId] = [await ask(storing, gone), await ask(storing, late), await ask(storing, left)];
    for (const id of [goneId, lateId]) await writeExport(store, storing, id);
    await exportsOf(store).deleteOne({ _id: goneId });
    const longAgo = new Date(Date.now() - 3 * 24 * 3_600_000);
    await exportsOf(store).updateOne({ _id: lateId }, { $set: { expiresAt: longAgo } });
    await exportsOf(store).updateOne({ _id: leftId }, { $set: { 'progress.at': longAgo } });
    for (let more = true; more;) ({ more } = await removeLeftArchives(store, storing, { exports: 1 }));
    for (const account of [gone, late]) expect(await storing.find(account)).toBe(0);
    expect(await seek(lateId)).toMatchObject({ status: 'expired' });
    expect(await seek(leftId)).toMatchObject({ status: 'failed', reason: 'abandoned' });
    expect(await removeLeftArchives(store, storing, { exports: 1 })).toMatchObject({
      removed: 0,
      ended: 0,
      more: false,
    });
  });

  it('are not ready while what was stored cannot be read back as it was', async () => {
    const account = await addCustomer(3000);
    const storing = storage();
    const id = await ask(storing, account);
    const rotten: ArchiveStorage = {
      ...storing,
      async *read(...stretch) {
        for await (const piece of storing.read(...stretch)) yield piece.map((byte) => byte ^ 1);
      },
    };
    await expect(writeExport(store, rotten, id)).rejects.toMatchObject({ name: 'ArchiveDamagedError' });
    expect(await seek(id)).toMatchObject({ status: 'running' });
    await expect(writeExport(store, rotten, id, { lifetime: 1000, patience: -1 })).rejects.toMatchObject({
      name: 'ExportStuckError',
    });
    await failExport(store, storing, id, 'storage');
    expect(await seek(id)).toMatchObject({ status: 'failed', reason: 'storage' });
    expect(await storing.find(account)).toBe(0);
  });

  it('R15: take no further part once withdrawn', async () => {
    const account = await addCustomer(100);
    const storing = storage();
    const id = await ask(storing, account);
    await exportsOf(store).updateOne({ _id: id }, { $set: { status: 'withdrawn' } });
    await expect(writeExport(store, storing, id)).rejects.toMatchObject({ name: 'ExportEndedError' });
    const other = await ask(storing, account);
    const withdrawing: ArchiveStorage = {
      ...storing,
      async put(...part) {
        await exportsOf(store).updateOne({ _id: other }, { $set: { status: 'withdrawn' } });
        return storing.put(...part);
      },
    };
    await expect(writeExport(store, withdrawing, other)).rejects.toMatchObject({ name: 'ExportEndedError' });
    expect(await storing.find(account)).toBe(0);
    expect(await removeBytes(store, storing, other)).toBe(true);
  });
});

it('a refused write is told as one: the object storage that is away stores nothing, and nothing is recorded', async () => {
  const account = await addCustomer(10);
  const storing = openS3Archives(store, s3.options);
  const id = await ask(storing, account);
  await s3.pause();
  await expect(writeExport(store, storing, id)).rejects.toThrow();
  expect(await seek(id)).toMatchObject({ status: 'running', parts: [], records: 0 });
  await s3.resume();
  await writeExport(store, storing, id);
  expect(await seek(id)).toMatchObject({ status: 'ready', records: 10 });
});
