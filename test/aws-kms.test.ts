/** R21, R25: AWS KMS holds the master key; what it refuses stays shut, and when it is away nothing is lost. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { problemOf } from '../src/api/failures';
import { openKmsKeyProvider, type KmsOptions } from '../src/vault/aws-kms';
import {
  localKeyProvider,
  openKeyStore,
  openVault,
  MasterKeyAwayError,
  MasterKeyRefusedError,
  rewrapKeys,
  rewrapSystemKeys,
  type KeyProvider,
  type KeyStore,
  type Vault,
  type VaultOptions,
} from '../src/vault';
import { ablauf } from './helpers/command';
import { complete } from './helpers/configuration';
import { startKeyManagement, type HeldKey, type KeyManagement } from './helpers/kms';
import { eventually } from './helpers/eventually';
import { addKeys, dropKeyStore, emptyKeyStore, mastersOf, newVaultUri } from './helpers/keys';
import { startProcesses } from './helpers/processes';
import { masterKey } from './helpers/system';

const region = 'eu-central-1';
const text = localKeyProvider('sk-the-master-key-of-these-tests', region);
const place = { collection: 'accounts', field: 'profile.name', id: 'acme' };
const own = { ...process.env };

let kms: KeyManagement;
let key: HeldKey;
let keyStore: KeyStore;

beforeAll(async () => {
  kms = await startKeyManagement();
});
afterAll(() => kms.stop());
beforeEach(async () => {
  process.env = { ...own, ...kms.environment };
  kms.delay(0);
  key = kms.makeKey();
  keyStore = await emptyKeyStore();
  kms.calls.length = 0;
});
afterEach(async () => {
  process.env = { ...own };
  await dropKeyStore(keyStore);
});

/** A provider of a process of its own. */
function provide(options: Partial<KmsOptions> = {}) {
  return openKmsKeyProvider({ key: key.arn, region, ...options });
}

/** A process of its own. */
async function open(kmsOptions: Partial<KmsOptions> = {}, options: Partial<VaultOptions> = {}): Promise<Vault> {
  return openVault({ keyStore, region, master: await provide(kmsOptions), ...options });
}

const asked = (operation: string) => kms.calls.filter((call) => call.operation === operation);
const storedKeys = () => keyStore.keys.find({}).toArray();
const accounts = Array.from({ length: 60 }, (_, n) => `acct-${n}`);

