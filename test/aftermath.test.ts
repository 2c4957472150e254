/** What outlives an erasure: processors that are told, and what the law keeps until its date (R10, R22). */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApi, type Api } from './helpers/api';
import { handedIn, saysOf, verify } from './helpers/certificates';
import { eventually } from './helpers/eventually';
import { storeInvoices } from './helpers/invoices';
import { startWebhookTarget, type WebhookTarget } from './helpers/processor';
import { region } from './helpers/system';

let api: Api;
let target: WebhookTarget;

beforeAll(async () => {
  target = await startWebhookTarget();
  target.answer = { status: 200, body: JSON.stringify({ status: 'completed' }) };
  api = await startApi({
    settings: { expiryPeriod: 'PT1S', notice: 'PT0S', minPeriod: 'PT1S' },
    processors: { allowPrivate: true },
  });
}, 120_000);
afterAll(async () => {
  await api.stop();
  await target.stop();
});

test('an erased account’s processors are told by its own course, and what they confirm is added to its certificate', async () => {
  const made = await api.ask('POST', '/v1/processors', { body: { name: 'mail', kind: 'webhook', url: target.url } });
  expect(made.status).toBe(201);
  const { system } = api;
  const id = await system.createAccount();
  await storeInvoices(system.store, id, [new Date().toISOString().slice(0, 10)]);
  await system.send(id, 'close');
  const tombstone = await eventually('the account is erased', async () => {
    const account = await system.account(id);
    return account.state === 'erased' ? account : undefined;
  });
  const [certificateId = ''] = tombstone.certificateIds ?? [];
  const certificate = await eventually('the receipt is added', async () => {
    const handed = handedIn(await api.ask('GET', `/v1/certificates/${certificateId}`, { key: null }));
    return handed.addenda.length > 0 ? handed : undefined;
  });
  expect(saysOf(certificate)['processors']).toMatchObject([{ processor: 'mail' }]);
  expect(certificate.addenda.map(saysOf)).toMatchObject([{ kind: 'processor-receipt' }]);
  const keys = await api.ask('GET', '/v1/keys/public', { key: null });
  const verified = await verify(certificate, keys.body);
  expect(verified).toMatchObject({
    code: 0,
    out: expect.stringMatching(/processor-receipt, by mail, status completed/),
  });
  expect(target.heard).toHaveLength(1);
  expect(target.heard[0]?.body).toContain(id);
  // Told and confirmed, it is nobody's any more.
  const [request] = await system.store.processorRequests.find({}).lean().exec();
  expect(request).toMatchObject({ subject: tombstone._id.slice(1), status: 'completed' });
  expect(request).not.toHaveProperty('identity');

  // R10, R22: the invoice waits for its date in a workflow of its own, which an operator finds by the tombstone.
  const waiting = await system.client.workflow.getHandle(`retained/${region}/${tombstone._id.slice(1)}`).describe();
  expect(waiting.status.name).toBe('RUNNING');
  expect(tombstone.retainedUntil?.getUTCFullYear()).toBe(new Date().getUTCFullYear() + 9);
  const legal = await api.keyFor('legal');
  const kept = await api.ask('GET', `/v1/accounts/${id}/retained`, { key: legal });
  expect(kept.body['items']).toHaveLength(1);
});
