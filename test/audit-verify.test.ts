/**
 * R20: whatever is changed in the log is found by its public key, and named: in entries, in the tree, in checkpoints; and what
 * somebody with the signing key rewrote is found by what a witness holds.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { mongo } from 'mongoose';
import { newestCheckpoint, sequenceBatch, sourceIn, verifyLog, type WitnessRecord } from '../src/audit';
import type { AuditEntryDocument } from '../src/audit/entries';
import { noteKeyOf, originOf, signCheckpoint } from '../src/audit/note';
import type { Store } from '../src/data';
import { native } from '../src/database';
import { bySystem, type Actor } from '../src/lifecycle';
import { dropTestStore, openTestStore, region } from './helpers/system';

let store: Store;
let account: string;
/** What witnesses saw, in order. */
let seen: string[];
const size = 600;
const origin = originOf(region);
const staff: Actor = { type: 'key', id: 'key_of_martha', role: 'operator' };
const hour = 3_600_000;
const begun = Date.UTC(2027, 0, 1, 10, 30);

afterAll(() => dropTestStore(store));

async function addMany(count: number): Promise<void> {
  await store.transaction(async (session) => {
    for (let n = 0; n < count; n += 1) {
      const entry = { at: new Date(), actor: n % 50 === 0 ? staff : bySystem, action: 'test.done', details: { n } };
      await store.audit.append(session, { ...entry, ...(n % 25 === 0 ? { account } : {}) });
    }
  });
}

/** A log of 600 entries in three tiles, sequenced in four batches within three hours. */
beforeAll(async () => {
  store = await openTestStore();
  account = `acct-${randomUUID()}`;
  await store.vault.makeKey(account);
  await addMany(size);
  for (const [batch, count] of [100, 200, 200, 100].entries()) {
    const at = new Date(begun + batch * 0.7 * hour);
    await sequenceBatch({ ...store, databaseTime: () => Promise.resolve(at) }, count);
    notes.push(await newestCheckpoint(store));
  }
  for (const collection of collections()) whole.push(await collection.find({}).toArray());
}, 120_000);

/** Each test finds it as it was. */
beforeEach(async () => {
  for (const [at, collection] of collections().entries()) {
    await collection.deleteMany({});
    await collection.insertMany(whole[at] ?? []);
  }
  seen = [...notes];
});

const notes: string[] = [];
const whole: mongo.Document[][] = [];
const collections = () =>
  ['auditEntries', 'auditTiles', 'auditCheckpoints'].map((name) => store.connection.collection(name));

const entries = () => native(store.audit.entries);
const tiles = () => native(store.audit.tiles);
const checkpoints = () => native(store.audit.checkpoints);

async function numbered(position: number): Promise<AuditEntryDocument> {
  const found = await entries().findOne<AuditEntryDocument>({ position });
  if (found === null) throw new Error(`there is no entry ${position}`);
  return found;
}

function change(position: number, $set: object): Promise<unknown> {
  return entries().updateOne({ position }, { $set });
}

const witness = (): WitnessRecord => ({
  name: 'a witness',
  async *notes() {
    yield* await Promise.resolve(seen);
  },
});

async function verified(options: { readonly witnesses?: readonly WitnessRecord[]; readonly publicOnly?: true } = {}) {
  const keys = (await store.vault.publicKeys()).map((key) => noteKeyOf(origin, key));
  return verifyLog(sourceIn(store.connection, region), {
    keys,
    ...(options.publicOnly === true ? {} : { vault: store.vault }),
    ...(options.witnesses === undefined ? {} : { witnesses: options.witnesses }),
  });
}

async function flipTile(id: string, at: number): Promise<void> {
  const tile = await tiles().findOne({ _id: id });
  const hashes = Buffer.from(tile?.hashes.value() ?? '');
  hashes[at] = (hashes[at] ?? 0) ^ 4;
  await tiles().updateOne({ _id: id }, { $set: { hashes: new mongo.Binary(hashes) } });
}

describe('a log in order', () => {
  test('R20: verifies from its first entry to its last, also by the public key alone, and against witnesses', async () => {
    const all = {
      ok: true,
      entries: size,
      from: new Date(begun).toISOString(),
      to: new Date(begun + 2.1 * hour).toISOString(),
    };
    expect(await verified()).toEqual(all);
    expect(await verified({ publicOnly: true, witnesses: [witness()] })).toEqual(all);
    await addMany(3);
    expect(await verified()).toEqual(all);
  });

  test('R20: verifies without entries', async () => {
    await beforeAnything();
    expect(await verified()).toEqual({ ok: true, entries: 0, from: null, to: null });
  });

  test('R20: verifies while entries are added', async () => {
    const stop = new AbortController();
    const adding = (async () => {
      while (!stop.signal.aborted) {
        await addMany(5);
        await sequenceBatch(store);
      }
    })();
    for (let n = 0; n < 3; n += 1) expect(await verified()).toMatchObject({ ok: true });
    stop.abort();
    await adding;
  });
});