describe('a master key in AWS KMS', () => {
  test('R21: what is encrypted under it opens in another process, and the key store says nothing', async () => {
    const vault = await open();
    const sealed = (await vault.makeKey('acme')).seal('a name', place);
    const other = await open();
    expect((await other.cipherOf('acme')).open(sealed, place)).toBe('a name');
    expect(other.pseudonymOf('acme')).toBe(vault.pseudonymOf('acme'));
    expect((await other.signer()).publicKey).toEqual((await vault.signer()).publicKey);
    const masters = (await storedKeys()).flatMap(({ versions = [], index }) => [...versions, index ?? { master: '' }]);
    expect(new Set(masters.map(({ master }) => master))).toEqual(new Set([key.arn]));
  });

  test('R21, R22: KMS is told the region and what for, and never of an account', async () => {
    const vault = await open();
    await vault.makeKey('acme');
    const told = kms.calls.filter(({ operation }) => operation !== 'DescribeKey');
    expect(told.length).toBeGreaterThan(0);
    for (const { context } of told) {
      expect(context).toEqual({ 'ablauf-region': region, 'ablauf-purpose': 'wrapping' });
    }
  });

  test('R21: making and opening the keys of many accounts asks KMS a handful of times', async () => {
    const vault = await open();
    for (const account of accounts) await vault.makeKey(account);
    expect(asked('GenerateDataKeyWithoutPlaintext')).toHaveLength(1);
    expect(asked('Decrypt')).toHaveLength(1);
    const other = await open();
    kms.calls.length = 0;
    expect((await other.ciphersOf(accounts)).size).toBe(accounts.length);
    // With its own start it has asked for the one data key they are all under.
    expect(kms.calls).toEqual([]);
  });

  test('under however many data keys they are, few questions are under way at once, and none twice', async () => {
    await open();
    const wanted = accounts.slice(0, 30);
    for (const account of wanted) await (await open()).makeKey(account);
    const other = await open();
    kms.calls.length = 0;
    kms.delay(20);
    const [one, another] = await Promise.all([other.ciphersOf(wanted), other.ciphersOf(wanted)]);
    expect([one.size, another.size]).toEqual([30, 30]);
    expect(asked('Decrypt')).toHaveLength(30);
    expect(kms.busiest()).toBeLessThanOrEqual(8);
  });

  test('R21: a wrapped key opens as nothing else: another context, a flipped bit, another data key’s front', async () => {
    const provider = await provide();
    const plain = randomBytes(32);
    const wrapped = await provider.wrap(plain, 'a');
    expect(await provider.unwrap(wrapped, 'a')).toEqual(plain);
    expect(wrapped.includes(plain)).toBe(false);
    await expect(provider.unwrap(wrapped, 'b')).rejects.toMatchObject({
      name: 'MasterKeyError',
      message: 'the key b does not open under the master key it names',
    });
    for (const at of [0, 1, 2, 3, 40, 60, wrapped.length - 50, wrapped.length - 1]) {
      const altered = Buffer.from(wrapped);
      altered[at] = (altered[at] ?? 0) ^ 1;
      await expect(provider.unwrap(altered, 'a')).rejects.toMatchObject({ name: 'MasterKeyError' });
    }
    const front = 3 + wrapped.readUInt16BE(1);
    const theirs = await (await provide()).wrap(plain, 'a');
    const mixed = Buffer.concat([theirs.subarray(0, front), wrapped.subarray(front)]);
    for (const bytes of [mixed, Buffer.alloc(0), Buffer.alloc(40), Buffer.concat([Buffer.from([1, 0, 0]), plain])]) {
      await expect(provider.unwrap(bytes, 'a')).rejects.toMatchObject({ name: 'MasterKeyError' });
    }
  });

  test('R21: a key moved to another owner in the key store does not unwrap', async () => {
    const vault = await open();
    await vault.makeKey('acme');
    await vault.makeKey('other');
    const [acme, other] = ['acme', 'other'].map((account) => `account/${vault.pseudonymOf(account)}`);
    const theirs = await keyStore.keys.findOne({ _id: other ?? '' });
    const { versions = [], index } = theirs ?? {};
    await keyStore.keys.updateOne({ _id: acme ?? '' }, { $set: { versions, ...(index && { index }) } });
    await expect((await open()).cipherOf('acme')).rejects.toMatchObject({ name: 'MasterKeyError' });
  });

  test('R25: what one region wrapped, the same key does not open for another, and KMS refuses it first', async () => {
    const wrapped = await (await provide()).wrap(randomBytes(32), 'a');
    const neighbour = kms.makeKey('us-east-1');
    await expect(provide({ key: neighbour.arn })).rejects.toMatchObject({ name: 'VaultRegionError' });
    await expect(provide({ region: 'us-east-1' })).rejects.toThrow(/lies in eu-central-1.*belongs to us-east-1/);
    // Within one part of the world a key may serve several deployments: each has what is its own.
    const beside = await provide({ region: 'eu-central-2' });
    await expect(beside.unwrap(wrapped, 'a')).rejects.toMatchObject({ name: 'MasterKeyError' });
    expect(kms.calls.at(-1)).toMatchObject({ operation: 'Decrypt', answer: 'InvalidCiphertextException' });
  });

  test('an alias is as good as the key it leads to, and led elsewhere it does not mix keys up', async () => {
    const alias = kms.alias('ablauf', key);
    const vault = await open({ key: alias });
    expect(vault.master.id).toBe(key.arn);
    await vault.makeKey('acme');
    const next = kms.makeKey();
    kms.alias('ablauf', next);
    await expect(open({ key: alias })).rejects.toThrow(`wrapped under the master key ${key.arn}`);
    const during = await open({ key: alias }, { previous: [await provide()] });
    expect(during.master.id).toBe(next.arn);
    await expect(during.cipherOf('acme')).resolves.toBeDefined();
  });
});

