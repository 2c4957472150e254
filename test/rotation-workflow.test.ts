/** R20, R21: rotations as workflows: each step may die and is repeated, one runs at a time, and what is left is named. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { verifyLog, noteKeyOf, originOf, sequenceBatch, sourceIn } from '../src/audit';
import type { Activities } from '../src/activities';
import { auditOnce, type Store } from '../src/data';
import { startTemporal, type RunningTemporal } from '../src/embedded';
import { openAgainst, openLedgerAt } from '../src/ledger';
import { openRotations } from '../src/temporal';
import { localKeyProvider, masterKeysOf } from '../src/vault';
import {
  rotationProgressQuery,
  rotationWorkflowId,
  rotationWorkflowType,
  searchAttributeTypes,
  type RotationInput,
  type RotationOutcome,
} from '../src/workflows';
import { eventually } from './helpers/eventually';
import { addKeys, keyDocument, mastersOf } from './helpers/keys';
import { openTestVault, region, startSystem, type System } from './helpers/system';

const before = localKeyProvider('sk-test-the-master-key-before-this-one', region);
const strange = localKeyProvider('sk-test-a-master-key-nobody-gave', region);

/** What the worker does instead of its next step of a name, once. */
let dies: { readonly step: keyof Activities; readonly after: boolean } | undefined;

/** A worker that dies, as far as Temporal can tell, before a step or after it, before anybody hears of it. */
function mortal(activities: Activities): Activities {
  const steps = ['beginRotation', 'rewrapStretch', 'concludeRotation', 'renewSigningKey'] as const;
  const wrapped = Object.fromEntries(
    steps.map((step) => [
      step,
      async (question: never) => {
        const now = dies?.step === step ? dies : undefined;
        if (now !== undefined) dies = undefined;
        if (now?.after === false) throw new Error('killed');
        const answer: unknown = await activities[step](question);
        if (now?.after === true) throw new Error('killed');
        return answer;
      },
    ]),
  );
  return { ...activities, ...wrapped };
}

let temporal: RunningTemporal;
let system: System;
let store: Store;