async function beforeAnything(): Promise<void> {
  await Promise.all([entries().deleteMany({}), tiles().deleteMany({}), checkpoints().deleteMany({})]);
}

type Tampering = readonly [what: string, seq: number, fault: string, tamper: () => Promise<unknown>];

const tamperings: readonly Tampering[] = [
  ['a detail of an entry', 42, 'altered', () => change(42, { 'details.n': -1 })],
  ['the action of an entry', 300, 'altered', () => change(300, { action: 'test.done ' })],
  ['who acted', 599, 'altered', () => change(599, { 'actor.id': 'nobody' })],
  ['the time of an entry', 0, 'altered', () => change(0, { at: new Date(0) })],
  ['a commitment', 0, 'altered', async () => change(0, { 'commitments.staff': 'x'.repeat(44) })],
  ['whom it concerns', 5, 'altered', () => change(5, { subject: 'somebody' })],
  ['an entry that is gone', 256, 'missing', () => entries().deleteOne({ position: 256 })],
  ['the last entry that is gone', 599, 'missing', () => entries().deleteOne({ position: 599 })],
  [
    'an entry twice',
    77,
    'duplicated',
    async () => entries().insertOne({ ...(await numbered(77)), _id: 'a copy', subject: 'other' }),
  ],
  [
    'two entries that changed places',
    10,
    'reordered',
    async () => {
      const [one, other] = [await numbered(10), await numbered(20)];
      await entries().updateOne({ _id: one._id }, { $set: { position: 20 } });
      await entries().updateOne({ _id: other._id }, { $set: { position: 10 } });
    },
  ],
  [
    'two entries that changed places over tiles',
    10,
    'reordered',
    async () => {
      const [one, other] = [await numbered(10), await numbered(400)];
      await entries().updateOne({ _id: one._id }, { $set: { position: 400, tile: 1 } });
      await entries().updateOne({ _id: other._id }, { $set: { position: 10, tile: 0 } });
    },
  ],
  ['a back-dated entry', 350, 'back-dated', () => change(350, { sequencedAt: new Date(begun - hour) })],
  [
    'an entry put past the log',
    -5,
    'inserted',
    async () => entries().insertOne({ ...(await numbered(1)), _id: 'stowaway', tile: -5, position: -5 }),
  ],
  ['a hash of a full tile', 256, 'tile', () => flipTile('0/1', 700)],
  ['a hash of the last tile', 550, 'tile', () => flipTile('0/2', (550 - 512) * 32)],
  ['a hash of a higher tile', 0, 'tile', () => flipTile('1/0', 3)],
  ['a tile that is gone', 512, 'tile', () => tiles().deleteOne({ _id: '0/2' })],
  ['the names in a tile', 3, 'tile', () => tiles().updateOne({ _id: '0/0' }, { $set: { 'entries.3': 'another' } })],
  ['the size of the head', 599, 'head', () => checkpoints().updateOne({ _id: 'newest' }, { $set: { size: 599 } })],
  [
    'the root of the head',
    600,
    'head',
    () => checkpoints().updateOne({ _id: 'newest' }, { $set: { root: new mongo.Binary(Buffer.alloc(32)) } }),
  ],
  [
    'the signature of the head',
    600,
    'signature',
    async () => {
      const note = (await newestCheckpoint(store)).replace(/(.{6})=?=\n$/, 'AAAAAA==\n');
      await checkpoints().updateOne({ _id: 'newest' }, { $set: { note } });
    },
  ],
  [
    'the time in a kept checkpoint',
    0,
    'signature',
    async () => {
      const note = (seen[0] ?? '').replace('time 2027', 'time 2026');
      await checkpoints().updateOne({ _id: '2027-01-01T10' }, { $set: { note } });
    },
  ],
  [
    'the size beside a kept checkpoint',
    100,
    'checkpoint',
    () => checkpoints().updateOne({ _id: '2027-01-01T10' }, { $set: { size: 101 } }),
  ],
  [
    'the time beside a kept checkpoint',
    500,
    'checkpoint',
    () => checkpoints().updateOne({ _id: '2027-01-01T11' }, { $set: { at: new Date(0) } }),
  ],
  [
    'the first kept checkpoint that is gone',
    100,
    'checkpoint',
    () => checkpoints().deleteOne({ _id: '2027-01-01T10' }),
  ],
  ['one in the middle that is gone', 500, 'checkpoint', () => checkpoints().deleteOne({ _id: '2027-01-01T11' })],
  ['the last one that is gone', 600, 'checkpoint', () => checkpoints().deleteOne({ _id: '2027-01-01T12' })],
  [
    'an older head than was signed',
    100,
    'head',
    async () => {
      const kept = await checkpoints().findOne({ _id: '2027-01-01T10' });
      await checkpoints().replaceOne({ _id: 'newest' }, { ...kept, _id: 'newest' } as never);
    },
  ],
];