describe('a process does not start, changes nothing and says why', () => {
  const cases: [string, () => void, RegExp][] = [
    ['there is no such key', () => void (key = { ...key, arn: key.arn.replace(/.$/, 'z') }), /no such key/],
    ['it may not look the key up', () => key.denied.add('DescribeKey'), /refuses DescribeKey .*no permission/],
    ['it may not use the key', () => key.denied.add('Decrypt'), /refuses Decrypt .*no permission/],
    ['the key is disabled', () => (key.state = 'Disabled'), /calls it Disabled/],
    ['the key is about to be deleted', () => (key.state = 'PendingDeletion'), /calls it PendingDeletion/],
    ['the key signs', () => (key.usage = 'SIGN_VERIFY'), /is for SIGN_VERIFY/],
    ['the key is a pair', () => (key.spec = 'RSA_4096'), /with RSA_4096/],
    ['nobody knows who asks', () => (process.env['AWS_ACCESS_KEY_ID'] = 'somebody'), /UnrecognizedClientException/],
  ];
  test.each(cases)('R21: where %s', async (_what, spoil, reason) => {
    await open();
    const before = await storedKeys();
    spoil();
    await expect(open()).rejects.toMatchObject({
      name: 'MasterKeyRefusedError',
      message: expect.stringMatching(reason),
    });
    expect(await storedKeys()).toEqual(before);
  });

  test('R21: where it may not make data keys, it opens what there is, and makes nothing', async () => {
    await (await open()).makeKey('acme');
    key.denied.add('GenerateDataKeyWithoutPlaintext');
    const vault = await open();
    await expect(vault.cipherOf('acme')).resolves.toBeDefined();
    await expect(vault.makeKey('other')).rejects.toThrow(/refuses GenerateDataKeyWithoutPlaintext/);
    key.denied.clear();
    await expect(vault.makeKey('other')).resolves.toBeDefined();
  });

  test('R21: where the key is another one', async () => {
    await open();
    const before = await storedKeys();
    const other = kms.makeKey();
    await expect(open({ key: other.arn })).rejects.toThrow(`under the master key ${key.arn}; this process has`);
    // Nor by claiming to be it: KMS knows which key encrypted what.
    const impostor = { ...(await provide({ key: other.arn })), id: key.arn };
    await expect(openVault({ keyStore, region, master: impostor })).rejects.toThrow(/does not open/);
    expect(await storedKeys()).toEqual(before);
  });
});

describe('a KMS that is away', () => {
  test('R21: a moment’s failure is not noticed', async () => {
    const vault = await open();
    await vault.makeKey('acme');
    for (const [type, status] of [
      ['KMSInternalException', 500],
      ['ThrottlingException', 400],
      ['KeyUnavailableException', 500],
    ] as const) {
      kms.failNext(2, type, status);
      await expect((await open()).cipherOf('acme')).resolves.toBeDefined();
    }
  });

  test('R21: it is told as such: no key counts as missing, and once it is back everything opens', async () => {
    const sealed = (await (await open()).makeKey('acme')).seal('kept', place);
    const vault = await open({ askAgainAfter: 0, outlasts: 0 }, { cacheFor: 0 });
    await kms.pause();
    const away = { name: 'MasterKeyAwayError', message: expect.stringMatching(/^AWS KMS does not answer Decrypt/) };
    await expect(vault.cipherOf('acme')).rejects.toMatchObject(away);
    await expect(vault.ciphersOf(['acme'])).rejects.toMatchObject(away);
    await expect(vault.makeKey('acme')).rejects.toMatchObject(away);
    await expect(open()).rejects.toMatchObject({ name: 'MasterKeyAwayError' });
    await kms.resume();
    expect((await vault.cipherOf('acme')).open(sealed, place)).toBe('kept');
    expect(await vault.ciphersOf(['acme'])).toHaveProperty('size', 1);
    await expect(vault.makeKey('other')).resolves.toBeDefined();
  });

  test('R21: throttled for longer than we ask, it is away, and never a refusal', async () => {
    const vault = await open({ askAgainAfter: 0, outlasts: 0 }, { cacheFor: 0 });
    kms.failNext(3, 'ThrottlingException', 400);
    await expect(vault.makeKey('acme')).rejects.toMatchObject({ name: 'MasterKeyAwayError' });
    await expect(vault.makeKey('acme')).resolves.toBeDefined();
  });

  test('R21: what it said last stands for a while, and it is not asked each time', async () => {
    const vault = await open({ askAgainAfter: 0 }, { cacheFor: 0 });
    await vault.makeKey('acme');
    await kms.pause();
    await expect(vault.cipherOf('acme')).resolves.toBeDefined();
    await expect(vault.makeKey('other')).resolves.toBeDefined();
    await kms.resume();
    kms.calls.length = 0;
    await vault.cipherOf('acme');
    expect(kms.calls).toEqual([]);
  });

  test('R21: disabled, or without permission, it stops us with the next question', async () => {
    const vault = await open({ askAgainAfter: 0 }, { cacheFor: 0 });
    await vault.makeKey('acme');
    key.state = 'Disabled';
    await expect(vault.cipherOf('acme')).rejects.toThrow(/refuses Decrypt .*is disabled/);
    await expect(vault.makeKey('other')).rejects.toMatchObject({ name: 'MasterKeyRefusedError' });
    // Nor does a KMS that goes away then bring back what it said before.
    await kms.pause();
    await expect(vault.cipherOf('acme')).rejects.toMatchObject({ name: 'MasterKeyAwayError' });
    await kms.resume();
    key.state = 'Enabled';
    await expect(vault.cipherOf('acme')).resolves.toBeDefined();
    key.denied.add('Decrypt');
    await expect(vault.cipherOf('acme')).rejects.toThrow(/no permission/);
  });

  test('R21: a client is told to come back, or that the outcome is not known', () => {
    const progress = { sent: false, writing: false, abandoned: false };
    for (const error of [new MasterKeyAwayError('away'), new MasterKeyRefusedError('disabled')]) {
      expect(problemOf(error, progress)).toMatchObject({ code: 'unavailable' });
      expect(problemOf(error, { ...progress, sent: true })).toMatchObject({ code: 'outcome-unknown' });
    }
  });
});

