/**
 * R9, raced: a hold is placed while something is being deleted, thousands of times, with the moments drawn at random. What
 * was there when the hold was acknowledged is there for good.
 */
import { randomUUID } from 'node:crypto';
import type { ClientSession } from 'mongoose';
import {
  categories,
  deleteThroughGate,
  erasePerson,
  eraseRecords,
  type AccountDocument,
  type Category,
  type Store,
  userIndexOf,
} from '../src/data';
import { planFor, recorded } from '../src/data/plan';
import { recordStepIn } from '../src/data/record-step';
import { native } from '../src/database';
import type { Hold, Lifecycle } from '../src/lifecycle';
import { recordsOf } from './helpers/records';
import { admin, dropTestStore, openTestStore, region } from './helpers/system';

const seed = Number(process.env['RACE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const atOnce = 12;
const recordsEach = 2;

let store: Store;

beforeAll(async () => {
  store = await openTestStore();
});

afterAll(async () => {
  await dropTestStore(store);
});

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const since = '2026-01-01T00:00:00.000Z';

function accountOf(id: string, erasing: boolean): AccountDocument {
  const lifecycle: Lifecycle = {
    state: erasing ? 'expired' : 'active',
    since,
    causes: [],
    overrides: { activeRetentionDays: 1 },
    holds: [],
    ...(erasing ? { closure: 'voluntary', period: { length: 'P1D' }, erasingSince: since } : {}),
  };
  return {
    _id: id,
    region,
    state: lifecycle.state,
    since: new Date(since),
    lifecycle,
    inactive: [],
    ...(erasing
      ? { erasing: { since: new Date(since), done: 0, total: 0, sets: {}, plan: recorded(planFor([], [])) } }
      : {}),
    seq: 1,
    version: 1,
    createdAt: new Date(since),
  };
}

/**
 * Records the hold's step, as the account's workflow would have it recorded.
 *
 * @returns how many records there were in these sets, by the very transaction that records the hold: whatever goes after
 * it, and be it before the hold is answered, is missed
 */
async function placeHold(
  account: AccountDocument,
  datasets: readonly string[] | undefined,
  counted: readonly Category[],
): Promise<number> {
  const hold: Hold = {
    id: randomUUID(),
    reason: 'a case',
    placedAt: since,
    placedBy: admin.id,
    ...(datasets === undefined ? {} : { datasets }),
  };
  const step = {
    account: account._id,
    seq: 2,
    transitionId: randomUUID(),
    at: since,
    actor: admin,
    action: 'hold.placed' as const,
    details: { hold },
    lifecycle: { ...account.lifecycle, holds: [hold] },
  };
  return store.transaction(async (session) => {
    await recordStepIn(store, session, step);
    return count(account._id, counted, session);
  });
}

async function count(account: string, sets: readonly Category[], session?: ClientSession): Promise<number> {
  const options = session === undefined ? {} : { session };
  let total = 0;
  for (const set of sets) total += await native(store.records[set]).countDocuments({ account }, options);
  return total;
}

interface Race {
  readonly name: string;
  readonly races: number;
  readonly erasing: boolean;
  /** The sets deleted from. */
  readonly sets: readonly Category[];
  /** How far apart the two may begin, in milliseconds. */
  readonly spread: number;
  readonly remove: (account: string) => Promise<unknown>;
}

const some = ['prompts', 'logs'] as const;

/** Through the gate, set by set or both in one batch. */
function gated(purpose: 'erasure' | 'purge' | 'person' | 'archive'): Race {
  return {
    name: purpose,
    races: 500,
    erasing: purpose === 'erasure',
    sets: some,
    spread: 16,
    async remove(account) {
      if (account.endsWith('0')) {
        await deleteThroughGate(store, { account, purpose, sets: { prompts: {}, logs: {} } });
        return;
      }
      for (const set of some) await deleteThroughGate(store, { account, purpose, sets: { [set]: {} } });
    },
  };
}

const races: readonly Race[] = [
  ...(['erasure', 'purge', 'person', 'archive'] as const).map(gated),
  {
    name: 'an erasure, as its activity does it',
    races: 60,
    erasing: true,
    sets: categories,
    spread: 1500,
    remove: (account) => eraseRecords(store, account),
  },
  {
    name: 'a person’s erasure, as its activity does it',
    races: 60,
    erasing: false,
    sets: categories,
    spread: 1500,
    async remove(account) {
      await erasePerson(store, { account, request: `request-${account}` });
    },
  },
];

async function prepare(ids: readonly string[], { erasing, sets }: Race): Promise<void> {
  await native(store.accounts).insertMany(ids.map((id) => accountOf(id, erasing)));
  await native(store.personRequests).insertMany(
    (await Promise.all(ids.map(async (id) => ({ id, cipher: await store.vault.makeKey(id) })))).map(
      ({ id, cipher }) => ({
        _id: `request-${id}`,
        account: id,
        userIndex: userIndexOf(cipher, 'ann'),
        requestedBy: 'k',
        requestId: 'r',
        at: new Date(),
        status: 'running' as const,
        erased: {},
      }),
    ),
  );
  for (const set of sets) {
    const records = Array.from({ length: recordsEach }, (_, index) => ({
      callId: String(index),
      at: new Date(since),
      user: 'ann',
    }));
    const documents = await Promise.all(ids.map((id) => recordsOf(store, set, id, records)));
    await native(store.records[set]).insertMany(documents.flat());
  }
}

test.each(races.map((race, index) => [race.name, race, index] as const))(
  'R9: what was there when a hold was acknowledged stays, whatever else is under way: %s',
  async (_name, race, index) => {
    const random = randomFrom(seed + index);
    const ids = Array.from({ length: race.races }, (_, n) => `race-${index}-${n}`);
    await prepare(ids, race);
    const outcomes = { untouched: 0, partly: 0, gone: 0 };
    const lost: string[] = [];

    async function run(id: string, n: number): Promise<void> {
      // Every other hold is on a chosen set, and protects that one.
      const chosen = n % 2 === 0 ? undefined : race.sets.slice(0, 1);
      const held = chosen ?? race.sets;
      const shift = (random() * 2 - 1) * race.spread;
      const removing = sleep(Math.max(0, shift)).then(() => race.remove(id));
      await sleep(Math.max(0, -shift));
      const acknowledged = await placeHold(accountOf(id, race.erasing), chosen, held);
      await removing;
      const after = await count(id, held);
      if (after !== acknowledged) lost.push(`${id}: ${acknowledged} when acknowledged, ${after} afterwards`);
      if (acknowledged === held.length * recordsEach) outcomes.untouched += 1;
      else if (acknowledged === 0) outcomes.gone += 1;
      else outcomes.partly += 1;
    }

    const queue = ids.map((id, n) => [id, n] as const);
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) await run(...next);
      }),
    );
    const told = `seed ${seed} (repeat with RACE_SEED=${seed}): ${JSON.stringify(outcomes)}`;
    expect([told, lost]).toEqual([told, []]);
    // Both orders were raced, and often: otherwise this proves nothing.
    const often = race.races / 20;
    expect([told, outcomes.untouched > often, outcomes.gone + outcomes.partly > often]).toEqual([told, true, true]);
  },
  240_000,
);
