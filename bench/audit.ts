/** What the audit log costs the acts it records, and how fast entries get their places and are verified. */
import { randomBytes } from 'node:crypto';
import { mongo } from 'mongoose';
import { noteKeyOf, originOf, sequenceBatch, sourceIn, verifyLog } from '../src/audit';
import { leafOf, newest, type SequencedEntry, type TileDocument } from '../src/audit/entries';
import { signCheckpoint } from '../src/audit/note';
import { sealPart } from '../src/audit/parts';
import { grow, rootAt, tileId, tileWidth } from '../src/audit/tiles';
import { recordStep, type Store } from '../src/data';
import { native } from '../src/database';
import { begin, bySystem } from '../src/lifecycle';
import type { Cipher } from '../src/vault';
import { summaryOf, type Figure } from './figures';
import { byTurns, timed, type Benchmark } from './harness';
import { addAccounts, dropStore, freshStore, region, settings } from './stores';

const writers = 16;
const stepsEach = 15;
const turns = 15;

/** Entries that wait to be given their places. */
const waiting = 5000;

/** Entries in the log that is verified. */
const size = 200_000;
const million = 1_000_000;
const verifications = 3;
const perInsert = 10_000;
const subjects = 1000;

export const auditing: Benchmark = {
  name: 'audit',
  async run(ground, say) {
    const store = await freshStore(ground, 'audit');
    try {
      say('acts with and without their entries');
      const acts = await byTurns(actsWith(store, 'with'), actsWith(withoutLog(store), 'without'), { turns });
      const rate = summaryOf(acts.map(({ ours }) => ours)).median;
      say('giving entries their places');
      const sequenced = await sequencingRate(store);
      say(`a log of ${size} entries`);
      const filling = await timed(() => fill(store));
      say(`filled in ${(filling / 1000).toFixed(0)} s; verifying it`);
      const byKey: number[] = [];
      const opening: number[] = [];
      for (let turn = 0; turn < verifications; turn += 1) {
        byKey.push(await timed(() => verify(store, false)));
        opening.push(await timed(() => verify(store, true)));
      }
      return [
        {
          name: `An act with its audit entry, rate to the same without, ${writers} at once`,
          values: acts.map(({ ours, theirs }) => ours / theirs),
          target: { atLeast: 0.8 },
          remark: `${rate.toFixed(0)} a second; ${sequenced.toFixed(0)} entries a second get their places`,
        },
        verifying('by the public key', byKey),
        verifying('its personal parts opened too', opening),
      ];
    } finally {
      await dropStore(store);
    }
  },
};

function verifying(how: string, times: readonly number[]): Figure {
  return {
    name: `Verifying an audit log, ${how}: a million entries, at the rate of ${size}`,
    values: times.map((milliseconds) => (milliseconds * million) / size),
    unit: 'ms',
    target: { atMost: 60_000 },
    remark: `${((size * 1000) / summaryOf(times).median).toFixed(0)} entries a second`,
  };
}

/** The same store, but what is written to its log goes nowhere. */
function withoutLog(store: Store): Store {
  return { ...store, audit: { ...store.audit, append: () => Promise.resolve({ _id: '' } as never) } };
}

/** Steps a second, each account's one after the other. */
function actsWith(store: Store, name: string): (turn: number) => Promise<number> {
  return async (turn) => {
    const ids = Array.from({ length: writers }, (_, n) => `acct-${name}-${turn + 1}-${n}`);
    await addAccounts(store, ids);
    const milliseconds = await timed(() => Promise.all(ids.map((id) => act(store, id))));
    return (writers * stepsEach * 1000) / milliseconds;
  };
}

async function act(store: Store, account: string): Promise<void> {
  for (let seq = 2; seq < stepsEach + 2; seq += 1) {
    const at = new Date().toISOString();
    const state = seq % 2 === 0 ? 'suspended' : 'active';
    await recordStep(store, {
      account,
      seq,
      transitionId: `${account}/${seq}`,
      at,
      actor: { type: 'key', id: 'key_of_martha', role: 'operator' },
      action: state === 'suspended' ? 'account.suspended' : 'account.reinstated',
      details: { reason: 'non_payment' },
      lifecycle: begin({ state, overrides: {} }, at, settings),
    });
  }
}

