/**
 * R19, R20: what the log keeps of an act and where, who may read it, and how entries get their place: in order, soon, by any
 * number of processes at once.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  newestCheckpoint,
  proofOf,
  sequenceBatch,
  startSequencer,
  type AuditEntryDocument,
  type InclusionProof,
  type NewAuditEntry,
} from '../src/audit';
import { leafHash, verifyInclusion } from '../src/audit/merkle';
import { noteKeyOf, openCheckpoint, originOf } from '../src/audit/note';
import type { Store } from '../src/data';
import { native } from '../src/database';
import { bySystem, type Actor } from '../src/lifecycle';
import { eventually } from './helpers/eventually';
import { dropTestStore, openTestStore, region } from './helpers/system';

let store: Store;

beforeAll(async () => {
  store = await openTestStore();
});
afterAll(() => dropTestStore(store));
beforeEach(async () => {
  for (const model of [store.audit.entries, store.audit.tiles, store.audit.checkpoints]) {
    await model.collection.deleteMany({});
  }
});

const staff: Actor = { type: 'key', id: 'key_of_martha', role: 'operator' };
const origin = originOf(region);

async function anAccount(): Promise<string> {
  const id = `acct-${randomUUID()}`;
  await store.vault.makeKey(id);
  return id;
}

function add(entry: Partial<NewAuditEntry> = {}): Promise<AuditEntryDocument> {
  const filled = { at: new Date(), actor: bySystem, action: 'test.done', details: {}, ...entry };
  return store.transaction((session) => store.audit.append(session, filled));
}

async function addMany(count: number, entry: Partial<NewAuditEntry> = {}): Promise<void> {
  await store.transaction(async (session) => {
    for (let n = 0; n < count; n += 1) {
      const filled = { at: new Date(), actor: bySystem, action: 'test.done', details: { n }, ...entry };
      await store.audit.append(session, filled);
    }
  });
}

async function stored(id: string): Promise<AuditEntryDocument> {
  const found = await native(store.audit.entries).findOne<AuditEntryDocument>({ _id: id });
  if (found === null) throw new Error(`there is no entry ${id}`);
  return found;
}

async function revealed(id: string) {
  const [entry] = await store.audit.reveal([await stored(id)]);
  return entry;
}

/** Whether a proof holds, for somebody with the public key alone. */
async function holds(proof: InclusionProof | undefined): Promise<boolean> {
  if (proof === undefined) return false;
  const keys = (await store.vault.publicKeys()).map((key) => noteKeyOf(origin, key));
  const { root, size } = openCheckpoint(proof.checkpoint, origin, keys);
  const hashes = proof.hashes.map((hash) => Buffer.from(hash, 'base64'));
  return size === proof.size && verifyInclusion(leafHash(proof.leaf), proof.index, size, hashes, root);
}

/** Every entry in the order of the log, and that it is one: from 0, without a gap, in tiles of 256. */
async function inOrder(): Promise<AuditEntryDocument[]> {
  const entries = await native(store.audit.entries).find<AuditEntryDocument>({}).sort({ position: 1 }).toArray();
  expect(entries.map(({ position }) => position)).toEqual(entries.map((_, index) => index));
  expect(entries.map(({ tile }) => tile)).toEqual(entries.map((_, index) => Math.floor(index / 256)));
  return entries;
}

