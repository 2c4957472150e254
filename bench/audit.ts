/** What the audit log costs the acts it records, and how fast entries get their places and are verified. */
import { noteKeyOf, originOf, sequenceBatch, sourceIn, verifyLog } from '../src/audit';
import { recordStep, type Store } from '../src/data';
import { begin } from '../src/lifecycle';
import { summaryOf, type Figure } from './figures';
import { byTurns, side, timed, type Benchmark } from './harness';
import { addAccounts, dropStore, freshStore, region, settings } from './stores';

const writers = 16;
const stepsEach = 15;
const turns = 15;

/** Entries in the log that is verified. */
const size = 100_000;
const million = 1_000_000;
const verifications = 3;
const perTransaction = 500;
const subjects = 1000;

export const auditing: Benchmark = {
  name: 'audit',
  async run(ground, say) {
    const store = await freshStore(ground, 'audit');
    try {
      say('acts with and without their entries');
      const acts = await byTurns(actsWith(store, 'with'), actsWith(withoutLog(store), 'without'), { turns });
      const rate = summaryOf(acts.map(({ ours }) => ours)).median;
      say(`a log of ${size} entries`);
      const sequencing = await fill(store);
      say('verifying it');
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
          remark: `${rate.toFixed(0)} a second; ${((size * 1000) / sequencing).toFixed(0)} entries a second get their places`,
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

/** Fills the log with entries of a customer's and a staff part each. @returns how long it took to give them their places */
async function fill(store: Store): Promise<number> {
  for (const model of [store.audit.entries, store.audit.tiles, store.audit.checkpoints]) {
    await model.collection.deleteMany({});
  }
  const accounts = Array.from({ length: subjects }, (_, n) => `acct-log-${n}`);
  await side(accounts, writers, (account) => store.vault.makeKey(account));
  let milliseconds = 0;
  for (let first = 0; first < size; first += perTransaction) {
    await store.transaction(async (session) => {
      for (let n = first; n < first + perTransaction; n += 1) {
        await store.audit.append(session, {
          at: new Date(),
          actor: { type: 'key', id: 'key_of_martha', role: 'operator' },
          action: 'account.suspended',
          account: accounts[n % subjects] ?? '',
          details: { reason: 'non_payment' },
          requestId: `request-${n}`,
          seq: Math.floor(n / subjects) + 1,
          transitionId: `suspend-${n}`,
        });
      }
    });
    milliseconds += await timed(() => sequenceBatch(store));
  }
  return milliseconds;
}

async function verify(store: Store, opens: boolean): Promise<void> {
  const keys = (await store.vault.publicKeys()).map((key) => noteKeyOf(originOf(region), key));
  const source = sourceIn(store.connection, region);
  const found = await verifyLog(source, { keys, ...(opens ? { vault: store.vault } : {}) });
  if (!found.ok || found.entries !== size) throw new Error(`the log does not verify: ${JSON.stringify(found)}`);
}
