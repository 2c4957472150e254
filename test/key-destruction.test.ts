/**
 * R21–R23: an erasure ends with the destruction of the account's key, after the tombstone and before the certificate is
 * complete, whatever crashes in between; and what remains of the account is a keyed hash of its id.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { liteLlmCall } from '../scripts/support/traffic';
import {
  beginErasure,
  concludeErasure,
  eraseRecords,
  findAccount,
  ingest,
  recordStep,
  tombstoneId,
  type StepRecord,
  type Store,
} from '../src/data';
import { startApi, type Api } from './helpers/api';
import { addDueAccount, addRecords, beginningOf, judgement } from './helpers/due-accounts';
import { certificateIn, handedIn, saysOf } from './helpers/certificates';
import { eventually } from './helpers/eventually';
import { storeInvoices } from './helpers/invoices';
import { dropTestStore, openTestStore, openTestVault, randomAccountId, startSystem } from './helpers/system';

const place = { collection: 'prompts', field: 'body', id: 'a-record' } as const;
const day = 86_400_000;

/** Everything in the databases of the data and of the keys, as raw bytes, by collection. */
async function everything({ connection, vault }: Store): Promise<Map<string, Buffer[]>> {
  const bytes = new Map<string, Buffer[]>();
  for (const { name: database, ...one } of [connection, vault.keyStore.connection].map((each) => ({
    name: each.name,
    client: each.getClient(),
  }))) {
    const db = one.client.db(database);
    for (const { name } of await db.listCollections().toArray()) {
      const documents = db.collection(name).find({}, { raw: true }) as unknown as AsyncIterable<Uint8Array>;
      const here = bytes.get(name) ?? [];
      for await (const document of documents) here.push(Buffer.from(document));
      bytes.set(name, here);
    }
  }
  return bytes;
}

