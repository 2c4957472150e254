/** R18, R21: what customers have stored is encrypted, opens at its own place only, and whoever alters it is found out. */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mongo } from 'mongoose';
import { liteLlmCall } from '../scripts/support/traffic';
import { categories, ingest, type Category } from '../src/data';
import type { InvoiceDocument, RecordDocument } from '../src/data/documents';
import { native } from '../src/database';
import { startApi, type Api } from './helpers/api';
import { untilDone, type ExportView } from './helpers/exports';
import { recordsOf } from './helpers/records';

const paths = [['metadata', 'user_api_key_org_id']];
let api: Api;

beforeAll(async () => {
  api = await startApi();
}, 120_000);
afterAll(() => api.stop());

interface Customer {
  readonly account: string;
  readonly key: string;
  /** In everything that was stored of it. */
  readonly canary: string;
}

/** An account with two calls of one person. */
async function customer(): Promise<Customer> {
  const account = await api.system.createAccount({ plan: 'enterprise' });
  const canary = `canary${randomBytes(9).toString('hex')}`;
  const calls = ['one', 'two'].map((callId) => ({
    ...liteLlmCall({ account, user: `${canary}@example.org`, prompt: `${canary} ${callId}`, answer: canary, callId }),
    request_tags: [canary],
  }));
  expect(await ingest(api.system.store, calls, paths)).toMatchObject({ accepted: 2, rejected: [] });
  return { account, key: await api.keyFor('customer', account), canary };
}

function collection(category: Category) {
  return native(api.system.store.records[category]);
}

async function seek(account: string, category: Category, callId: string): Promise<RecordDocument> {
  const found = await collection(category).findOne<RecordDocument>({ _id: `${account}:${callId}` });
  if (found === null) throw new Error('there is no such record');
  return found;
}

async function put(category: Category, _id: string, body: unknown): Promise<void> {
  await collection(category).updateOne({ _id }, { $set: { body: body as mongo.Binary } });
}

/** The bytes with one bit turned over. */
function flipped(sealed: mongo.Binary, at: number): mongo.Binary {
  const bytes = Buffer.from(sealed.value());
  const place = at < 0 ? bytes.length + at : at;
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  return new mongo.Binary(bytes);
}

/** Reading is refused without a word of why, and the log says which error it was, and nothing of what is stored. */
async function expectFoundOut({ account, key, canary }: Customer, path = `/v1/accounts/${account}/records`) {
  api.logged.length = 0;
  const answer = await api.ask('GET', path, { key });
  expect(answer).toMatchObject({ status: 500, body: { code: 'internal' } });
  expect(answer.text).not.toContain(canary);
  const log = api.logged.join('');
  expect(log).toContain('UnreadableValueError');
  expect(log).not.toContain(canary);
}

