/** R21: keys are wrapped under another master key, over nothing that changed meanwhile, and stay the keys they are. */
import { randomBytes } from 'node:crypto';
import {
  localKeyProvider,
  openVault,
  rewrapKeys,
  rewrapSystemKeys,
  surveyKeys,
  targetCalled,
  type KeyProvider,
  type KeyStore,
  type RewrapReport,
  type Vault,
  type VaultOptions,
} from '../src/vault';
import { addKeys, dropKeyStore, emptyKeyStore, keyDocument, mastersOf } from './helpers/keys';

const region = 'eu-central-1';
const [old, next, stranger] = ['old', 'next', 'strange'].map((name) =>
  localKeyProvider(`sk-the-${name}-master-key-of-these-tests`, region),
) as [KeyProvider, KeyProvider, KeyProvider];
const place = { collection: 'accounts', field: 'profile.name', id: 'acme' };

let keyStore: KeyStore;

beforeEach(async () => {
  keyStore = await emptyKeyStore();
});
afterEach(() => dropKeyStore(keyStore));

/** A process of its own, as far as keys are concerned: what it remembers is its own. */
function open(options: Partial<VaultOptions> = {}): Promise<Vault> {
  return openVault({ keyStore, region, master: old, next, ...options });
}

/** Re-wraps all there are, as the workflow does it. */
async function rewrapAll({ masterKeys }: Vault, to = next): Promise<RewrapReport> {
  await rewrapSystemKeys(keyStore, region, masterKeys, to);
  return rewrapKeys(keyStore, region, masterKeys, to, { enough: () => false });
}