async function empty(store: Store): Promise<void> {
  for (const model of [store.audit.entries, store.audit.tiles, store.audit.checkpoints]) {
    await model.collection.deleteMany({});
  }
}

/** Entries a second. */
async function sequencingRate(store: Store): Promise<number> {
  await empty(store);
  for (let made = 0; made < waiting; made += 500) {
    await store.transaction(async (session) => {
      for (let n = 0; n < 500; n += 1) {
        await store.audit.append(session, { at: new Date(), actor: bySystem, action: 'bench.filled', details: {} });
      }
    });
  }
  const milliseconds = await timed(async () => {
    while ((await sequenceBatch(store)).more);
  });
  return (waiting * 1000) / milliseconds;
}

/** A whole log, as acts and sequencers would have left it: made here, since as many transactions take long. */
async function fill(store: Store): Promise<void> {
  await empty(store);
  const accounts = Array.from({ length: subjects }, (_, n) => `acct-log-${n}`);
  const ciphers = new Map<string, Cipher>();
  for (const account of accounts) ciphers.set(account, await store.vault.makeKey(account));
  const staff = await store.vault.systemCipher('staff');
  const sequencedAt = new Date();
  const make = (position: number): SequencedEntry => {
    const _id = randomBytes(16).toString('base64url');
    const account = accounts[position % subjects] ?? '';
    const customer = sealPart(ciphers.get(account) ?? staff, _id, 'customer', { account });
    const acted = sealPart(staff, _id, 'staff', { actor: 'key_of_martha' });
    return {
      _id,
      region,
      at: new Date(sequencedAt.getTime() - size + position),
      actor: { type: 'key', role: 'operator' },
      action: 'account.suspended',
      subject: store.vault.pseudonymOf(account),
      details: { reason: 'non_payment' },
      requestId: `request-${position}`,
      seq: Math.floor(position / subjects) + 1,
      transitionId: `suspend-${position}`,
      actorIndex: 'b'.repeat(22),
      commitments: { customer: customer.commitment, staff: acted.commitment },
      customer: customer.sealed,
      staff: acted.sealed,
      tile: Math.floor(position / tileWidth),
      position,
      sequencedAt,
    };
  };
  const tiles = new Map<string, Buffer>();
  const documents = new Map<string, TileDocument & { entries?: string[] }>();
  let storing: Promise<unknown> = Promise.resolve();
  for (let first = 0; first < size; first += perInsert) {
    const some = Array.from({ length: Math.min(perInsert, size - first) }, (_, n) => make(first + n));
    for (const [id, { level, index, hashes }] of grow(first, tiles, some.map(leafOf))) {
      tiles.set(id, hashes);
      const entries = level === 0 ? { entries: documents.get(id)?.entries ?? [] } : {};
      documents.set(id, { _id: id, level, index, hashes: new mongo.Binary(hashes), ...entries });
    }
    for (const { _id, tile } of some) documents.get(tileId({ level: 0, index: tile }))?.entries?.push(_id);
    await storing;
    storing = native(store.audit.entries).insertMany(some, { ordered: false });
  }
  await storing;
  await native(store.audit.tiles).insertMany([...documents.values()]);
  const root = await rootAt(size, (ids) =>
    Promise.resolve(new Map(ids.map((id): [string, Buffer] => [id, tiles.get(id) ?? Buffer.alloc(0)]))),
  );
  const note = signCheckpoint({ origin: originOf(region), size, root, at: sequencedAt }, await store.vault.signer());
  const state = { size, root: new mongo.Binary(root), at: sequencedAt, note };
  await native(store.audit.checkpoints).insertMany([
    { _id: newest, ...state, start: 0 },
    { _id: sequencedAt.toISOString().slice(0, 'YYYY-MM-DDTHH'.length), ...state },
  ]);
}

async function verify(store: Store, opens: boolean): Promise<void> {
  const keys = (await store.vault.publicKeys()).map((key) => noteKeyOf(originOf(region), key));
  const source = sourceIn(store.connection, region);
  const found = await verifyLog(source, { keys, ...(opens ? { vault: store.vault } : {}) });
  if (!found.ok || found.entries !== size) throw new Error(`the log does not verify: ${JSON.stringify(found)}`);
}
