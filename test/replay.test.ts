import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename, join } from 'node:path';
import { temporal as proto } from '@temporalio/proto';
import type { DataConverter, Payload } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { createPayloadCodec, dataConverterOf } from '../src/temporal';
import { localKeyProvider, openKeyStore, openVault, type Vault } from '../src/vault';
import { recordedCourses } from './helpers/courses';
import { keptEncrypted, recordedHistory, recordedKey } from './helpers/histories';
import { masterKey, quietRuntime, region, required } from './helpers/system';

// The promise: accounts whose course began under older code go on under the present one. Recorded histories are theirs.

const folder = join(__dirname, 'histories');
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -'.json'.length));
const encrypted = `encrypted/${keptEncrypted}`;
const bundle = (): string => readFileSync(required('ABLAUF_TEST_BUNDLE'), 'utf8');

/** Replays a history against a bundle; answers with what goes wrong, if anything. */
async function replay(name: string, code: string, converter?: DataConverter): Promise<Error | undefined> {
  const history = proto.api.history.v1.History.fromObject(JSON.parse(recordedHistory(name)) as Record<string, unknown>);
  const options = { workflowBundle: { code }, dataConverter: converter ?? dataConverterOf(vault) };
  for await (const result of Worker.runReplayHistories(options, [
    { workflowId: `account/eu-central-1/${basename(name)}`, history },
  ])) {
    return result.error;
  }
  throw new Error('nothing was replayed');
}

let vault: Vault;

/** A key store of the test's own, which knows the payload key the encrypted history was recorded under and no other. */
async function openRecordedVault(): Promise<Vault> {
  const uri = new URL(required('ABLAUF_TEST_MONGODB'));
  uri.pathname = `/test_${randomBytes(6).toString('hex')}_vault`;
  const keyStore = await openKeyStore({ uri: uri.href });
  await keyStore.keys.insertOne(recordedKey());
  return openVault({ keyStore, region, master: localKeyProvider(masterKey, region) });
}

beforeAll(async () => {
  quietRuntime();
  vault = await openRecordedVault();
});
afterAll(async () => {
  await vault.keyStore.connection.dropDatabase();
  await vault.close();
});

test('there is a history of every course that is recorded, and of no other', () => {
  expect(names.sort()).toEqual(recordedCourses.map((course) => course.name).sort());
});

test.each(names)('the present workflows understand %s', async (name) => {
  expect(await replay(name, bundle())).toBeUndefined();
});

test('R21: the present workflows understand a history whose payloads are encrypted, and no account has a key there', async () => {
  expect(await replay(encrypted, bundle())).toBeUndefined();
  const keys = await vault.keyStore.keys.find({}).toArray();
  expect(keys.map(({ _id }) => _id).filter((id) => !id.startsWith('system/'))).toEqual([]);
});

test('R21: without the codec nobody can replay it', async () => {
  expect(await replay(encrypted, bundle(), {})).toBeInstanceOf(Error);
});

test('R21: of every payload in it, only search attributes can be read, and when and how often something was looked up', () => {
  const readable = payloadsOf(JSON.parse(recordedHistory(encrypted)), '').filter(
    ({ payload }) => !isEncrypted(payload),
  );
  expect(readable.length).toBeGreaterThan(0);
  const marks = readable.filter(({ path }) => path.includes('.markerRecordedEventAttributes.details.data.'));
  const others = readable.filter((found) => !marks.includes(found));
  expect(others.filter(({ path }) => !/searchAttributes/i.test(path)).map(({ path }) => path)).toEqual([]);
  for (const { payload } of marks) {
    const { data } = payload;
    expect(Object.keys(JSON.parse(Buffer.from(data ?? []).toString()) as object).sort()).toEqual([
      'activity_id',
      'activity_type',
      'attempt',
      'backoff',
      'complete_time',
      'original_schedule_time',
      'seq',
    ]);
  }
});

interface Found {
  readonly path: string;
  readonly payload: Payload;
}

/** Every payload of a history, and where it stands. */
function payloadsOf(value: unknown, path: string): Found[] {
  if (typeof value !== 'object' || value === null) return [];
  const { metadata, data } = value as { metadata?: Readonly<Record<string, string>>; data?: string };
  if (metadata?.['encoding'] !== undefined) {
    const named = Object.entries(metadata).map(([name, text]) => [name, Buffer.from(text, 'base64')] as const);
    return [{ path, payload: { metadata: Object.fromEntries(named), data: Buffer.from(data ?? '', 'base64') } }];
  }
  return Object.entries(value).flatMap(([name, item]) => payloadsOf(item, `${path}.${name}`));
}

function isEncrypted({ metadata }: Payload): boolean {
  return Buffer.from(metadata?.['encoding'] ?? []).toString() === 'binary/encrypted';
}

test.each<[string, string, RegExp, string]>([
  ['a wait that is left out', 'closed-by-timer', /if \(left <= 0\)/, 'if (true)'],
  [
    'an activity of another name',
    'suspended-and-reinstated',
    /const \{ recordStep, recordCreation, recordedCourse \}/,
    'const { recordStepAnew: recordStep, recordCreation, recordedCourse }',
  ],
  ['an activity that is gone', 'held-and-erased', /if \(!ended\.finished \|\| /, 'if (true || '],
  ['an export that is not told', 'exported-and-closed', /of withdrawn\)/, 'of [])'],
  ['what the law keeps and nobody waits for', 'sealed-and-erased', /if \(retained\)/, 'if (false)'],
  ['a signal that is not audited', 'written-to-by-hand', /else if \(["']refused["'] in outcome\)/, 'else if (false)'],
])('%s would be noticed in %s', async (_change, name, what, instead) => {
  const code = bundle();
  expect(what.test(code)).toBe(true);
  expect(await replay(name, code.replace(what, instead))).toBeInstanceOf(Error);
});

test('a history tells nothing of the machine it was recorded on, and nothing personal', async () => {
  const codec = createPayloadCodec(vault);
  for (const name of [...names, encrypted]) {
    const history = recordedHistory(name);
    const payloads = await codec.decode(payloadsOf(JSON.parse(history), '').map(({ payload }) => payload));
    const told = [history, ...payloads.map(({ data }) => Buffer.from(data ?? []).toString())].join('\n');
    expect(told).not.toMatch(/"identity": "(?!recorder")/);
    expect(told).not.toMatch(/\/(home|root|tmp|work|Users)\/|node_modules|Name of|@example\.org/);
  }
});

test('the bundle holds nothing of the database, the web server or Node', () => {
  const modules = [...bundle().matchAll(/^\/\*\*\*\/ "([^"]+)"/gm)].map(([, path]) => path ?? '');
  expect(modules.some((path) => path.includes('src/workflows/account.ts'))).toBe(true);
  const stranger =
    /node_modules\/(mongoose|mongodb|bson|express|pino|zod|@grpc|@temporalio\/(client|worker|activity|testing))\//;
  expect(modules.filter((path) => stranger.test(path))).toEqual([]);
  expect(modules.filter((path) => /src\/(data|api|access|audit|vault|embedded|activities)\//.test(path))).toEqual([]);
  const required = [...bundle().matchAll(/require\("(?:node:)?([\w/]+)"\)/g)].map(([, name]) => name ?? '');
  expect(required.filter((name) => builtinModules.includes(name))).toEqual([]);
});
