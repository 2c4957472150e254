/**
 * R20: the log has a retention of its own. What has passed it goes from the beginning, in whole tiles, said by the log itself; what
 * is left verifies, and what was let go any other way is found.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { mongo } from 'mongoose';
import { noteKeyOf, originOf, proofOf, sequenceBatch, sourceIn, verifyLog } from '../src/audit';
import { leafHash, verifyInclusion } from '../src/audit/merkle';
import { openCheckpoint } from '../src/audit/note';
import { pruneLog, type PruneOptions } from '../src/audit/prune';
import { heldSubjects, type Store } from '../src/data';
import { native } from '../src/database';
import { bySystem } from '../src/lifecycle';
import { dropTestStore, openTestStore, region } from './helpers/system';

let store: Store;
const day = 86_400_000;
const retention = 35 * day;
const begun = Date.UTC(2027, 0, 1, 10, 30);
const size = 600;
const origin = originOf(region);
const none: PruneOptions['kept'] = () => Promise.resolve(new Set());
const whole: mongo.Document[][] = [];

afterAll(() => dropTestStore(store));

const collections = () =>
  ['auditEntries', 'auditTiles', 'auditCheckpoints'].map((name) => store.connection.collection(name));
const entries = () => native(store.audit.entries);
const checkpoints = () => native(store.audit.checkpoints);
/** The database, at a time. */
const at = (days: number): Store => ({ ...store, databaseTime: () => Promise.resolve(new Date(begun + days * day)) });
const subjectOf = (position: number) => store.vault.pseudonymOf(`acct-${position}`);

/** 600 entries in three tiles: 300 on the first day, 300 on the tenth, within two hours. */
beforeAll(async () => {
  store = await openTestStore();
  for (const [from, count, days] of [
    [0, 300, 0],
    [300, 150, 10],
    [450, 150, 10.1],
  ] as const) {
    const when = new Date(begun + days * day);
    await store.transaction(async (session) => {
      for (let n = from; n < from + count; n += 1) {
        const entry = { at: new Date(when.getTime() + n), actor: bySystem, action: 'test.done', details: { n } };
        await store.audit.append(session, { ...entry, account: `acct-${n}` });
      }
    });
    await sequenceBatch(at(days));
  }
  for (const collection of collections()) whole.push(await collection.find({}).toArray());
}, 120_000);

beforeEach(async () => {
  for (const [n, collection] of collections().entries()) {
    await collection.deleteMany({});
    await collection.insertMany(whole[n] ?? []);
  }
});

async function keysOf() {
  return (await store.vault.publicKeys()).map((key) => noteKeyOf(origin, key));
}

async function verified() {
  return verifyLog(sourceIn(store.connection, region), { keys: await keysOf(), vault: store.vault });
}

async function holds(proof: Awaited<ReturnType<typeof proofOf>>): Promise<boolean> {
  if (proof === undefined) return false;
  const { root, size: of } = openCheckpoint(proof.checkpoint, origin, await keysOf());
  const hashes = proof.hashes.map((hash) => Buffer.from(hash, 'base64'));
  return verifyInclusion(leafHash(proof.leaf), proof.index, of, hashes, root);
}

const idAt = async (position: number) => (await entries().findOne({ position }))?._id ?? '';
const saidSo = () => entries().countDocuments({ action: 'audit.pruned' });