beforeAll(async () => {
  // It suggests a new run after a few dozen events instead of thousands, and lets none of the tests see another's rotation.
  temporal = await startTemporal({
    port: 0,
    namespace: 'default',
    searchAttributes: searchAttributeTypes,
    extraArgs: ['--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=40'],
  });
  system = await startSystem({
    address: temporal.address,
    activities: mortal,
    store: (opened) => ({
      ...opened,
      vault: { ...opened.vault, masterKeys: masterKeysOf(opened.vault.master, undefined, [before]) },
    }),
  });
  ({ store } = system);
}, 120_000);
afterEach(async () => {
  dies = undefined;
  await store.vault.keyStore.keys.deleteMany({ _id: /^account\// });
});
afterAll(async () => {
  await system.stop();
  await temporal.stop();
}, 60_000);

const to = () => store.vault.master.id;
const rotations = () => openRotations({ client: system.client, region, taskQueue: system.taskQueue });

async function rotated(): Promise<RotationOutcome> {
  return (await rotations().start(to())).outcome();
}

async function entriesSince(at: Date, action: string) {
  return store.audit.entries
    .find({ action, at: { $gte: at } })
    .lean()
    .exec();
}

describe('the master key', () => {
  const steps = ['beginRotation', 'rewrapStretch', 'concludeRotation'] as const;
  const deaths = steps.flatMap((step) => [false, true].map((after) => [after ? 'after' : 'before', step] as const));

  test.each(deaths)('R21: the worker dies %s %s: it is repeated, and on record once', async (when, step) => {
    const begun = await store.databaseTime();
    await addKeys(store.vault.keyStore, region, before, 300);
    dies = { step, after: when === 'after' };
    expect(await rotated()).toMatchObject({ to: to(), complete: true, left: 0, leftKeys: [], destroyed: 0 });
    expect(dies).toBeUndefined();
    expect(Object.keys(await mastersOf(store.vault.keyStore))).toEqual([to()]);
    const details = { to: to(), keys: expect.any(Number), destroyed: 0 };
    expect(await entriesSince(begun, 'keys.rotation-started')).toMatchObject([{ details }]);
    expect(await entriesSince(begun, 'keys.rotated')).toMatchObject([{ details: { ...details, from: [before.id] } }]);
  });

  test('R21: started twice, it runs once; asked again, it is done at once', async () => {
    const begun = await store.databaseTime();
    await addKeys(store.vault.keyStore, region, before, 2000);
    const both = await Promise.all([rotations().start(to()), rotations().start(to())]);
    const outcomes = await Promise.all(both.map((one) => one.outcome()));
    expect(outcomes[0]).toEqual(outcomes[1]);
    expect(outcomes[0]).toMatchObject({ complete: true });
    expect(await both[0].progress()).toMatchObject({ step: 'ended', pass: 1 });
    expect(await entriesSince(begun, 'keys.rotated')).toHaveLength(1);
    expect(await rotations().running()).toBeUndefined();
  });

  test('R21: what cannot be re-wrapped is named for what it is, stays as it is, and is on record', async () => {
    const begun = await store.databaseTime();
    const { keys } = store.vault.keyStore;
    await addKeys(store.vault.keyStore, region, before, 10);
    const stray = await keyDocument(region, 'account/stray', strange);
    const altered = await keyDocument(region, 'account/altered', { ...strange, id: before.id });
    await keys.insertMany([stray, altered]);
    const outcome = await rotated();
    expect(outcome).toMatchObject({ complete: false, left: 2 });
    expect(outcome.leftKeys.map(({ key, reason }) => `${key}: ${reason}`)).toEqual([
      `account/altered: the key ${region}/account/altered/1 does not open under the master key it names`,
      expect.stringContaining(
        `account/stray: the key ${region}/account/stray/1 is wrapped under the master key ${strange.id}`,
      ),
    ]);
    expect(await mastersOf(store.vault.keyStore)).toMatchObject({ [before.id]: 1, [strange.id]: 1 });
    for (const document of [stray, altered]) expect(await keys.findOne({ _id: document._id })).toEqual(document);
    expect(await entriesSince(begun, 'keys.rotated')).toEqual([]);
    expect(await entriesSince(begun, 'keys.rotation-incomplete')).toMatchObject([
      { details: { left: 2, leftKeys: ['account/altered', 'account/stray'] } },
    ]);
  });

  test('R21: a worker that was not given the new master key takes no part, and it is said why', async () => {
    await addKeys(store.vault.keyStore, region, before, 10);
    const rotation = await rotations().start(strange.id);
    const why = await eventually('it is said what it waits for', () => rotation.trouble());
    expect(why).toBe('RotationKeyError');
    expect(await rotation.progress()).toMatchObject({ to: strange.id, step: 'beginning' });
    // Whoever starts another one meanwhile is led to this one.
    expect(await (await rotations().start(to())).progress()).toMatchObject({ to: strange.id });
    expect(await mastersOf(store.vault.keyStore)).toMatchObject({ [before.id]: 10 });
    await system.client.workflow.getHandle(rotation.workflowId).cancel();
    await expect(rotation.outcome()).rejects.toThrow();
    // What was cancelled leaves nothing in the way.
    expect(await rotated()).toMatchObject({ complete: true });
  });

  test('R21: it goes on in a new run where the one before left off', async () => {
    const ids = (await addKeys(store.vault.keyStore, region, before, 600)).sort();
    const after = ids[299] ?? '';
    const input: RotationInput = {
      region,
      to: to(),
      carried: {
        progress: { to: to(), from: [before.id], step: 're-wrapping', keys: 600, seen: 300, rewrapped: 300, pass: 1 },
        after,
        entry: randomUUID(),
        moved: 300,
        failures: [],
      },
    };
    const handle = await system.client.workflow.start(rotationWorkflowType, {
      workflowId: rotationWorkflowId(region),
      taskQueue: system.taskQueue,
      args: [input],
    });
    // The last look finds what the runs before had not seen to, and it is seen to in another pass.
    expect(await handle.result()).toMatchObject({ complete: true, rewrapped: 900, from: [before.id] });
    expect(await handle.query(rotationProgressQuery)).toMatchObject({ step: 'ended', pass: 2 });
  });
});

describe('the signing key', () => {
  test.each(['before', 'after'])('R20: the worker dies %s it is replaced: it is replaced once', async (when) => {
    const begun = await store.databaseTime();
    const keys = await store.vault.publicKeys();
    dies = { step: 'renewSigningKey', after: when === 'after' };
    const { before: replaced, now } = await rotations().replaceSigningKey();
    expect(dies).toBeUndefined();
    expect(replaced).toBe(keys[0]?.kid);
    const [first, ...others] = await store.vault.publicKeys();
    expect([first?.kid, others]).toEqual([now, keys]);
    expect(await entriesSince(begun, 'keys.signing-rotated')).toMatchObject([{ details: { from: replaced, to: now } }]);
  });

  test('R20, R23: what another process signs with it is checked by one that remembers the key before', async () => {
    const { store: remembering, ledger } = system;
    const other = await openTestVault(uriOf(store));
    try {
      const [{ kid } = { kid: '' }] = await other.publicKeys();
      await remembering.vault.signer();
      await other.renewSigningKey(kid);
      const elsewhere: Store = { ...store, vault: other };
      const note = async (which: Store, details: object) => {
        await auditOnce(store, { id: randomUUID(), action: 'test.noted', details: { ...details } });
        await sequenceBatch(which);
      };
      // By turns, so that each builds on what the other one signed.
      for (let turn = 0; turn < 4; turn += 1) await note(turn % 2 === 0 ? elsewhere : remembering, { turn });
      const verified = await verifyLog(sourceIn(store.connection, region), {
        keys: (await remembering.vault.publicKeys()).map((key) => noteKeyOf(originOf(region), key)),
        vault: remembering.vault,
      });
      expect(verified).toMatchObject({ ok: true });

      const theirs = openLedgerAt({ path: ledger.path }, other);
      await openAgainst({ store: elsewhere, ledger: theirs });
      for (let turn = 0; turn < 4; turn += 1) {
        const entry = {
          kind: 'account',
          subject: 's'.repeat(43),
          erasedAt: new Date().toISOString(),
          certificate: `cert_${String(turn).padStart(43, '0')}`,
        } as const;
        await (turn % 2 === 0 ? theirs : ledger.ledger).append(entry, undefined);
      }
      const lines: number[] = [];
      for await (const { line } of ledger.ledger.after(undefined)) lines.push(line.seq);
      expect(lines).toEqual([0, 1, 2, 3, 4]);
    } finally {
      await other.close();
    }
  });
});

/** The URI a test's store was opened with: its vault lies beside it. */
function uriOf({ connection }: Store): string {
  const uri = new URL(process.env['ABLAUF_TEST_MONGODB'] ?? '');
  uri.pathname = `/${connection.name}`;
  return uri.href;
}