describe('records', () => {
  test('R21: hold their bodies and persons encrypted, and read as they came', async () => {
    const { account, key, canary } = await customer();
    for (const category of categories) {
      const [stored] = await collection(category).find({ account }, { raw: true }).toArray();
      expect(Buffer.from(stored as unknown as Uint8Array).toString('latin1')).not.toContain('canary');
    }
    const { body } = await api.ask('GET', `/v1/accounts/${account}/records`, { key });
    const items = body['items'] as readonly Record<string, unknown>[];
    expect(items).toHaveLength(8);
    for (const item of items) expect(item['user']).toBe(`${canary}@example.org`);
    const prompts = items.filter((item) => item['category'] === 'prompts').map((item) => JSON.stringify(item['body']));
    // Of one instant, perhaps: then they come in any order.
    expect(prompts.sort()).toEqual([
      expect.stringContaining(`${canary} one`),
      expect.stringContaining(`${canary} two`),
    ]);
  });

  test('R21: name a person by an index that is the same in all categories, and another one in each account', async () => {
    const [ours, theirs] = [await customer(), await customer()];
    const indexOf = async ({ account }: Customer, category: Category) => {
      const [call] = await recordsOf(api.system.store, category, account, [
        { callId: 'x', at: new Date(), user: 'one and the same' },
      ]);
      return call?.userIndex;
    };
    const own = await Promise.all(categories.map((category) => indexOf(ours, category)));
    expect(new Set(own).size).toBe(1);
    expect(await indexOf(theirs, 'prompts')).not.toBe(own[0]);
  });

  test.each([
    ['its format', 0],
    ['its key version', 4],
    ['its nonce', 10],
    ['its ciphertext', 40],
    ['its tag', -1],
  ])('R18: one bit of %s turned over is found out', async (_what, at) => {
    const who = await customer();
    const { _id, body } = await seek(who.account, 'prompts', 'one');
    await put('prompts', _id, flipped(body, at));
    await expectFoundOut(who);
    await put('prompts', _id, body);
    expect((await api.ask('GET', `/v1/accounts/${who.account}/records`, { key: who.key })).status).toBe(200);
  });

  test('R18: a body put in the place of another is found out: of another record, category, or account', async () => {
    const [who, other] = [await customer(), await customer()];
    const { _id, body } = await seek(who.account, 'prompts', 'one');
    for (const from of [
      await seek(who.account, 'prompts', 'two'),
      await seek(who.account, 'completions', 'one'),
      await seek(other.account, 'prompts', 'one'),
    ]) {
      await put('prompts', _id, from.body);
      await expectFoundOut(who);
    }
    await put('prompts', _id, body);
  });

  test('R18: what was put there in the clear, past us, is not taken for theirs', async () => {
    const who = await customer();
    const { _id, body } = await seek(who.account, 'logs', 'one');
    for (const foreign of ['{"plain":"text"}', new mongo.Binary(Buffer.from('\n{"plain":"bytes"}')), 7]) {
      await put('logs', _id, foreign);
      // By what it measures, the database itself refuses what is no bytes at all.
      const answer = await api.ask('GET', `/v1/accounts/${who.account}/records`, { key: who.key });
      expect(answer).toMatchObject({ status: 500, body: { code: 'internal' } });
    }
    await put('logs', _id, body);
  });

  test('R18: an export that meets an altered record fails, rather than leave it out', async () => {
    const { account, key } = await customer();
    const { _id, body } = await seek(account, 'usage', 'two');
    await put('usage', _id, flipped(body, 50));
    const asked = await api.ask('POST', `/v1/accounts/${account}/exports`, { key, body: {} });
    const path = `/v1/accounts/${account}/exports/${String(asked.body['id'])}`;
    const done = await untilDone(async () => (await api.ask('GET', path, { key })).body as unknown as ExportView);
    expect(done).toMatchObject({ status: 'failed', reason: 'damaged' });
    await put('usage', _id, body);
    const again = await api.ask('POST', `/v1/accounts/${account}/exports`, { key, body: {} });
    const anew = `/v1/accounts/${account}/exports/${String(again.body['id'])}`;
    const ready = await untilDone(async () => (await api.ask('GET', anew, { key })).body as unknown as ExportView);
    expect(ready).toMatchObject({ status: 'ready', records: 8 });
  });
});

describe('ingest', () => {
  const call = (account: string) => liteLlmCall({ account, callId: randomUUID() });

  test('R23: stores nothing for an account whose key is destroyed, whatever the database says of it', async () => {
    const { account } = await customer();
    const { store } = api.system;
    const before = await collection('logs').countDocuments({ account });
    await store.vault.destroyKey(account);
    const body = [call(account)];
    const answer = await api.ask('POST', '/v1/ingest/litellm', { body });
    expect(answer.body).toMatchObject({ accepted: 0, rejected: [{ index: 0, code: 'account-erased' }] });
    expect(await collection('logs').countDocuments({ account })).toBe(before);
    expect(await native(store.gates).findOne({ _id: account })).toMatchObject({ refused: 1 });
  });

  test('takes an account that has no key for none, and goes on with the others', async () => {
    const { account } = await customer();
    const { store } = api.system;
    // What a creation leaves that never made its key.
    const keyless = `${account}-keyless`;
    const document = await api.system.account(account);
    await native(store.accounts).insertOne({ ...document, _id: keyless });
    await native(store.gates).insertOne({ _id: keyless, open: true, passed: 0 });
    const result = await ingest(store, [call(keyless), call(account)], paths);
    expect(result).toMatchObject({ accepted: 1, rejected: [{ index: 0, code: 'unknown-account' }] });
    expect(await collection('logs').countDocuments({ account: keyless })).toBe(0);
  });
});

describe('invoices', () => {
  test('R18, R21: are encrypted, stay the same to whoever sends them again, and one that is altered is found out', async () => {
    const who = await customer();
    const { account, key, canary } = who;
    const path = `/v1/accounts/${account}/invoices/2026-1`;
    const body = { issuedOn: '2026-11-20', document: { buyer: canary, total: 12.5 } };
    expect((await api.ask('PUT', path, { body })).status).toBe(201);
    expect((await api.ask('PUT', path, { body })).status).toBe(200);
    const invoices = native(api.system.store.invoices);
    const stored = await invoices.findOne<InvoiceDocument>({ _id: `${account}:2026-1` });
    if (stored === null) throw new Error('the invoice is not there');
    expect(mongo.BSON.serialize(stored).toString()).not.toContain(canary);
    expect((await api.ask('GET', path, { key })).body).toMatchObject({ document: body.document });
    await invoices.updateOne({ _id: stored._id }, { $set: { body: flipped(stored.body, 40) } });
    await expectFoundOut(who, path);
    await invoices.updateOne({ _id: stored._id }, { $set: { body: stored.body } });
  });
});