describe('what has passed the retention', () => {
  test('R20: goes in whole tiles, said by the log, and the rest verifies', async () => {
    const [gone, left] = [await idAt(255), await idAt(256)];
    const proofBefore = await proofOf(store, gone);
    expect(await pruneLog(at(40), { retention, kept: none })).toEqual({ start: 256, deleted: 256 });
    expect(await verified()).toMatchObject({
      ok: true,
      entries: size - 256 + 1,
      pruned: { before: 256, retention, at: new Date(begun + 40 * day).toISOString() },
    });
    const said = await entries().findOne({ action: 'audit.pruned' });
    expect(said).toMatchObject({ position: size, details: { before: 256, count: 256 } });
    expect(await proofOf(store, gone)).toBeUndefined();
    expect(await holds(proofBefore)).toBe(true);
    expect(await holds(await proofOf(store, left))).toBe(true);
    expect(await native(store.audit.tiles).findOne({ _id: '0/0' })).toBeNull();
    // Nothing more is due; and the log goes on.
    expect(await pruneLog(at(41), { retention, kept: none })).toEqual({ start: 256, deleted: 0 });
    expect(await saidSo()).toBe(1);
    expect(await pruneLog(at(46), { retention, kept: none })).toEqual({ start: 512, deleted: 256 });
    expect(await verified()).toMatchObject({ ok: true, pruned: { before: 512 } });
  });

  test('R20: nothing goes before, and never what is not full', async () => {
    expect(await pruneLog(at(34), { retention, kept: none })).toEqual({ start: 0, deleted: 0 });
    expect(await saidSo()).toBe(0);
    expect(await pruneLog(at(1000), { retention, kept: none })).toEqual({ start: 512, deleted: 512 });
    expect(await verified()).toMatchObject({ ok: true, entries: size - 512 + 1 });
  });

  test('R9, R20: nothing goes from the first entry of an account under a hold on', async () => {
    const keeping = (position: number) => ({ retention, kept: () => Promise.resolve(new Set([subjectOf(position)])) });
    expect(await pruneLog(at(60), keeping(10))).toEqual({ start: 0, deleted: 0 });
    expect(await saidSo()).toBe(0);
    expect(await pruneLog(at(60), keeping(300))).toEqual({ start: 256, deleted: 256 });
    expect(await verified()).toMatchObject({ ok: true });
  });

  test('R9: accounts under a hold are known by their pseudonyms', async () => {
    const account = (_id: string, ids: readonly string[]) => ({
      _id,
      region,
      lifecycle: { holds: ids.map((id) => ({ id })) },
    });
    await native(store.accounts).insertMany([account('acct-held', ['h']), account('acct-free', [])] as never);
    const held = await store.transaction((session) => heldSubjects(store, session));
    expect([...held]).toEqual([store.vault.pseudonymOf('acct-held')]);
    await native(store.accounts).deleteMany({});
  });

  test('R20: is let go once by two processes at once', async () => {
    await Promise.all([1, 2, 3].map(() => pruneLog(at(60), { retention, kept: none })));
    await pruneLog(at(60), { retention, kept: none });
    expect(await saidSo()).toBe(1);
    expect(await verified()).toMatchObject({ ok: true, entries: size - 512 + 1 });
  });

  test('R20: whoever verifies while it goes is told nothing wrong', async () => {
    const looking = Promise.all([1, 2, 3].map(() => verified()));
    await pruneLog(at(60), { retention, kept: none });
    for (const found of await looking) expect(found).toMatchObject({ ok: true });
  });
});

describe('a process that ends in the middle', () => {
  const crash = () => {
    throw new Error('as if killed');
  };

  test('R20: once the log has said so, and nothing else was done', async () => {
    let calls = 0;
    const dying: Store = {
      ...at(60),
      transaction: (work) => ((calls += 1) > 1 ? Promise.reject(new Error('as if killed')) : store.transaction(work)),
    };
    await expect(pruneLog(dying, { retention, kept: none })).rejects.toThrow('as if killed');
    expect(await verified()).toMatchObject({ ok: true, entries: size });
    await sequenceBatch(at(60));
    expect(await verified()).toMatchObject({ ok: true, entries: size + 1 });
    expect(await pruneLog(at(60), { retention, kept: none })).toEqual({ start: 512, deleted: 512 });
    expect(await saidSo()).toBe(1);
    expect(await verified()).toMatchObject({ ok: true });
  });

  test('R20: before and among the deletions', async () => {
    await expect(pruneLog(at(60), { retention, kept: none, checkpoint: crash })).rejects.toThrow('as if killed');
    expect(await entries().countDocuments({ tile: 0 })).toBe(256);
    expect(await verified()).toMatchObject({ ok: true, entries: size - 512 + 1 });
    let tiles = 0;
    const checkpoint = () => ((tiles += 1) > 1 ? crash() : undefined);
    await expect(pruneLog(at(60), { retention, kept: none, checkpoint })).rejects.toThrow('as if killed');
    expect(await entries().countDocuments({ tile: 0 })).toBe(0);
    expect(await verified()).toMatchObject({ ok: true });
    expect(await pruneLog(at(60), { retention, kept: none })).toEqual({ start: 512, deleted: 256 });
    expect(await verified()).toMatchObject({ ok: true });
  });
});

describe('what somebody else let go', () => {
  const cut = async (start: number) => {
    await checkpoints().updateOne({ _id: 'newest' }, { $set: { start } });
    await entries().deleteMany({ tile: { $lt: start / 256 } });
  };

  test('R20: without an entry that says so is missed', async () => {
    await cut(256);
    expect(await verified()).toMatchObject({ ok: false, firstFault: { seq: 0, fault: 'missing' } });
  });

  test('R20: further than the entry says is missed', async () => {
    await pruneLog(at(40), { retention, kept: none });
    await cut(512);
    expect(await verified()).toMatchObject({ ok: false, firstFault: { seq: 256, fault: 'missing' } });
  });

  test('R20: before its time is found by the checkpoints that were kept', async () => {
    const details = { before: 512, count: 512, from: new Date(begun), to: new Date(begun), retention };
    await store.transaction((session) =>
      store.audit.append(session, { at: new Date(), actor: bySystem, action: 'audit.pruned', details }),
    );
    await sequenceBatch(at(40));
    await cut(512);
    const found = await verified();
    expect(found).toMatchObject({ ok: false, firstFault: { seq: 511, fault: 'missing' } });
    expect(found.firstFault?.detail).toContain('before they had passed');
  });

  test.each([-256, 100, 1024])('R20: the log cannot begin at %i', async (start) => {
    await checkpoints().updateOne({ _id: 'newest' }, { $set: { start } });
    expect(await verified()).toMatchObject({ ok: false, firstFault: { fault: 'head' } });
  });
});
