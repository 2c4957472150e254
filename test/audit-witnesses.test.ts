/** R20: checkpoints are kept outside; a witness that is away is tried again, told of, and holds nothing up. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { newestCheckpoint, noteKeyOf, originOf, sequenceBatch, sourceIn, verifyLog } from '../src/audit';
import type { Store } from '../src/data';
import { bySystem } from '../src/lifecycle';
import { openWitnesses, parseWitnesses, startPublishing } from '../src/witnesses';
import { listen } from './helpers/api';
import { eventually } from './helpers/eventually';
import { startObjectStorage } from './helpers/s3';
import { dropTestStore, openTestStore, region } from './helpers/system';

let store: Store;
let folder: string;
let told: Record<string, unknown>[];
const rules = { allowPrivate: true };
const secret = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

beforeAll(async () => {
  store = await openTestStore();
  folder = await mkdtemp(join(tmpdir(), 'ablauf-witness-'));
});
afterAll(async () => {
  await dropTestStore(store);
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  told = [];
});

const tell = (meta: object) => {
  told.push({ ...meta });
};
const options = { log: { error: tell, info: tell }, interval: 5, alertAfter: 0 };

async function grow(): Promise<string> {
  const entry = { at: new Date(), actor: bySystem, action: 'test.done', details: {} };
  await store.transaction((session) => store.audit.append(session, entry));
  await sequenceBatch(store);
  return newestCheckpoint(store);
}

async function verified(witnesses: ReturnType<typeof openWitnesses>) {
  const keys = (await store.vault.publicKeys()).map((key) => noteKeyOf(originOf(region), key));
  const records = witnesses.flatMap(({ record }) => record ?? []);
  return verifyLog(sourceIn(store.connection, region), { keys, witnesses: records });
}

test('R20: a file gets a line for each checkpoint, and what it holds is held against the log', async () => {
  const path = join(folder, 'checkpoints.ndjson');
  const witnesses = openWitnesses(parseWitnesses(` file:${path} ,`), { rules });
  const publishing = startPublishing(store, { ...options, witnesses });
  for (let n = 0; n < 3; n += 1) {
    const note = await grow();
    await eventually('it is in the file', async () => {
      const text = await readFile(path, 'utf8').catch(() => '');
      return text.includes(JSON.stringify(note)) ? true : undefined;
    });
  }
  await publishing.stop();
  expect((await readFile(path, 'utf8')).trim().split('\n')).toHaveLength(3);
  expect(await verified(witnesses)).toMatchObject({ ok: true });
  await store.audit.entries.collection.updateMany({}, { $set: { tile: -1 }, $unset: { position: '' } });
  await store.audit.tiles.collection.deleteMany({});
  await store.audit.checkpoints.collection.deleteMany({});
  await sequenceBatch(store);
  expect(await verified([])).toMatchObject({ ok: true });
  expect(await verified(witnesses)).toMatchObject({ ok: false, firstFault: { fault: 'witness', seq: 1 } });
  await appendFile(path, 'nonsense\n');
  expect((await verified(witnesses)).ok).toBe(false);
});

test('R20: a bucket gets an object for each checkpoint; while it is away somebody is told, and then it goes on', async () => {
  const storage = await startObjectStorage();
  const before = { ...process.env };
  process.env['AWS_ENDPOINT_URL_S3'] = storage.options.endpoint;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER', AWS_REGION: 'us-east-1' });
  try {
    await storage.pause();
    const place = `s3://${storage.options.bucket}/witness`;
    const witnesses = openWitnesses(parseWitnesses(place), { rules });
    const note = await grow();
    const publishing = startPublishing(store, { ...options, witnesses });
    await eventually('somebody is told', () => Promise.resolve(told[0]));
    expect(told[0]).toMatchObject({ alert: 'audit-witness-away', witness: place });
    await storage.resume();
    const held = async () => {
      const notes: string[] = [];
      for await (const one of witnesses[0]?.record?.notes() ?? []) notes.push(one);
      return notes;
    };
    await eventually('the bucket has it', async () => ((await held()).includes(note) ? true : undefined));
    await publishing.stop();
    expect(await verified(witnesses)).toMatchObject({ ok: true });
  } finally {
    process.env = before;
    await storage.stop();
  }
});

test('R20: a webhook gets each checkpoint signed, and is told again until it takes it', async () => {
  const heard: { id: string; note: string }[] = [];
  let refusals = 2;
  const server = await listen(
    createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const headers = request.headers as Record<string, string>;
        const body = Buffer.concat(parts).toString();
        const { data } = new Webhook(secret).verify(body, headers) as { data: { note: string } };
        heard.push({ id: headers['webhook-id'] ?? '', note: data.note });
        response.statusCode = refusals-- > 0 ? 503 : 204;
        response.end();
      });
    }),
  );
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/checkpoints`;
  const note = await grow();
  const publishing = startPublishing(store, {
    ...options,
    witnesses: openWitnesses(parseWitnesses(url), { rules, secret }),
  });
  await eventually('it is told three times', () => Promise.resolve(heard.length >= 3 ? true : undefined));
  await publishing.stop();
  await new Promise((resolve) => server.close(resolve));
  expect(new Set(heard.map((one) => one.note))).toEqual(new Set([note]));
  expect(new Set(heard.map(({ id }) => id)).size).toBe(1);
  expect(told.some(({ alert }) => alert === 'audit-witness-away')).toBe(true);
});

test.each(['file:relative', 's3://', 'ftp://a.example', 'https://', 'nonsense'])('%s is no witness', (text) => {
  expect(() => parseWitnesses(text)).toThrow(text);
});