describe('re-wrapping', () => {
  test('R21: every key stays the key it is, and opens with the new master key alone', async () => {
    const before = await open();
    const accounts = Array.from({ length: 30 }, (_, number) => `acct-${number}`);
    const sealed = new Map<string, readonly [Uint8Array, string]>();
    for (const account of accounts) {
      const cipher = await before.makeKey(account);
      sealed.set(account, [cipher.seal(account, place), cipher.index('name', 'a name')]);
    }
    await before.retainedCipherOf('acct-0');
    await before.systemCipher('lookups');
    const keys = await before.publicKeys();

    expect(await rewrapAll(before)).toMatchObject({ rewrapped: 31, already: 3, destroyed: 0, failures: [] });
    expect(await mastersOf(keyStore)).toEqual({ [next.id]: 34 });
    const after = await openVault({ keyStore, region, master: next });
    for (const [account, [bytes, index]] of sealed) {
      for (const vault of [before, after]) {
        const cipher = await vault.cipherOf(account);
        expect(cipher.open(bytes, place)).toBe(account);
        expect(cipher.index('name', 'a name')).toBe(index);
        expect(vault.pseudonymOf(account)).toBe(before.pseudonymOf(account));
      }
    }
    expect(await after.publicKeys()).toEqual(keys);
    await expect(openVault({ keyStore, region, master: old })).rejects.toThrow(
      `is wrapped under the master key ${next.id}; this process has ${old.id}`,
    );
    // Once more changes nothing.
    const stored = await keyStore.keys.find({}).toArray();
    expect(await rewrapAll(before)).toMatchObject({ rewrapped: 0, already: 34 });
    expect(await keyStore.keys.find({}).toArray()).toEqual(stored);
  });

  test('R21: it goes on where it was left, and sees each key once', async () => {
    const vault = await open();
    const ids = await addKeys(keyStore, region, old, 1000);
    await rewrapSystemKeys(keyStore, region, vault.masterKeys, next);
    const all = ids.sort();
    let seen = 0;
    let after: string | undefined;
    do {
      const from: { after?: string } = after === undefined ? {} : { after };
      const report = await rewrapKeys(keyStore, region, vault.masterKeys, next, { ...from, enough: () => true });
      seen += report.rewrapped;
      after = report.after;
      if (after !== undefined && after < 'system/') expect(all.indexOf(after) + 1).toBe(seen);
    } while (after !== undefined);
    expect(seen).toBe(1000);
    expect(await mastersOf(keyStore)).toEqual({ [next.id]: 1002 });
  });

  test('R22: a key destroyed at the same moment stays destroyed, many times over', async () => {
    const vault = await open({ cacheFor: 0 });
    const other = await open({ cacheFor: 0 });
    const masters = [old, next];
    for (let round = 0; round < 60; round += 1) {
      const to = masters[(round + 1) % 2] ?? next;
      const accounts = Array.from({ length: 8 }, (_, number) => `acct-${round}-${number}`);
      await Promise.all(accounts.map((account) => vault.makeKey(account)));
      const dying = accounts.slice(0, 4);
      await Promise.all([
        rewrapKeys(keyStore, region, vault.masterKeys, to, { enough: () => false }),
        ...dying.map(async (account, number) => {
          await new Promise((resolve) => setTimeout(resolve, number * (round % 7)));
          await other.destroyKey(account);
        }),
      ]);
      for (const account of dying) {
        const left = await keyStore.keys.findOne({ _id: `account/${vault.pseudonymOf(account)}` });
        expect(Object.keys(left ?? {}).sort()).toEqual(['_id', 'createdAt', 'destroyedAt', 'region', 'revision']);
        await expect(vault.cipherOf(account)).rejects.toMatchObject({ name: 'KeyDestroyedError' });
      }
      for (const account of accounts.slice(4)) await expect(vault.cipherOf(account)).resolves.toBeDefined();
      await keyStore.keys.deleteMany({ _id: { $in: accounts.map((id) => `account/${vault.pseudonymOf(id)}`) } });
    }
  }, 120_000);

  test.each(['between reading and writing it', 'in the very transaction that writes it'])(
    'R22: a key destroyed %s stays destroyed',
    async (when) => {
      const [vault, other] = [await open(), await open()];
      await vault.makeKey('acme');
      await vault.makeKey('lives');
      const _id = `account/${vault.pseudonymOf('acme')}`;
      let destroyed = false;
      const destroy = async () => {
        if (!destroyed) await other.destroyKey('acme');
        destroyed = true;
      };
      const isLate = when.startsWith('in the very');
      const keys = new Proxy(keyStore.keys, {
        get: (target, name) => {
          if (name === 'bulkWrite' && isLate) {
            return async (...given: Parameters<KeyStore['keys']['bulkWrite']>) => {
              await destroy();
              return target.bulkWrite(...given);
            };
          }
          const member: unknown = Reflect.get(target, name);
          return typeof member === 'function' ? (member.bind(target) as unknown) : member;
        },
      });
      const slow: KeyProvider = {
        ...next,
        async wrap(key, context) {
          if (!isLate && context.includes(_id)) await destroy();
          return next.wrap(key, context);
        },
      };
      const report = await rewrapKeys({ ...keyStore, keys }, region, vault.masterKeys, slow, { enough: () => false });
      expect([destroyed, report.rewrapped]).toEqual([true, 3]);
      const left = await keyStore.keys.findOne({ _id });
      expect(Object.keys(left ?? {}).sort()).toEqual(['_id', 'createdAt', 'destroyedAt', 'region', 'revision']);
      expect(await mastersOf(keyStore)).toEqual({ [next.id]: 3 });
    },
  );

  test('R21: a new version made at the same moment is not lost, and is wrapped like the others', async () => {
    const vault = await open({ cacheFor: 0 });
    const kids = [(await vault.publicKeys())[0]?.kid ?? ''];
    for (let round = 0; round < 20; round += 1) {
      const to = [old, next][(round + 1) % 2] ?? next;
      const [, keys] = await Promise.all([
        rewrapSystemKeys(keyStore, region, vault.masterKeys, to),
        vault.renewSigningKey(kids[0] ?? ''),
      ]);
      kids.unshift(keys[0]?.kid ?? '');
      expect((await vault.publicKeys()).map(({ kid }) => kid)).toEqual(kids);
    }
    await rewrapAll(vault);
    expect(await mastersOf(keyStore)).toEqual({ [next.id]: 2 });
    expect((await vault.publicKeys()).map(({ kid }) => kid)).toEqual(kids);
  });

  test('R21: several at once come to the same', async () => {
    const vault = await open();
    await addKeys(keyStore, region, old, 600);
    const reports = await Promise.all(Array.from({ length: 3 }, () => rewrapAll(vault)));
    expect(reports.map(({ failures }) => failures)).toEqual([[], [], []]);
    expect(reports.reduce((sum, { rewrapped }) => sum + rewrapped, 0)).toBe(600);
    expect(await mastersOf(keyStore)).toEqual({ [next.id]: 602 });
  });

  test('R21: what does not open stays as it is and is named, and the others go on', async () => {
    const vault = await open();
    await addKeys(keyStore, region, old, 10);
    const [unknown, altered, foreign] = await Promise.all([
      keyDocument(region, 'account/unknown', stranger),
      keyDocument(region, 'account/altered', { ...stranger, id: old.id }),
      keyDocument('us-east-1', 'account/foreign', old),
    ]);
    const { index: _index, ...incomplete } = await keyDocument(region, 'account/incomplete', old);
    await keyStore.keys.insertMany([unknown, altered, foreign, incomplete]);
    const { rewrapped, failures } = await rewrapAll(vault);
    expect(rewrapped).toBe(10);
    expect(failures.map(({ key, reason }) => `${key}: ${reason}`).sort()).toEqual([
      `account/altered: the key ${region}/account/altered/1 does not open under the master key it names`,
      `account/foreign: the key account/foreign belongs to us-east-1, not to ${region}`,
      'account/incomplete: the key account/incomplete is not complete',
      `account/unknown: the key ${region}/account/unknown/1 is wrapped under the master key ${stranger.id}; ` +
        `this process has ${next.id}, ${old.id}`,
    ]);
    for (const document of [unknown, altered, foreign, incomplete]) {
      expect(await keyStore.keys.findOne({ _id: document._id })).toEqual(document);
    }
    const { strangers, strange } = await surveyKeys(keyStore, { region, accepted: new Set([next.id]) });
    expect([strangers, strange.map(({ key }) => key)]).toEqual([
      4,
      ['account/altered', 'account/foreign', 'account/incomplete', 'account/unknown'],
    ]);
  });

  test('R21: a master key that does not give back what it wrapped replaces nothing', async () => {
    const vault = await open();
    await addKeys(keyStore, region, old, 3);
    const before = await keyStore.keys.find({}).toArray();
    const broken: KeyProvider = { ...next, wrap: (_key, context) => next.wrap(randomBytes(32), context) };
    await expect(rewrapAll(vault, broken)).rejects.toThrow('does not open as it was wrapped');
    expect(await keyStore.keys.find({}).toArray()).toEqual(before);
  });
});