describe('moving from one holder to another', () => {
  test('R21: text and KMS are open side by side, in both directions', async () => {
    const before = await openVault({ keyStore, region, master: text });
    const sealed = (await before.makeKey('old')).seal('kept', place);
    const during = await open({}, { previous: [text] });
    expect((await during.cipherOf('old')).open(sealed, place)).toBe('kept');
    await during.makeKey('new');
    const back = await openVault({ keyStore, region, master: text, previous: [await provide()] });
    await expect(back.cipherOf('new')).resolves.toBeDefined();
    expect(back.pseudonymOf('old')).toBe(before.pseudonymOf('old'));
    await expect(open()).rejects.toThrow(`wrapped under the master key ${text.id}; this process has ${key.arn}`);
    const alone = await openVault({ keyStore, region, master: text });
    await expect(alone.cipherOf('new')).rejects.toThrow(`under the master key ${key.arn}`);
  });

  test('R21: every key is wrapped anew, there and back, through a KMS that goes away meanwhile', async () => {
    const held = await provide({ askAgainAfter: 0, outlasts: 0 });
    const before = await openVault({ keyStore, region, master: text, next: held });
    const sealed = (await before.makeKey('acme')).seal('kept', place);
    await addKeys(keyStore, region, text, 600);
    const all = await keyStore.keys.countDocuments();
    const rewrap = async (to: KeyProvider) => {
      await rewrapSystemKeys(keyStore, region, before.masterKeys, to);
      return rewrapKeys(keyStore, region, before.masterKeys, to, { enough: () => false });
    };
    kms.calls.length = 0;
    await kms.pause();
    // Nothing is known of any key then: none counts as one that does not open.
    await expect(rewrap(held)).rejects.toMatchObject({ name: 'MasterKeyAwayError' });
    await kms.resume();
    for (const operation of ['GenerateDataKeyWithoutPlaintext', 'Decrypt']) {
      key.denied.add(operation);
      await expect(rewrap(held)).rejects.toMatchObject({ name: 'MasterKeyRefusedError' });
      key.denied.clear();
    }
    expect(await mastersOf(keyStore)).toEqual({ [text.id]: all });
    expect(await rewrap(held)).toMatchObject({ failures: [] });
    expect(await mastersOf(keyStore)).toEqual({ [held.id]: all });
    // All under one data key.
    expect(asked('GenerateDataKeyWithoutPlaintext').filter(({ answer }) => answer === 'ok')).toHaveLength(1);
    expect((await (await open()).cipherOf('acme')).open(sealed, place)).toBe('kept');
    expect(await rewrap(text)).toMatchObject({ failures: [] });
    expect(await mastersOf(keyStore)).toEqual({ [text.id]: all });
    const alone = await openVault({ keyStore, region, master: text });
    expect((await alone.cipherOf('acme')).open(sealed, place)).toBe('kept');
    expect(alone.pseudonymOf('acme')).toBe(before.pseudonymOf('acme'));
  });
});

