/** R21, R25: the vault opens what it sealed, where it was sealed, under keys it still has, and nothing else. */
import { randomBytes } from 'node:crypto';
import { mongo } from 'mongoose';
import { createCipher, type Place } from '../src/vault/cipher';
import {
  contextOf,
  localKeyProvider,
  openVault,
  UnreadableValueError,
  type KeyProvider,
  type KeyStore,
  type Vault,
  type VaultOptions,
} from '../src/vault';
import { dropKeyStore, emptyKeyStore } from './helpers/keys';

const region = 'eu-central-1';
const masterKey = 'sk-the-master-key-of-these-tests';
const master = localKeyProvider(masterKey, region);
const place: Place = { collection: 'accounts', field: 'profile.name', id: 'acme' };

let keyStore: KeyStore;

beforeEach(async () => {
  keyStore = await emptyKeyStore();
});
afterEach(() => dropKeyStore(keyStore));

/** A process of its own, as far as keys are concerned: what it remembers is its own. */
function open(options: Partial<VaultOptions> = {}): Promise<Vault> {
  return openVault({ keyStore, region, master, ...options });
}

describe('the master key', () => {
  test('R21: one that is too short is refused before anything is opened', () => {
    expect(() => localKeyProvider('sk-short', region)).toThrow(/has 8 characters; it needs at least 20/);
    expect(() => localKeyProvider('', region)).toThrow(/has 0 characters/);
  });

  test('R21: another one does not open the vault, and changes nothing', async () => {
    await open();
    const before = await keyStore.keys.find({}).toArray();
    const other = localKeyProvider('sk-another-master-key-entirely', region);
    await expect(open({ master: other })).rejects.toMatchObject({ name: 'MasterKeyError' });
    await expect(open({ master: other })).rejects.toThrow(
      `is wrapped under the master key ${master.id}; this process has ${other.id}`,
    );
    expect(await keyStore.keys.find({}).toArray()).toEqual(before);
  });

  test('R21: one that only claims to be the right one opens nothing', async () => {
    await open();
    const impostor: KeyProvider = { ...localKeyProvider('sk-another-master-key-entirely', region), id: master.id };
    await expect(open({ master: impostor })).rejects.toThrow(/does not open under the master key it names/);
  });

  test('R21: the one before opens old keys while new ones are made under the present one; gone, it opens none', async () => {
    const sealed = (await (await open()).makeKey('old')).seal('kept', place);
    const next = localKeyProvider('sk-the-next-master-key-of-these', region);
    const during = await open({ master: next, previous: [master] });
    expect((await during.cipherOf('old')).open(sealed, place)).toBe('kept');
    await during.makeKey('new');
    const made = await keyStore.keys.findOne({ _id: `account/${during.pseudonymOf('new')}` });
    expect(made?.versions?.map((version) => version.master)).toEqual([next.id]);
    await expect(open({ master: next })).rejects.toMatchObject({ name: 'MasterKeyError' });
  });

  test('says nothing of itself: not in its id, nor in what it wraps, and never twice the same', async () => {
    const key = randomBytes(32);
    const wrapped = await Promise.all([master.wrap(key, 'a'), master.wrap(key, 'a')]);
    expect(wrapped[0]).not.toEqual(wrapped[1]);
    expect(wrapped.some((bytes) => bytes.includes(key) || bytes.includes(masterKey))).toBe(false);
    expect(master.id).not.toContain(masterKey);
    await expect(master.unwrap(wrapped[0], 'b')).rejects.toMatchObject({ name: 'MasterKeyError' });
    await expect(master.unwrap(Buffer.alloc(5), 'a')).rejects.toMatchObject({ name: 'MasterKeyError' });
    // The same text in another region is another key (R25).
    expect(localKeyProvider(masterKey, 'us-east-1').id).not.toBe(master.id);
  });
});

describe('a wrapped key', () => {
  test('R21: a flipped bit, another owner, another version: it does not unwrap, and is told by name', async () => {
    const vault = await open();
    await vault.makeKey('acme');
    await vault.makeKey('other');
    const [acme, other] = ['acme', 'other'].map((account) => `account/${vault.pseudonymOf(account)}`);
    const theirs = await keyStore.keys.findOne({ _id: other ?? '' });
    const mine = await keyStore.keys.findOne({ _id: acme ?? '' });
    const [version] = mine?.versions ?? [];
    if (mine === null || theirs === null || version === undefined) throw new Error('no keys were made');
    const flipped = Buffer.from(version.wrapped.value());
    flipped[20] = (flipped[20] ?? 0) ^ 1;
    const swaps = [
      { versions: [{ ...version, wrapped: new mongo.Binary(flipped) }] },
      { versions: theirs.versions ?? [] },
      { versions: [{ ...version, version: 2 }], current: 2 },
      { index: theirs.index },
      { index: { wrapped: version.wrapped, master: version.master } },
    ];
    for (const swap of swaps) {
      await keyStore.keys.updateOne({ _id: mine._id }, { $set: swap as object });
      await expect((await open()).cipherOf('acme')).rejects.toMatchObject({ name: 'MasterKeyError' });
      await keyStore.keys.replaceOne({ _id: mine._id }, mine);
    }
    await expect((await open()).cipherOf('acme')).resolves.toBeDefined();
  });
});