describe('while it goes on', () => {
  test('R21: new keys come under the next master key once it has begun, and not before', async () => {
    const vault = await open();
    expect((await vault.wrapping()).id).toBe(old.id);
    await vault.makeKey('before');
    await rewrapSystemKeys(keyStore, region, vault.masterKeys, next);
    expect((await vault.wrapping()).id).toBe(next.id);
    await vault.makeKey('meanwhile');
    const stored = await keyStore.keys.findOne({ _id: `account/${vault.pseudonymOf('meanwhile')}` });
    expect(stored?.index?.master).toBe(next.id);
    // One that has taken the new one into use already does the same.
    const deployed = await openVault({ keyStore, region, master: next, previous: [old] });
    await deployed.makeKey('afterwards');
    await expect(deployed.cipherOf('before')).resolves.toBeDefined();
  });

  test('R21: a key that is made in the moment it begins is not left behind', async () => {
    for (let round = 0; round < 30; round += 1) {
      await keyStore.keys.deleteMany({});
      const [vault, rotating] = [await open(), await open()];
      await Promise.all([rewrapAll(rotating), ...Array.from({ length: 5 }, (_, n) => vault.makeKey(`new-${n}`))]);
      expect(await mastersOf(keyStore)).toEqual({ [next.id]: 7 });
    }
  });

  test('R21: a process without the new master key takes no part', () => {
    expect(() => targetCalled(stranger.id, { inUse: old, next })).toThrow(
      `leads to the master key ${stranger.id}, which this process was given neither as the one in use nor as the next one`,
    );
    expect(targetCalled(next.id, { inUse: old, next })).toBe(next);
    expect(targetCalled(next.id, { inUse: next, next: undefined })).toBe(next);
  });
});

describe('the signing key', () => {
  test('R20: is replaced once, those before stay published, and other processes know it at once', async () => {
    const [here, there] = [await open(), await open()];
    const [first] = await here.publicKeys();
    const signed = (await there.signer()).publicKey.kid;
    expect(signed).toBe(first?.kid);
    const keys = await here.renewSigningKey(first?.kid ?? '');
    expect(keys).toHaveLength(2);
    expect(keys[1]).toEqual(first);
    expect((await here.signer()).publicKey).toEqual(keys[0]);
    expect(await there.publicKeys()).toEqual(keys);
    expect((await there.signer()).publicKey).toEqual(keys[0]);
    // Repeated, as after a crash, or by two at once: it stays at one.
    const again = await Promise.all([here, there].map((vault) => vault.renewSigningKey(first?.kid ?? '')));
    expect(again).toEqual([keys, keys]);
    expect(here.pseudonymOf('acme')).toBe((await open()).pseudonymOf('acme'));
    expect((await keyStore.keys.findOne({ _id: 'system/pseudonyms' }))?.current).toBe(1);
  });
});