describe('step by step', () => {
  let store: Store;

  beforeAll(async () => {
    store = await openTestStore();
  });
  afterAll(() => dropTestStore(store));

  /** An account with a key and something encrypted, all of whose records are erased, and the step that concludes it. */
  async function erasedSoFar(): Promise<{ id: string; sealed: Buffer; step: StepRecord }> {
    const id = randomAccountId();
    const sealed = (await store.vault.makeKey(id)).seal('what nobody should read', place);
    const account = await addDueAccount(store, { id });
    await addRecords(store, account, 3);
    const now = await store.databaseTime();
    await beginErasure(store, beginningOf(account, now), { ...judgement, temporal: now });
    await eraseRecords(store, id);
    const at = now.toISOString();
    const step = {
      ...beginningOf({ ...account, seq: account.seq + 1 }, now),
      action: 'account.erased',
      lifecycle: { state: 'erased', since: at, causes: [], overrides: {}, holds: [] },
    } as const;
    return { id, sealed, step };
  }

  /** The store, with a vault that fails as it is told to. */
  function withVault(vault: Partial<Store['vault']>): Store {
    return { ...store, vault: { ...store.vault, ...vault } };
  }

  /** The store, with a log that does not take the entry that a key was destroyed. */
  function withoutEntry(): Store {
    const audit: Store['audit'] = {
      ...store.audit,
      append: (session, entry) =>
        entry.action === 'key.destroyed' ? Promise.reject(new Error('killed')) : store.audit.append(session, entry),
    };
    return { ...store, audit };
  }

  const killed = () => Promise.reject(new Error('killed'));
  const crashes: readonly (readonly [string, () => Store])[] = [
    ['before the key is destroyed', () => withVault({ destroyKey: killed })],
    [
      'once the key is destroyed, before anybody hears of it',
      () =>
        withVault({
          async destroyKey(...which) {
            await store.vault.destroyKey(...which);
            return killed();
          },
        }),
    ],
    ['before the certificate is complete', withoutEntry],
  ];

  test.each(crashes)('R21, R22: killed %s, it ends in the same when repeated', async (_when, dying) => {
    const { id, step } = await erasedSoFar();
    await expect(concludeErasure(dying(), step)).rejects.toThrow('killed');
    const between = await findAccount(store, id);
    expect(between?._id).toBe(tombstoneId(store, id));
    const [certificate] = between?.certificateIds ?? [];
    expect((await store.certificates.findById(certificate).lean())?.content).not.toHaveProperty('key');

    await concludeErasure(store, step);
    const complete = await store.certificates.findById(certificate).lean();
    const { destroyedAt, finalAt } = complete?.content['key'] as { destroyedAt: string; finalAt: string };
    expect(Date.parse(finalAt) - Date.parse(destroyedAt)).toBe(30 * day);
    expect(complete?.content['key']).toMatchObject({
      search: { collections: [{ collection: 'vaultKeys in the key store', how: 'by-account' }], found: 0 },
    });
    const entries = await store.audit.entries.find({ 'details.certificate': certificate, action: 'key.destroyed' });
    expect(entries).toHaveLength(1);
    expect(await findAccount(store, id)).toEqual(between);
    await expect(store.vault.cipherOf(id)).rejects.toMatchObject({ name: 'KeyDestroyedError' });

    // Once more, by as many as like to: nothing changes.
    const before = await everything(store);
    await Promise.all([concludeErasure(store, step), concludeErasure(store, step), concludeErasure(store, step)]);
    expect(await everything(store)).toEqual(before);
  });

  test('R21, R22: two that conclude at once leave one tombstone, one certificate and one entry', async () => {
    const { id, step } = await erasedSoFar();
    const both = await Promise.allSettled([concludeErasure(store, step), concludeErasure(store, step)]);
    expect(both.map(({ status }) => status)).toContain('fulfilled');
    const tombstone = await findAccount(store, id);
    expect(tombstone?.certificateIds).toHaveLength(1);
    const subject = store.vault.pseudonymOf(id);
    expect(await store.certificates.countDocuments({ subject })).toBe(1);
    expect(await store.audit.entries.countDocuments({ subject, action: 'key.destroyed' })).toBe(1);
  });

  test('R9: a hold that comes before the tombstone saves the key with all the rest', async () => {
    const { id, sealed, step } = await erasedSoFar();
    const account = await findAccount(store, id);
    if (account === null) throw new Error('it is gone');
    const at = (await store.databaseTime()).toISOString();
    const hold = { id: randomUUID(), reason: 'r', placedAt: at, placedBy: 'me' };
    await recordStep(store, {
      ...step,
      transitionId: randomUUID(),
      action: 'hold.placed',
      details: { hold },
      lifecycle: { ...account.lifecycle, holds: [hold] },
    });
    await expect(concludeErasure(store, { ...step, seq: step.seq + 1 })).rejects.toMatchObject({
      name: 'ErasureBlockedError',
    });
    // Not from this process's memory.
    const elsewhere = await openTestVault(vaultsData(store));
    expect((await elsewhere.cipherOf(id)).open(sealed, place)).toBe('what nobody should read');
    await elsewhere.close();
  });

  test('R23: what a dump from before holds cannot be read with the keys there are, by any process', async () => {
    const { id, sealed, step } = await erasedSoFar();
    await concludeErasure(store, step);
    const elsewhere = await openTestVault(vaultsData(store));
    for (const vault of [store.vault, elsewhere]) {
      await expect(vault.cipherOf(id)).rejects.toMatchObject({ name: 'KeyDestroyedError' });
      // Nor is a new one made for it, under which something could be stored again.
      await expect(vault.makeKey(id)).rejects.toMatchObject({ name: 'KeyDestroyedError' });
      expect(await vault.ciphersOf([id])).toEqual(new Map());
    }
    await elsewhere.close();
    const others = [
      await store.vault.makeKey(randomAccountId()),
      await store.vault.retainedCipherOf(id),
      await store.vault.systemCipher('secrets'),
    ];
    for (const cipher of others) {
      expect(() => cipher.open(sealed, place)).toThrow(expect.objectContaining({ name: 'UnreadableValueError' }));
    }
  });

  test('R22: a key that is still found, under another name, keeps the certificate from being complete', async () => {
    const { id, step } = await erasedSoFar();
    const copies = store.vault.keyStore.connection.collection('vaultKeysBefore');
    const { pseudonymOf } = store.vault;
    await copies.insertOne({ key: `account/${pseudonymOf(id)}`, wrapped: randomBytes(60) });
    await expect(concludeErasure(store, step)).rejects.toMatchObject({
      name: 'KeyRemainsError',
      message: expect.stringContaining('1 in vaultKeysBefore'),
    });
    await copies.drop();
    await concludeErasure(store, step);
    const [certificate] = (await findAccount(store, id))?.certificateIds ?? [];
    expect((await store.certificates.findById(certificate).lean())?.content).toHaveProperty('key');
  });
});

/** The data's URI, beside which the vault's database lies. */
function vaultsData({ connection }: Store): string {
  const { host, port, name } = connection;
  return `mongodb://${host}:${port}/${name}?directConnection=true`;
}

