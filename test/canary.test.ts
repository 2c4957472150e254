/**
 * R6, R22: an account with a marker of its own in every place the data map declares goes through its life, and a raw scan of
 * everything the database holds finds none of them afterwards.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { liteLlmCall } from '../scripts/support/traffic';
import { ingest, readSealed } from '../src/data';
import { startTimeSkippingApi, type Api } from './helpers/api';
import { eventually } from './helpers/eventually';

const day = 86_400_000;
let api: Api;

beforeAll(async () => {
  api = await startTimeSkippingApi();
}, 120_000);
afterAll(() => api.stop());

/** A text that is nowhere else in the world. */
function marker(place: string): string {
  return `canary-${place}-${randomBytes(9).toString('hex')}`;
}

/** Where each text is, by collection, in the databases of the data and of the keys. */
async function scan(texts: readonly string[]): Promise<Record<string, string[]>> {
  const { connection, vault } = api.system.store;
  const places: Record<string, string[]> = {};
  for (const one of [connection, vault.keyStore.connection]) {
    const database = one.getClient().db(one.name);
    for (const { name } of await database.listCollections().toArray()) {
      const cursor = database.collection(name).find({}, { raw: true }) as unknown as AsyncIterable<Uint8Array>;
      const here = new Set<string>();
      for await (const document of cursor) {
        const bytes = Buffer.from(document);
        for (const text of texts) if (bytes.includes(text)) here.add(text);
      }
      if (here.size > 0) places[name] = [...here].sort();
    }
  }
  return places;
}

/** What the law keeps of an account, opened. */
async function sealedOf(account: string): Promise<string[]> {
  const { records } = await readSealed(api.system.store, account, { limit: 10 });
  return records.map(({ document }) => JSON.stringify(document));
}

test('R6, R10, R22: no marker of an erased account is left anywhere but in what the law keeps, and then not there', async () => {
  const { system } = api;
  const { store } = system;
  const id = `canary-${randomBytes(6).toString('hex')}`;
  const markers = {
    name: marker('name'),
    email: `${marker('email')}@example.org`,
    prompts: marker('prompts'),
    completions: marker('completions'),
    logs: marker('logs'),
    model: marker('model'),
    user: marker('user'),
    key: marker('key'),
    invoice: marker('invoice'),
    call: marker('call'),
  };
  const texts = Object.values(markers);
  const created = await api.ask('POST', '/v1/accounts', {
    headers: { 'idempotency-key': randomUUID() },
    body: { id, name: markers.name, email: markers.email, plan: 'enterprise' },
  });
  expect(created.status).toBe(201);
  const key = await api.keyFor('customer', id, markers.key);
  const now = (await system.now()).getTime();
  const events = Array.from({ length: 20 }, (_, index) => ({
    ...liteLlmCall({ account: id, at: now - index * 1000, prompt: markers.prompts, user: markers.user }),
    litellm_call_id: `${markers.call}-${index}`,
    response: { answer: markers.completions },
    request_tags: [markers.logs],
    model: markers.model,
    model_group: markers.model,
  }));
  expect((await ingest(store, events, [['metadata', 'user_api_key_org_id']])).accepted).toBe(20);
  const invoice = await api.ask('PUT', `/v1/accounts/${id}/invoices/2026-0042`, {
    body: { issuedOn: new Date(now).toISOString().slice(0, 10), document: { buyer: markers.invoice } },
  });
  expect(invoice.status).toBe(201);
  const exported = await api.ask('POST', `/v1/accounts/${id}/exports`, { key, body: {} });
  expect(exported.status).toBe(202);
  await eventually('the export is ready', async () => {
    const { body } = await api.ask('GET', `/v1/accounts/${id}/exports/${String(exported.body['id'])}`, { key });
    return body['status'] === 'ready' ? true : undefined;
  });

  // Something of it is in every place; but what it wrote, got and had stored is found nowhere in the clear (R21).
  const before = await scan([...texts, id]);
  for (const place of ['prompts', 'completions', 'logs', 'usage', 'invoices', 'accounts', 'apiKeys', 'usageTotals'])
    expect(Object.keys(before)).toContain(place);
  const clear = new Set(Object.values(before).flat());
  for (const text of [id, markers.call, markers.model]) expect(clear).toContain(text);
  const { prompts, completions, logs, user, invoice: buyer } = markers;
  for (const text of [prompts, completions, logs, user, buyer]) expect(clear).not.toContain(text);

  // A forced end: suspended, its grace period runs out, its expiry period runs out.
  await system.send(id, 'suspend', { reason: 'non_payment' });
  await system.sleep(15 * day);
  expect(await system.account(id)).toMatchObject({ state: 'expired', lifecycle: { closure: 'forced' } });
  await system.sleep(31 * day);
  const tombstone = await system.account(id);
  expect(tombstone.state).toBe('erased');
  expect(tombstone.certificateIds).toHaveLength(1);

  const after = await scan(texts);
  expect(after).toEqual({});
  expect(await sealedOf(id)).toEqual([expect.stringContaining(markers.invoice)]);
  // R22: what is kept names it by its pseudonym.
  expect(await scan([id])).toEqual({});

  // R10: on 1 January of the ninth year after its issue the invoice goes too, and nothing at all is left.
  const year = new Date(now).getUTCFullYear();
  await system.sleep(Date.UTC(year + 8, 11, 30) - (await system.now()).getTime());
  expect(await sealedOf(id)).toEqual([expect.stringContaining(markers.invoice)]);
  await system.sleep(Date.UTC(year + 9, 0, 1, 8, 0, 1) - (await system.now()).getTime());
  await eventually('the invoice is gone', async () =>
    (await system.account(id)).certificateIds?.length === 2 ? true : undefined,
  );
  expect(await sealedOf(id)).toEqual([]);
  expect(await scan(texts)).toEqual({});
  const last = await system.account(id);
  expect(last.certificateIds).toHaveLength(2);
  expect(last).not.toHaveProperty('retainedUntil');
  expect(await scan([id])).toEqual({});
}, 180_000);
