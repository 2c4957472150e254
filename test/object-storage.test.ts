/** R21: no object storage is spoken to in the clear, wherever the SDK has its endpoint from. */
import { createServer, type Server } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { connectS3 } from '../src/object-storage';
import { openWitnesses } from '../src/witnesses';

const own = { ...process.env };
const keys = { region: 'eu-central-1', accessKeyId: 'AKIDABLAUFTESTS', secretAccessKey: 'of-these-tests' };
const patience = { attempts: 1, request: 2000 };
const refused = /storage\.invalid would be spoken to without TLS/;

let folder: string;
let server: Server;
let asked: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ablauf-endpoints-'));
  server = createServer(({ headers }, response) => {
    asked.push(String(headers.host));
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  asked = [];
  process.env = { ...own, AWS_EC2_METADATA_DISABLED: 'true', AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' };
});
afterEach(() => {
  process.env = { ...own };
});

/** Asks for an object; that there is none is as good an answer as any. */
async function ask(options: Parameters<typeof connectS3>[0]): Promise<string> {
  const { sdk, client } = await connectS3({ ...keys, ...options }, patience);
  return client.send(new sdk.HeadObjectCommand({ Bucket: 'bucket', Key: 'key' })).then(
    () => 'asked',
    (error: unknown) => String(error),
  );
}

/** The SDK's own file, with an endpoint for S3. */
async function configure(url: string): Promise<void> {
  const file = join(folder, 'config');
  await writeFile(file, `[default]\nservices = own\n[services own]\ns3 =\n  endpoint_url = ${url}\n`);
  process.env['AWS_CONFIG_FILE'] = file;
}

test('R21: not by its configuration, its environment or its files', async () => {
  expect(await ask({ endpoint: 'http://storage.invalid' })).toMatch(refused);
  process.env['AWS_ENDPOINT_URL_S3'] = 'http://storage.invalid';
  expect(await ask({})).toMatch(refused);
  delete process.env['AWS_ENDPOINT_URL_S3'];
  await configure('http://storage.invalid');
  expect(await ask({})).toMatch(refused);
  await configure('HTTP://Storage.INVALID:9000');
  expect(await ask({ plain: ['elsewhere.invalid', 'invalid.storage.invalid'] })).toMatch(refused);
});

test('R21: a host the operator names may be, with the buckets below it, and so may this machine', async () => {
  await configure('http://storage.invalid');
  // It is looked for, and not there.
  expect(await ask({ plain: ['storage.invalid'] })).toMatch(/ENOTFOUND|EAI_AGAIN/);
  const { port } = server.address() as AddressInfo;
  expect(await ask({ endpoint: `http://127.0.0.1:${port}` })).toBe('asked');
  expect(asked).toEqual([`127.0.0.1:${port}`]);
});

test('R21: nor does a witness', async () => {
  process.env = { ...process.env, AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
  await configure('http://storage.invalid');
  const [witness] = openWitnesses([{ kind: 's3', bucket: 'bucket', prefix: '' }], { rules: { allowPrivate: true } });
  await expect(witness?.publish({ origin: 'log', size: 1, at: new Date(), note: 'note' })).rejects.toThrow(refused);
});