describe('the whole way', () => {
  let api: Api;

  beforeAll(async () => {
    api = await startApi({ settings: { expiryPeriod: 'PT1S', notice: 'PT0S', minPeriod: 'PT1S' } });
  }, 120_000);
  afterAll(() => api.stop());

  test('R8, R10, R15, R22: once it is erased nothing says its id; it is found by it, and what is refused is counted', async () => {
    const { system } = api;
    const { store } = system;
    const id = await system.createAccount();
    await store.vault.makeKey(id);
    await storeInvoices(store, id, ['2026-11-22']);
    await system.send(id, 'close');
    const tombstone = await eventually('it is erased', async () => {
      const account = await system.account(id);
      return account.state === 'erased' ? account : undefined;
    });
    const certificate = await eventually('the certificate is complete', async () => {
      const answer = await api.ask('GET', `/v1/certificates/${String(tombstone.certificateIds?.[0])}`, { key: null });
      return answer.status === 200 ? certificateIn(answer) : undefined;
    });
    expect(certificate).toMatchObject({ subject: tombstone._id.slice(1), key: { search: { found: 0 } } });

    // R10: the key is gone, and what the law keeps is read by the legal role as before.
    await expect(store.vault.cipherOf(id)).rejects.toMatchObject({ name: 'KeyDestroyedError' });
    const legal = await api.keyFor('legal');
    for (const asked of [id, tombstone._id]) {
      const kept = await api.ask('GET', `/v1/accounts/${asked}/retained`, { key: legal });
      expect(kept.body['items']).toMatchObject([{ dataset: 'invoices', document: { number: 'INV-0000' } }]);
    }

    // R8: the id is taken for ever.
    const profile = { id, name: 'Again', email: 'again@example.org', plan: 'standard' };
    expect(await api.ask('POST', '/v1/accounts', { body: profile })).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    });
    expect(await store.drafts.countDocuments()).toBe(0);

    // R15: what comes for it is refused by name, and counted on what is left of it.
    const late = [liteLlmCall({ account: id }), liteLlmCall({ account: id })];
    expect(await ingest(store, late, [['metadata', 'user_api_key_org_id']])).toMatchObject({
      accepted: 0,
      rejected: [{ code: 'account-erased' }, { code: 'account-erased' }],
    });
    expect(await system.account(id)).toMatchObject({ lateRefused: 2 });
    const after = await api.ask('GET', `/v1/certificates/${String(certificate['id'])}`, { key: null });
    expect(saysOf(handedIn(after).statement)).toMatchObject({ late: { refused: 2 } });
    expect(await api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason: 'other' } })).toMatchObject({
      status: 410,
    });

    // R22: not even who still asks for it, and may ask again, leaves its id behind.
    const headers = { 'idempotency-key': `late-${id.length}` };
    const ask = () => api.ask('POST', `/v1/accounts/${id}/suspend`, { headers, body: { reason: 'other' } });
    const answers = [await ask(), await ask()];
    expect(answers.map(({ status }) => status)).toEqual([410, 410]);
    const kept = await store.connection.collection('idempotencyKeys').find({}, { raw: true }).toArray();
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.filter((document) => Buffer.from(document as unknown as Uint8Array).includes(id))).toEqual([]);
  });
});

describe('a worker that loses Temporal while it concludes an erasure', () => {
  test.each(['destroyed', 'not destroyed'] as const)(
    'R9, R22: a hold that is on its way then is refused, and the erasure is finished by the next one (key %s)',
    async (fate) => {
      let hold: Promise<unknown> | undefined;
      let dying = false;
      const system = await startSystem({
        settings: { expiryPeriod: 'PT1S', notice: 'PT0S', minPeriod: 'PT1S' },
        store: (store) => ({
          ...store,
          vault: {
            ...store.vault,
            async destroyKey(...which) {
              if (!dying) return store.vault.destroyKey(...which);
              // The tombstone stands. A hold comes, which asks for the conclusion to be stopped; nothing more is heard of it.
              if (fate === 'destroyed') await store.vault.destroyKey(...which);
              hold ??= system.send(id, 'placeHold', { reason: 'case 4711' }).catch((error: unknown) => error);
              await new Promise((resolve) => setTimeout(resolve, 1500));
              dying = false;
              throw new Error('the worker is gone');
            },
          },
        }),
      });
      const id = await system.createAccount();
      try {
        await system.store.vault.makeKey(id);
        await storeInvoices(system.store, id, ['2026-11-22']);
        dying = true;
        await system.send(id, 'close');
        await eventually('the hold is on its way', () => Promise.resolve(hold));
        expect(await hold).toMatchObject({ refusal: { code: 'account-erased' } });
        const workflow = system.client.workflow.getHandle(`account/${system.store.region}/${id}`);
        expect(await workflow.result()).toMatchObject({ outcome: 'erased' });
        const { events } = await workflow.fetchHistory();
        const asked = (events ?? []).map((event) => event.activityTaskScheduledEventAttributes?.activityType?.name);
        expect(asked).toContain('finishErasure');
        const tombstone = await system.account(id);
        expect(tombstone).toMatchObject({ state: 'erased', lifecycle: { holds: [] } });
        const [certificate] = tombstone.certificateIds ?? [];
        expect((await system.store.certificates.findById(certificate).lean())?.content).toHaveProperty('key');
        await expect(system.store.vault.cipherOf(id)).rejects.toMatchObject({ name: 'KeyDestroyedError' });
        // What outlives the account was begun all the same.
        const retained = system.client.workflow.getHandle(`retained/${system.store.region}/${tombstone._id.slice(1)}`);
        expect((await retained.describe()).status.name).toBe('RUNNING');
      } finally {
        await system.stop();
      }
    },
    120_000,
  );
});
