/** R6, R9, R10, R22: an erasure can be read before it happens, and does what was read and nothing else. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { beginErasure, concludeErasure, eraseRecords, recordStep, type AccountDocument } from '../src/data';
import { startApi, type Api } from './helpers/api';
import { certificateIn } from './helpers/certificates';
import { addDueAccount, addRecords, beginningOf, judgement } from './helpers/due-accounts';
import { storeInvoices } from './helpers/invoices';

interface Plan {
  readonly hash: string;
  readonly due: string | null;
  readonly steps: readonly { dataset: string; action: string; records: number; rule: string; until?: string }[];
  readonly blockedBy: readonly { kind: string; id?: string; detail: string }[];
}

let api: Api;

beforeAll(async () => {
  api = await startApi();
}, 120_000);
afterAll(() => api.stop());

async function planOf(account: string): Promise<Plan> {
  const { status, body } = await api.ask('GET', `/v1/accounts/${account}/erasure-plan`);
  expect(status).toBe(200);
  return body as unknown as Plan;
}

function stepOf(plan: Plan, dataset: string): Plan['steps'][number] | undefined {
  return plan.steps.find((step) => step.dataset === dataset);
}

async function begun(): Promise<AccountDocument> {
  const { store } = api.system;
  const account = await addDueAccount(store);
  await addRecords(store, account, 4);
  const temporal = await store.databaseTime();
  await beginErasure(store, beginningOf(account, temporal), { ...judgement, temporal });
  return account;
}

describe('the plan', () => {
  test('names every data set, what becomes of it, how much there is, when, and under which rule', async () => {
    const { store } = api.system;
    const account = await addDueAccount(store);
    await addRecords(store, account, 3);
    await storeInvoices(store, account._id, ['2026-05-03', '2024-12-31']);
    const plan = await planOf(account._id);
    expect(plan.due).toBe(account.deadline?.at.toISOString());
    expect(plan.blockedBy).toEqual([]);
    expect(stepOf(plan, 'prompts')).toEqual({ dataset: 'prompts', action: 'erase', records: 3, rule: 'R6' });
    expect(stepOf(plan, 'invoices')).toMatchObject({ action: 'seal', records: 2, rule: 'R10' });
    expect(stepOf(plan, 'invoices')?.until).toMatch(/^2035-01-01T/);
    expect(stepOf(plan, 'profile')).toMatchObject({ action: 'reduce', records: 1, rule: 'R8' });
    expect(stepOf(plan, 'audit')).toMatchObject({ action: 'keep', rule: 'R20' });
  });

  test('its hash covers data sets, actions and rules, not how much there is', async () => {
    const { store } = api.system;
    const account = await addDueAccount(store);
    const before = await planOf(account._id);
    await addRecords(store, account, 2);
    const after = await planOf(account._id);
    expect(stepOf(after, 'logs')?.records).toBe(2);
    expect(after.hash).toBe(before.hash);
  });

  test('R9: a hold shows as what blocks it, and changes what it would do', async () => {
    const id = await api.system.createAccount();
    const free = await planOf(id);
    expect(free.due).toBeNull();
    expect(free.blockedBy).toMatchObject([{ kind: 'state' }]);
    const chosen = await api.ask('POST', `/v1/accounts/${id}/holds`, { body: { reason: 'c', datasets: ['prompts'] } });
    const held = await planOf(id);
    expect(held.hash).not.toBe(free.hash);
    expect(held.blockedBy).toMatchObject([{ kind: 'state' }, { kind: 'hold', id: chosen.body['id'] }]);
    expect(stepOf(held, 'prompts')).toMatchObject({ action: 'hold', rule: 'R9' });
    expect(stepOf(held, 'completions')).toMatchObject({ action: 'erase' });
    expect(stepOf(held, 'profile')).toMatchObject({ action: 'hold' });
    await api.ask('POST', `/v1/accounts/${id}/holds`, { body: { reason: 'whole' } });
    const whole = await planOf(id);
    expect(whole.steps.filter(({ action }) => action !== 'hold' && action !== 'keep')).toEqual([]);
  });

  test('a processor that is registered is a step of it', async () => {
    const { store } = api.system;
    const account = await addDueAccount(store);
    const before = await planOf(account._id);
    const processor = {
      _id: randomUUID(),
      name: 'mail',
      kind: 'webhook',
      url: 'https://mail.example',
      createdBy: 'me',
    };
    await store.processors.collection.insertOne({ ...processor, createdAt: new Date() } as never);
    const after = await planOf(account._id);
    await store.processors.collection.deleteMany({});
    expect(stepOf(after, 'processor:mail')).toMatchObject({ action: 'tell', rule: 'R6' });
    expect(after.hash).not.toBe(before.hash);
  });

  test('is not for customers, who do not see holds, nor for gateways; of an erased account there is none', async () => {
    const id = await api.system.createAccount();
    const path = `/v1/accounts/${id}/erasure-plan`;
    for (const key of [await api.keyFor('customer', id), await api.keyFor('gateway')])
      expect(await api.ask('GET', path, { key })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    for (const role of ['operator', 'auditor', 'legal'] as const)
      expect((await api.ask('GET', path, { key: await api.keyFor(role) })).status).toBe(200);
    expect(await api.ask('GET', '/v1/accounts/nobody/erasure-plan')).toMatchObject({ status: 404 });
  });
});

describe('carrying it out', () => {
  test('R22: stops before anything goes where it would deviate from the plan in force, and says in what', async () => {
    const { store } = api.system;
    const account = await begun();
    // As if it had begun under code that knew of another data set.
    await store.accounts.collection.updateOne(
      { _id: account._id as never },
      {
        $set: { 'erasing.plan.hash': 'another' },
        $push: { 'erasing.plan.steps': { dataset: 'embeddings', action: 'erase', rule: 'R6' } as never },
      },
    );
    await expect(eraseRecords(store, account._id)).rejects.toThrow(/would deviate .*embeddings/);
    expect(await store.records.prompts.countDocuments({ account: account._id })).toBe(4);
  });

  test('R22: stops where a processor was registered since it began, which the plan in force would not tell', async () => {
    const { store } = api.system;
    const account = await begun();
    const processor = {
      _id: randomUUID(),
      name: 'late',
      kind: 'webhook',
      url: 'https://late.example',
      createdBy: 'me',
    };
    await store.processors.collection.insertOne({ ...processor, createdAt: new Date() } as never);
    try {
      await expect(eraseRecords(store, account._id)).rejects.toMatchObject({ name: 'PlanDeviationError' });
    } finally {
      await store.processors.collection.deleteMany({});
    }
    expect(await store.records.logs.countDocuments({ account: account._id })).toBe(4);
  });

  test('R22: the plan changes under its feet: the batch that follows takes nothing', async () => {
    const { store } = api.system;
    const account = await begun();
    let batches = 0;
    const result = await eraseRecords(store, account._id, {
      progress: () => (batches += 1),
      checkpoint: () => {
        if (batches !== 1) return;
        // Another worker begins anew under another plan, between two batches of this one.
        batches += 1;
        raced = store.accounts.collection
          .updateOne({ _id: account._id as never }, { $set: { 'erasing.plan.hash': 'of another' } })
          .then(() => undefined);
      },
    });
    await raced;
    expect(result.finished).toBe(false);
    const left = await Promise.all(
      Object.values(store.records).map((model) => model.countDocuments({ account: account._id })),
    );
    expect(left.reduce((sum, n) => sum + n, 0)).toBeGreaterThan(0);
  });
  let raced: Promise<void> | undefined;

  test('R22: the certificate says of each data set what was found, erased and left, and by which plan', async () => {
    const { store } = api.system;
    const account = await begun();
    await storeInvoices(store, account._id, ['2026-05-03']);
    const plan = await planOf(account._id);
    expect((await eraseRecords(store, account._id)).finished).toBe(true);
    const before = await store.accounts.findById(account._id).lean<AccountDocument>().exec();
    if (before === null) throw new Error('it is gone');
    const asked = await store.databaseTime();
    // It was asked for long ago: the storage was away, say.
    const at = new Date(asked.getTime() - 86_400_000);
    const step = {
      ...beginningOf(before, at),
      action: 'account.erased',
      lifecycle: { state: 'erased', since: at.toISOString(), causes: [], overrides: {}, holds: [] },
    } as const;
    const concluded = await concludeErasure(store, step);
    expect(await concludeErasure(store, step)).toEqual(concluded);
    expect(concluded).toMatchObject({ told: [], retained: true });
    const { body } = await api.ask('GET', `/v1/accounts/${account._id}`);
    const [id] = body['certificateIds'] as string[];
    expect(body).not.toHaveProperty('name');
    const certificate = await api.ask('GET', `/v1/certificates/${id}`, { key: null });
    expect(certificate.status).toBe(200);
    expect(certificate.text).not.toContain(account._id);
    const content = certificateIn(certificate);
    expect(content).toMatchObject({ planHash: plan.hash, search: { found: 0 } });
    const { search, account: certified } = content as {
      search: { at: string };
      account: { erasedAt: string };
    };
    expect(Date.parse(search.at)).toBeGreaterThanOrEqual(asked.getTime());
    expect(Date.parse(certified.erasedAt)).toBeGreaterThanOrEqual(asked.getTime());
    expect(body['erasedAt']).toBe(certified.erasedAt);
    // What came after the certificate was issued is not in it.
    const subject = store.vault.pseudonymOf(account._id);
    const entries = await store.audit.entries.countDocuments({ subject, action: { $ne: 'key.destroyed' } });
    const sets = content['sets'] as { dataset: string }[];
    expect(sets).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ dataset: 'prompts', found: 4, erased: 4, left: 0, rule: 'R6' }),
        expect.objectContaining({ dataset: 'invoices', found: 1, erased: 0, left: 1, rule: 'R10' }),
        expect.objectContaining({ dataset: 'audit', found: entries, erased: 0, left: entries, rule: 'R20' }),
      ]),
    );
  });

  test('R9: a hold recorded between two batches of the conclusion stops it, and the account stands', async () => {
    const { store } = api.system;
    const account = await begun();
    expect((await eraseRecords(store, account._id)).finished).toBe(true);
    const before = await store.accounts.findById(account._id).lean<AccountDocument>().exec();
    if (before === null) throw new Error('it is gone');
    const at = (await store.databaseTime()).toISOString();
    const reason = (await store.vault.makeKey(account._id)).sealText('r', 'reason');
    const hold = { id: randomUUID(), reason, placedAt: at, placedBy: 'me' };
    await recordStep(store, {
      ...beginningOf(before, new Date(at)),
      action: 'hold.placed',
      details: { hold },
      lifecycle: { ...before.lifecycle, holds: [hold] },
    });
    const step = {
      ...beginningOf({ ...before, seq: before.seq + 1 }, new Date(at)),
      action: 'account.erased',
    } as const;
    await expect(concludeErasure(store, step)).rejects.toMatchObject({ name: 'ErasureBlockedError' });
    expect(await store.accounts.findById(account._id).lean().exec()).toMatchObject({
      state: 'expired',
      name: before.name,
    });
  });
});