describe('what was tampered with is found', () => {
  test.each(tamperings)('R20: %s, at %i: %s', async (_, seq, fault, tamper) => {
    await tamper();
    const found = await verified({ publicOnly: true });
    expect([found.ok, found.firstFault]).toMatchObject([false, { stream: origin, seq, fault }]);
    expect(found.firstFault?.detail).not.toBe('');
  });

  test('R20: a personal part that is another, altered, or gone, where there is a key', async () => {
    const { staff: ofAnother } = await numbered(50);
    await change(100, { staff: ofAnother });
    expect(await verified()).toMatchObject({ firstFault: { seq: 100, fault: 'commitment' } });
    await entries().updateOne({ position: 0 }, { $unset: { customer: '' } });
    expect(await verified()).toMatchObject({ firstFault: { seq: 0, fault: 'commitment' } });
    // The log itself is in order, and that is all that can be told without keys.
    expect(await verified({ publicOnly: true })).toMatchObject({ ok: true });
  });

  test('R20: by any other key than the right one nothing verifies', async () => {
    const keys = [noteKeyOf(origin, { x: Buffer.alloc(32, 7).toString('base64url') })];
    expect(await verifyLog(sourceIn(store.connection, region), { keys })).toMatchObject({
      firstFault: { fault: 'signature', seq: 600 },
    });
  });
});

describe('a log that somebody rewrote who has the signing key too', () => {
  /** The same entries but for one, sequenced and signed anew. */
  async function rewrite(keepHours: boolean): Promise<void> {
    const kept = await checkpoints()
      .find({ _id: { $ne: 'newest' } })
      .toArray();
    await change(250, { action: 'test.never-done' });
    await Promise.all([tiles().deleteMany({}), checkpoints().deleteMany({})]);
    await entries().updateMany({}, { $set: { tile: -1 }, $unset: { position: '', sequencedAt: '' } });
    await sequenceBatch({ ...store, databaseTime: () => Promise.resolve(new Date(begun + 2.1 * hour)) });
    if (keepHours)
      for (const one of kept) await checkpoints().updateOne({ _id: one._id }, { $set: one }, { upsert: true });
  }

  test('R20: does not fit the checkpoints that were kept', async () => {
    await rewrite(true);
    expect(await verified()).toMatchObject({ ok: false, firstFault: { fault: 'checkpoint', seq: 100 } });
  });

  test('R20: nor, where those were rewritten too, those of a witness', async () => {
    await rewrite(false);
    expect(await verified()).toMatchObject({ ok: true });
    expect(await verified({ witnesses: [witness()] })).toMatchObject({
      ok: false,
      firstFault: { fault: 'witness', seq: 100, detail: expect.stringContaining('a witness') as unknown },
    });
  });

  test('R20: nor can it be cut off, once a witness saw more', async () => {
    const at = new Date(begun + 3 * hour);
    const signer = await store.vault.signer();
    seen.push(signCheckpoint({ origin, size: 700, root: Buffer.alloc(32, 1), at }, signer));
    expect(await verified({ witnesses: [witness()] })).toMatchObject({
      firstFault: { fault: 'witness', seq: 600, detail: expect.stringContaining('700') as unknown },
    });
  });

  test('R20: a witness that holds what nobody signed is found out', async () => {
    seen.splice(1, 0, (seen[1] ?? '').replace('\n300\n', '\n301\n'));
    expect(await verified({ witnesses: [witness()] })).toMatchObject({ firstFault: { fault: 'signature' } });
  });
});

// Last, since a key that is destroyed stays so.
describe('a log whose customer is erased', () => {
  test('R20: verifies after an erasure as before, and the staff part still opens', async () => {
    await store.vault.destroyKey(account);
    expect(await verified()).toMatchObject({ ok: true, entries: size });
    const [entry] = await store.audit.reveal([
      (await entries().findOne({ subject: { $exists: true } })) as AuditEntryDocument,
    ]);
    expect(entry?.account).toMatch(/^~/);
  });
});
