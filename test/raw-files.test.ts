/**
 * R21: a stolen disk says nothing. What customers sent through the API is looked for in everything their database holds, and
 * then byte by byte in the files it has left, journal and logs included: while it runs, and after it was stopped.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { liteLlmCall } from '../scripts/support/traffic';
import { startMongodb, type RunningMongodb } from '../src/embedded';
import { startApi, type Api } from './helpers/api';
import { unpack, untilDone, type ExportView } from './helpers/exports';

let folder: string;
let mongodb: RunningMongodb;
let api: Api;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ablauf-raw-'));
  mongodb = await startMongodb({ dataDir: join(folder, 'data'), port: 0, log: join(folder, 'mongodb.log') });
  // A server of our own, so that nobody else writes into these files.
  process.env['ABLAUF_TEST_MONGODB'] = mongodb.uri;
  api = await startApi();
}, 120_000);
afterAll(async () => {
  await mongodb.stop();
  await rm(folder, { recursive: true, force: true });
});

const marker = (place: string) => `canary${place}${randomBytes(12).toString('hex')}`;

/** Which of the texts are found in the files, by file. */
async function inFiles(texts: readonly string[]): Promise<Record<string, string[]>> {
  const places: Record<string, string[]> = {};
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  expect(entries.length).toBeGreaterThan(5);
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const here = texts.filter((text) => bytes.includes(text));
    if (here.length > 0) places[path.slice(folder.length + 1)] = here;
  }
  return places;
}

/** Which of the texts are found in what the server holds, in whichever database, by collection. */
async function inDocuments(texts: readonly string[]): Promise<Record<string, string[]>> {
  const client = api.system.store.connection.getClient();
  const places: Record<string, string[]> = {};
  for (const { name } of (await client.db().admin().listDatabases()).databases) {
    for (const collection of await client.db(name).listCollections().toArray()) {
      const cursor = client.db(name).collection(collection.name).find({}, { raw: true });
      const here = new Set<string>();
      for await (const document of cursor as unknown as AsyncIterable<Uint8Array>) {
        const bytes = Buffer.from(document);
        for (const text of texts) if (bytes.includes(text)) here.add(text);
      }
      if (here.size > 0) places[`${name}.${collection.name}`] = [...here];
    }
  }
  return places;
}

test('R21: nothing a customer stored is found in documents, files, journal or logs, while it runs and after a stop', async () => {
  const account = await api.system.createAccount({ plan: 'enterprise' });
  const key = await api.keyFor('customer', account);
  const markers = {
    prompt: marker('prompt'),
    answer: marker('answer'),
    log: marker('log'),
    user: marker('user'),
    invoice: marker('invoice'),
  };
  const texts = Object.values(markers);
  const calls = Array.from({ length: 50 }, (_, n) => ({
    ...liteLlmCall({
      account,
      prompt: markers.prompt,
      answer: markers.answer,
      user: markers.user,
      callId: `call-${n}`,
    }),
    request_tags: [markers.log],
  }));
  const taken = await api.ask('POST', '/v1/ingest/litellm', { body: calls });
  expect(taken.body).toMatchObject({ accepted: 50 });
  const invoice = await api.ask('PUT', `/v1/accounts/${account}/invoices/2026-1`, {
    body: { issuedOn: '2026-11-20', document: { buyer: markers.invoice } },
  });
  expect(invoice.status).toBe(201);
  const asked = await api.ask('POST', `/v1/accounts/${account}/exports`, { key, body: {} });
  const path = `/v1/accounts/${account}/exports/${String(asked.body['id'])}`;
  const done = await untilDone(async () => (await api.ask('GET', path, { key })).body as unknown as ExportView);
  expect(done.status).toBe('ready');
  const file = await fetch(`${api.url}${path}/file`, { headers: { authorization: `Bearer ${key}` } });
  const { lines } = await unpack(Buffer.from(await file.arrayBuffer()));
  const exported = JSON.stringify(lines);
  for (const text of texts) expect(exported).toContain(text);

  expect(await inDocuments(texts)).toEqual({});
  expect(await inFiles(texts)).toEqual({});

  // A text in the clear is found in both, so that finding none says something.
  const control = marker('control');
  const clear = api.system.store.connection.getClient().db('control').collection('clear');
  await clear.insertMany(Array.from({ length: 50 }, () => ({ text: control })));
  expect(await inDocuments([control])).toEqual({ 'control.clear': [control] });
  expect(Object.values(await inFiles([control])).flat()).toContain(control);

  await api.stop();
  await mongodb.stop();
  expect(await inFiles(texts)).toEqual({});
  expect(Object.values(await inFiles([control])).flat()).toContain(control);
}, 180_000);