describe('an entry', () => {
  test('R19, R21: says in the clear what was done, and nothing of any person', async () => {
    const account = await anAccount();
    const { _id } = await add({
      account,
      actor: staff,
      action: 'hold.placed',
      details: { hold: { id: 'h1', reason: 'the Miller case' }, note: 'asked by Frau Miller', code: 4 },
      seq: 1,
      transitionId: 't',
    });
    const entry = await stored(_id);
    expect(entry).toMatchObject({
      region,
      actor: { type: 'key', role: 'operator' },
      subject: store.vault.pseudonymOf(account),
      details: { hold: { id: 'h1' }, code: 4 },
      tile: -1,
    });
    const text = JSON.stringify(entry) + Buffer.from(entry.customer?.value() ?? '').toString('latin1');
    for (const secret of [account, 'martha', 'Miller']) expect(text).not.toContain(secret);
    expect(await revealed(_id)).toMatchObject({
      account,
      actor: staff,
      details: { hold: { id: 'h1', reason: 'the Miller case' }, note: 'asked by Frau Miller', code: 4 },
    });
  });

  test('R20: once the account is erased it says nothing of the customer, and still who acted', async () => {
    const account = await anAccount();
    const customer: Actor = { type: 'key', id: 'key_of_the_customer', role: 'customer' };
    const ids = [
      (await add({ account, actor: staff, action: 'account.closed', details: { note: 'Frau Miller called' } }))._id,
      (await add({ account, actor: customer, action: 'export.created' }))._id,
    ];
    expect((await revealed(ids[1] ?? ''))?.actor).toEqual(customer);
    await sequenceBatch(store);
    await store.vault.destroyKey(account);
    const [first, second] = await Promise.all(ids.map(revealed));
    expect(first).toMatchObject({ account: `~${store.vault.pseudonymOf(account)}`, actor: staff, details: {} });
    expect(first?.details).toEqual({});
    expect(second?.actor).toMatchObject({
      type: 'key',
      role: 'customer',
      id: expect.stringMatching(/^~.{22}$/) as unknown,
    });
    for (const id of ids) expect(await holds(await proofOf(store, id))).toBe(true);
    // What is written of it afterwards finds no key, and is written all the same.
    const late = await add({ account, actor: staff, action: 'certificate.read', details: { note: 'personal' } });
    expect(late.commitments).toEqual({ staff: expect.any(String) as unknown });
    expect((await revealed(late._id))?.details).toEqual({});
    // By the id of its tombstone it is the same account.
    const byTombstone = await add({ account: `~${store.vault.pseudonymOf(account)}` });
    expect(byTombstone.subject).toBe(store.vault.pseudonymOf(account));
  });

  test('R20: a personal part that was exchanged is not shown as if it were the one', async () => {
    const [one, other] = [await anAccount(), await anAccount()];
    const { _id } = await add({ account: one, details: { note: 'paid' } });
    const { customer } = await add({ account: other, details: { note: 'never paid' } });
    await store.audit.entries.collection.updateOne({ _id: _id as never }, { $set: { customer } });
    expect(await revealed(_id)).toMatchObject({ account: `~${store.vault.pseudonymOf(one)}`, details: {} });
  });

  test('R19: without the entry the act does not happen, and a number is taken once', async () => {
    const account = await anAccount();
    const act = (seq: number) =>
      store.transaction(async (session) => {
        await native(store.settings).updateOne({ _id: '/policy' }, { $inc: { version: 1 } }, { session, upsert: true });
        const entry = { at: new Date(), actor: bySystem, action: 'a.b', account, details: {}, seq, transitionId: 't' };
        await store.audit.append(session, entry);
      });
    await act(1);
    await expect(act(1)).rejects.toThrow(/E11000|duplicate/);
    expect((await native(store.settings).findOne({ _id: '/policy' }))?.version).toBe(1);
    expect(await store.transaction((session) => store.audit.findStep(session, account, 1))).toMatchObject({ seq: 1 });
    expect(await store.transaction((session) => store.audit.findStep(session, account, 2))).toBeNull();
  });

  test('is stored as it is hashed, whatever its details are', async () => {
    const details = {
      when: new Date(0),
      nothing: undefined,
      odd: [NaN, -0, 1e300, 2 ** 53, null, undefined],
      broken: 'half a \ud800 pair',
      ['\u{1f600} name']: { z: 1, a: [{ b: true }] },
    };
    const { _id } = await add({ details });
    expect(await holds(await proofOf(store, _id))).toBe(true);
    expect((await stored(_id)).details).toEqual({
      when: '1970-01-01T00:00:00.000Z',
      odd: [null, 0, 1e300, 2 ** 53, null, null],
      broken: 'half a \ufffd pair',
      ['\u{1f600} name']: { z: 1, a: [{ b: true }] },
    });
  });
});