describe('a sealed value', () => {
  const values: [string, unknown][] = [
    ['a text', 'Grüße'],
    ['an empty text', ''],
    ['bytes', randomBytes(600)],
    ['a document', { nested: [1, null, { at: new Date(0) }] }],
    ['nothing', null],
  ];

  test.each(values)('R21: %s comes back as it was, and is never stored twice the same', async (_what, value) => {
    const cipher = await (await open()).makeKey('acme');
    const [one, another] = [cipher.seal(value, place), cipher.seal(value, place)];
    expect(cipher.open(one, place)).toEqual(value);
    expect(cipher.open(new mongo.Binary(another) as unknown as Uint8Array, place)).toEqual(value);
    expect(one.equals(another)).toBe(false);
  });

  test('R21: every single bit of it counts, header, nonce, ciphertext and tag', async () => {
    const cipher = await (await open()).makeKey('acme');
    const sealed = cipher.seal('altered', place);
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const altered = Buffer.from(sealed);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => cipher.open(altered, place)).toThrow(UnreadableValueError);
    }
    for (const cut of [0, 1, 33, sealed.length - 1]) {
      expect(() => cipher.open(sealed.subarray(0, cut), place)).toThrow(/not encrypted|altered/);
    }
    expect(() => cipher.open('altered' as unknown as Uint8Array, place)).toThrow(/is not/);
  });

  test.each<[string, Partial<Place>]>([
    ['collection', { collection: 'drafts' }],
    ['field', { field: 'profile.email' }],
    ['document', { id: 'other' }],
    ['place whose parts only read the same in a row', { collection: 'accounts\0profile', field: 'name' }],
  ])('R21: moved to another %s it does not open', async (_what, elsewhere) => {
    const cipher = await (await open()).makeKey('acme');
    const sealed = cipher.seal('moved', place);
    expect(() => cipher.open(sealed, { ...place, ...elsewhere })).toThrow(/altered, or belongs elsewhere/);
  });

  test('R21, R25: nor does it under the same keys in another region, for another owner, or as another version', () => {
    const keys = {
      region,
      owner: 'a',
      data: new Map([1, 2].map((v) => [v, Buffer.alloc(32, 7)])),
      index: randomBytes(32),
    };
    const sealed = createCipher({ ...keys, current: 1 }).seal('bound', place);
    expect(createCipher({ ...keys, current: 2 }).open(sealed, place)).toBe('bound');
    for (const other of [{ region: 'us-east-1' }, { owner: 'b' }]) {
      expect(() => createCipher({ ...keys, current: 1, ...other }).open(sealed, place)).toThrow(/altered/);
    }
    const relabelled = Buffer.from(sealed);
    relabelled.writeUInt32BE(2, 2);
    expect(() => createCipher({ ...keys, current: 1 }).open(relabelled, place)).toThrow(/altered/);
    relabelled.writeUInt32BE(3, 2);
    expect(() => createCipher({ ...keys, current: 1 }).open(relabelled, place)).toThrow(/no key of version 3/);
  });

  test('R21: as text it travels, opens under its own field alone, and a text that never was sealed stays as it is', async () => {
    const vault = await open();
    const cipher = await vault.makeKey('acme');
    const token = cipher.sealText('a note', 'note');
    expect(token).not.toContain('note');
    expect(cipher.openText(token, 'note')).toBe('a note');
    expect(() => cipher.openText(token, 'reason')).toThrow(/altered/);
    expect((await vault.makeKey('other')).openText('plain', 'note')).toBe('plain');
    const other = await vault.makeKey('other');
    expect(() => other.openText(token, 'note')).toThrow(/altered/);
  });

  test('R21: a blind index is the same for the same value, and for no other field or owner', async () => {
    const vault = await open();
    const cipher = await vault.makeKey('acme');
    const again = await (await open()).cipherOf('acme');
    expect(again.index('email', 'a@example.org')).toBe(cipher.index('email', 'a@example.org'));
    const others = [
      cipher.index('email', 'b@example.org'),
      cipher.index('name', 'a@example.org'),
      (await vault.makeKey('other')).index('email', 'a@example.org'),
    ];
    expect(others).not.toContain(cipher.index('email', 'a@example.org'));
    expect(new Set(others).size).toBe(3);
  });
});

