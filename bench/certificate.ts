/** Proving an erasure from the audit log, and checking its certificate as an auditor does. */
import { randomBytes } from 'node:crypto';
import { proofOf, sequenceBatch } from '../src/audit';
import {
  completeCertificate,
  findCertificate,
  issueCertificate,
  signedCertificate,
  type ErasureCertificate,
  type Store,
} from '../src/data';
import { bySystem } from '../src/lifecycle';
import { timed, type Benchmark } from './harness';
import { dropStore, freshStore, region } from './stores';

/** Entries in the log: the more there are, the more hashes and tiles a proof takes. */
const entries = 20_000;
const perTransaction = 500;
const turns = 25;

export const certifying: Benchmark = {
  name: 'certificate',
  async run(ground, say) {
    const store = await freshStore(ground, 'certificate');
    try {
      say(`a log of ${entries} entries`);
      await fill(store);
      const { check } = await import('../tools/verify.mjs');
      const keys = JSON.stringify({ keys: await store.vault.publicKeys() });
      const proving: number[] = [];
      const checking: number[] = [];
      // One turn goes before, unmeasured.
      for (let turn = -1; turn < turns; turn += 1) {
        const { id, entry } = await issue(store);
        const proved = await timed(() => proofOf(store, entry));
        const certificate = await certified(store, id);
        let code: number | undefined;
        const checked = await timed(async () => ({ code } = await check(certificate, keys)));
        if (code !== 0) throw new Error('the certificate does not hold');
        if (turn < 0) continue;
        proving.push(proved);
        checking.push(checked);
      }
      const remark = `in a log of ${entries} entries`;
      const both = proving.map((proved, turn) => proved + (checking[turn] ?? NaN));
      return [
        { name: 'Proving an erasure from the audit log', values: proving, unit: 'ms', target: { atMost: 5 }, remark },
        { name: 'Checking its certificate with `verify.mjs`', values: checking, unit: 'ms', target: { atMost: 5 } },
        { name: 'One after the other', values: both, unit: 'ms', target: { atMost: 10 } },
      ];
    } finally {
      await dropStore(store);
    }
  },
};

async function fill(store: Store): Promise<void> {
  for (let made = 0; made < entries; made += perTransaction) {
    await store.transaction(async (session) => {
      for (let n = 0; n < perTransaction; n += 1) {
        await store.audit.append(session, { at: new Date(), actor: bySystem, action: 'bench.filled', details: {} });
      }
    });
    await sequenceBatch(store);
  }
}

/** Issues a certificate as an erasure does, and has its entry take its place in the log. */
async function issue(store: Store): Promise<{ id: string; entry: string }> {
  const at = new Date();
  const id = `cert_${randomBytes(32).toString('base64url')}`;
  const account = `acct-${randomBytes(5).toString('hex')}`;
  const entry = await store.transaction(async (session) => {
    const act = { at, actor: bySystem, action: 'account.erased', account, details: { certificate: id } };
    const { _id } = await store.audit.append(session, act);
    await issueCertificate(store, session, { id, kind: 'erasure', account, issuedAt: at, entry: _id, content });
    return _id;
  });
  await sequenceBatch(store);
  return { id, entry };
}

async function certified(store: Store, id: string): Promise<string> {
  await completeCertificate(store, id, { keyDestroyedAt: new Date() });
  const found = await findCertificate(store, id);
  return JSON.stringify(found === null ? undefined : await signedCertificate(store, found));
}

const at = new Date().toISOString();
const names = Array.from({ length: 20 }, (_, n) => `set-${n}`);
/** As much as a certificate says. */
const content: ErasureCertificate = {
  region,
  account: { openedAt: at, closedAt: at, closure: 'voluntary', dueAt: at, erasedAt: at },
  planHash: 'b2f5',
  sets: names.map((dataset) => ({ dataset, found: 3, erased: 3, left: 0, rule: 'R6' })),
  retained: [],
  late: { discarded: 0, refused: 0 },
  policy: { expiryPeriod: 'P30D' },
  holds: [],
  delays: [],
  search: { at, collections: names.map((collection) => ({ collection, how: 'by-account' })), except: [], found: 0 },
  processors: [],
};