describe('the sequencer', () => {
  test('R20: gives positions by time, and signs once for a batch', async () => {
    const at = Date.now();
    const account = await anAccount();
    const steps = [3, 1, 2].map((seq) => ({ account, seq, transitionId: `t${seq}`, at: new Date(at) }));
    for (const step of steps) await add(step);
    await add({ at: new Date(at - 1000), action: 'test.first' });
    expect(await sequenceBatch(store)).toEqual({ sequenced: 4, more: false });
    const entries = await inOrder();
    expect(entries.map(({ seq }) => seq)).toEqual([undefined, 1, 2, 3]);
    expect(await store.audit.checkpoints.countDocuments()).toBe(2);
    expect(await newestCheckpoint(store)).toMatch(/^ablauf\/eu-central-1\/audit\n4\n/);
    expect(await sequenceBatch(store)).toEqual({ sequenced: 0, more: false });
  });

  test('R20: every entry can be proved, over several tiles and batches', async () => {
    await addMany(700);
    expect(await sequenceBatch(store, 300)).toEqual({ sequenced: 300, more: true });
    expect(await sequenceBatch(store, 300)).toEqual({ sequenced: 300, more: true });
    expect(await sequenceBatch(store, 300)).toEqual({ sequenced: 100, more: false });
    const entries = await inOrder();
    for (const position of [0, 255, 256, 511, 512, 600, 699]) {
      const proof = await proofOf(store, entries[position]?._id ?? '');
      expect(proof).toMatchObject({ index: position, size: 700 });
      expect(await holds(proof)).toBe(true);
    }
    expect(await proofOf(store, 'nobody')).toBeUndefined();
  });

  test('R20: an entry that still waits is given its place for its proof', async () => {
    const { _id } = await add({ action: 'account.erased' });
    const proof = await proofOf(store, _id);
    expect(await holds(proof)).toBe(true);
    expect(JSON.parse(proof?.leaf ?? '')).toMatchObject({ id: _id, action: 'account.erased', position: 0 });
  });

  test('R20: times of sequencing never go back, even where the clock does', async () => {
    await add();
    await sequenceBatch(store);
    const [first] = await inOrder();
    await add();
    const early = new Date((first?.sequencedAt?.getTime() ?? 0) - 3_600_000);
    await sequenceBatch({ ...store, databaseTime: () => Promise.resolve(early) });
    const [, second] = await inOrder();
    expect(second?.sequencedAt).toEqual(first?.sequencedAt);
  });

  test('R20: several at once leave one log, while entries keep coming', async () => {
    const log = { warn: () => undefined, error: () => undefined };
    const running = Array.from({ length: 4 }, () => startSequencer(store, { log, interval: 1 }));
    await Promise.all(
      Array.from({ length: 8 }, async (_, writer) => {
        for (let n = 0; n < 20; n += 1) await add({ details: { writer, n } });
      }),
    );
    await eventually('all have their places', async () =>
      (await store.audit.entries.countDocuments({ tile: -1 })) === 0 ? true : undefined,
    );
    await Promise.all(running.map((one) => one.stop()));
    const entries = await inOrder();
    expect(entries).toHaveLength(160);
    for (const { _id } of entries.filter((_, index) => index % 40 === 7)) {
      expect(await holds(await proofOf(store, _id))).toBe(true);
    }
  });

  test('R20: builds on nothing that is not as it was signed, and says so', async () => {
    await addMany(300);
    await sequenceBatch(store);
    const tile = await native(store.audit.tiles).findOne({ _id: '0/1' });
    const hashes = Buffer.from(tile?.hashes.value() ?? '');
    hashes[40] = (hashes[40] ?? 0) ^ 1;
    await native(store.audit.tiles).updateOne({ _id: '0/1' }, { $set: { hashes: hashes as never } });
    await add();
    await expect(sequenceBatch(store)).rejects.toThrow('do not give the root that was signed at size 300');
    const told: object[] = [];
    const tell = (meta: object) => told.push(meta);
    const sequencer = startSequencer(store, { log: { warn: tell, error: tell }, interval: 1 });
    await eventually('somebody is told', () => Promise.resolve(told[0]));
    await sequencer.stop();
    expect(told).toMatchObject([{ alert: 'audit-log-broken' }]);
    // The act itself happened, and its entry waits.
    expect(await store.audit.entries.countDocuments({ tile: -1 })).toBe(1);
    await native(store.audit.tiles).updateOne({ _id: '0/1' }, { $set: { hashes: tile?.hashes as never } });
    await native(store.audit.checkpoints).updateOne({ _id: 'newest' }, { $set: { size: 299 } });
    await expect(sequenceBatch(store)).rejects.toThrow('not what was signed');
    await native(store.audit.checkpoints).updateOne({ _id: 'newest' }, { $set: { size: 300, note: 'nonsense' } });
    await expect(sequenceBatch(store)).rejects.toThrow('not as it was signed');
  });

  test('R20: keeps the last checkpoint of each hour', async () => {
    const hour = 3_600_000;
    const start = Date.UTC(2027, 0, 1, 10);
    for (const at of [0, 0.2, 0.9, 1, 1.5, 4].map((n) => new Date(start + n * hour))) {
      await add();
      await sequenceBatch({ ...store, databaseTime: () => Promise.resolve(at) });
    }
    const kept = await store.audit.checkpoints
      .find({ _id: { $ne: 'newest' } })
      .sort({ size: 1 })
      .lean();
    expect(kept.map(({ _id, size }) => [_id, size])).toEqual([
      ['2027-01-01T10', 3],
      ['2027-01-01T11', 5],
      ['2027-01-01T14', 6],
    ]);
  });
});