describe('the SDK', () => {
  test('R21: goes nowhere in the clear, wherever it has its endpoint from', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ablauf-kms-'));
    try {
      const file = join(folder, 'config');
      await writeFile(file, '[default]\nservices = own\n[services own]\nkms =\n  endpoint_url = http://kms.invalid\n');
      const { AWS_ENDPOINT_URL_KMS: _own, ...rest } = process.env;
      process.env = { ...rest, AWS_CONFIG_FILE: file };
      await expect(provide()).rejects.toThrow(/kms\.invalid would be spoken to without TLS/);
      await expect(provide({ plain: ['kms.invalid'] })).rejects.toMatchObject({ name: 'MasterKeyAwayError' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('R21: is loaded by whoever has a key there, and by nobody else', async () => {
    const program = `
      const { readConfig } = require('./src/config');
      const { openConfiguredVault } = require('./src/open-vault');
      openConfiguredVault(readConfig(process.env)).then(async (vault) => {
        await vault.makeKey('acme');
        await vault.close();
        console.log(Object.keys(require.cache).some((file) => file.includes('client-kms')));
      });`;
    const run = async (environment: Record<string, string>) => {
      const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', '-e', program], {
        cwd: join(__dirname, '..'),
        env: { ...process.env, ...complete, LITELLM_MASTER_KEY: '', ABLAUF_VAULT_URI: newVaultUri(), ...environment },
      });
      return stdout.trim();
    };
    expect(await run({ LITELLM_MASTER_KEY: 'sk-the-master-key-of-these-tests' })).toBe('false');
    expect(await run({ ABLAUF_KMS_KEY: key.arn })).toBe('true');
  });
});

test('R21: the whole system moves there and back, and outlives its absence between', async () => {
  const profile = (id: string) => ({
    name: `Ada Canary ${id}`,
    email: 'a@example.org',
    plan: 'enterprise',
    locale: 'en',
  });
  const system = await startProcesses({ ...kms.environment, ABLAUF_KMS_KEY_NEXT: key.arn });
  const keys = await openKeyStore({ uri: system.environment['ABLAUF_VAULT_URI'] ?? '' });
  const make = async (id: string) => {
    const made = await eventually(`${id} is made`, async () => {
      const answer = await system.ask('POST', '/v1/accounts', { id, ...profile(id) }, { idempotencyKey: `make-${id}` });
      // The worker may still be starting: the outcome is known by asking again.
      return answer.status === 504 ? undefined : answer;
    });
    expect(made).toMatchObject({ status: 201 });
  };
  const show = async (id: string) =>
    expect(await system.ask('GET', `/v1/accounts/${id}`)).toMatchObject({ status: 200, body: profile(id) });
  const masters = async () => Object.keys(await mastersOf(keys));
  const restartWith = async (environment: Readonly<Record<string, string | undefined>>) => {
    for (const part of ['api', 'worker'] as const) await system.kill(part);
    system.configure(environment);
    for (const part of ['worker', 'api'] as const) await system.start(part);
  };
  const rotate = async () =>
    expect(await ablauf(system.environment, 'keys', 'rotate')).toMatchObject({ code: 0, err: '' });
  try {
    await make('text');
    await rotate();
    expect(await masters()).toEqual([key.arn]);

    await restartWith({ LITELLM_MASTER_KEY: undefined, ABLAUF_KMS_KEY: key.arn, ABLAUF_KMS_KEY_NEXT: undefined });
    await make('kms');
    await kms.pause();
    for (const id of ['text', 'kms']) await show(id);
    await make('away');
    await kms.resume();
    expect(await masters()).toEqual([key.arn]);

    await restartWith({ LITELLM_MASTER_KEY_NEXT: masterKey });
    await rotate();
    const back = { LITELLM_MASTER_KEY: masterKey, LITELLM_MASTER_KEY_NEXT: undefined, ABLAUF_KMS_KEY: undefined };
    await restartWith(back);
    kms.calls.length = 0;
    for (const id of ['text', 'kms', 'away']) await show(id);
    expect(await masters()).toEqual([localKeyProvider(masterKey, region).id]);
    expect(kms.calls).toEqual([]);
    const stored = await system.database().collection('accounts').find({}, { raw: true }).toArray();
    expect(Buffer.concat(stored as unknown as Buffer[]).includes('Ada Canary')).toBe(false);
  } finally {
    await keys.connection.close();
    await system.stop();
  }
}, 300_000);