describe('keys', () => {
  test('R21: two processes that make the same key at once have the same one', async () => {
    const vaults = await Promise.all(Array.from({ length: 4 }, () => open()));
    const ciphers = await Promise.all(vaults.flatMap((vault) => [vault.makeKey('acme'), vault.makeKey('acme')]));
    for (const from of ciphers) for (const to of ciphers) expect(to.open(from.seal('one', place), place)).toBe('one');
    expect(new Set(ciphers.map((cipher) => cipher.index('x', 'y'))).size).toBe(1);
    expect(new Set(vaults.map((vault) => vault.pseudonymOf('acme'))).size).toBe(1);
  });

  test('R22, R23: a destroyed key stays destroyed, for everybody, and its mark says nothing', async () => {
    const vault = await open();
    await vault.makeKey('acme');
    const at = await vault.destroyKey('acme');
    expect(await vault.destroyKey('acme')).toEqual(at);
    for (const one of [vault, await open()]) {
      await expect(one.cipherOf('acme')).rejects.toMatchObject({ name: 'KeyDestroyedError' });
      await expect(one.makeKey('acme')).rejects.toMatchObject({ name: 'KeyDestroyedError' });
      expect(await one.ciphersOf(['acme'])).toEqual(new Map());
    }
    const _id = `account/${vault.pseudonymOf('acme')}`;
    const left = await keyStore.keys.findOne({ _id });
    expect(Object.keys(left ?? {}).sort()).toEqual(['_id', 'createdAt', 'destroyedAt', 'region', 'revision']);
    expect(left).toMatchObject({ _id, region, destroyedAt: at });
  });

  test('R23: destroying a key that was never made keeps it from ever being made', async () => {
    const vault = await open();
    await vault.destroyKey('never');
    await expect((await open()).makeKey('never')).rejects.toMatchObject({ name: 'KeyDestroyedError' });
  });

  test('R10: what the law keeps has a key of its own, which outlives the account’s', async () => {
    const vault = await open();
    await vault.makeKey('acme');
    const retained = await vault.retainedCipherOf('acme');
    await vault.destroyKey('acme');
    expect((await (await open()).retainedCipherOf('acme')).open(retained.seal('invoice', place), place)).toBe(
      'invoice',
    );
    await vault.destroyKey('acme', 'retained');
    await expect(vault.retainedCipherOf('acme')).rejects.toMatchObject({ name: 'KeyDestroyedError' });
  });

  test('R22: a key destroyed by another process is of no use here once it is looked up again', async () => {
    const here = await open({ cacheFor: 0 });
    const remembering = await open({ cacheFor: 3_600_000 });
    await here.makeKey('acme');
    await remembering.cipherOf('acme');
    await (await open()).destroyKey('acme');
    await expect(here.cipherOf('acme')).rejects.toMatchObject({ name: 'KeyDestroyedError' });
    // Until then it is used, which is why the time is short.
    await expect(remembering.cipherOf('acme')).resolves.toBeDefined();
  });

  test('an account without a key is told by name, and left out of many', async () => {
    const vault = await open();
    await vault.makeKey('acme');
    await expect(vault.cipherOf('nobody')).rejects.toMatchObject({ name: 'KeyMissingError' });
    expect([...(await vault.ciphersOf(['nobody', 'acme'])).keys()]).toEqual(['acme']);
  });

  test('R25: a key store of another region is refused, whatever the master key', async () => {
    const theirs = localKeyProvider(masterKey, 'us-east-1');
    await openVault({ keyStore, region: 'us-east-1', master: theirs });
    await expect(open({ previous: [theirs] })).rejects.toMatchObject({ name: 'VaultRegionError' });
  });

  test('R21: the key store says nothing: no account, no key, no master key', async () => {
    const vault = await open();
    await vault.makeKey('acme-canary');
    await vault.signer();
    const bytes = await keyStore.keys.find({}, { raw: true }).toArray();
    const all = Buffer.concat(bytes as unknown as Buffer[]);
    expect(all.includes('acme-canary')).toBe(false);
    expect(all.includes(masterKey)).toBe(false);
    expect(all.includes(`account/${vault.pseudonymOf('acme-canary')}`)).toBe(true);
    const context = contextOf(region, 'system/payloads', 1);
    expect(context).toBe('eu-central-1/system/payloads/1');
  });
});
