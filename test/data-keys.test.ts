/**
 * R21: a data key gets a new version without anybody's ever meeting a value that cannot be read: the version is known to every
 * process before anything is encrypted under it.
 */
import { randomUUID } from 'node:crypto';
import { mongo } from 'mongoose';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Store } from '../src/data';
import {
  addVersions,
  keysAfter,
  keysOf,
  localKeyProvider,
  openKeyStore,
  openVault,
  rewrapKeys,
  useVersions,
  versionOf,
  type KeyDocument,
  type Vault,
} from '../src/vault';
import { eventually } from './helpers/eventually';
import { dropTestStore, masterKey, openTestStore, randomAccountId, region, vaultUriBeside } from './helpers/system';

const place = { collection: 'prompts', field: 'body', id: 'a-record' } as const;
/** Short enough to be waited for, and long enough to be met within. */
const cacheFor = 400;

let store: Store;
const vaults: Vault[] = [];

beforeAll(async () => {
  store = await openTestStore();
});
afterAll(async () => {
  for (const vault of vaults) await vault.close();
  await dropTestStore(store);
});

/** The keys as one more process has them. */
async function process(options: { readonly cacheFor?: number; readonly secret?: string } = {}): Promise<Vault> {
  const { host, port, name } = store.connection;
  const keyStore = await openKeyStore({
    uri: vaultUriBeside(`mongodb://${host}:${port}/${name}?directConnection=true`),
  });
  const master = localKeyProvider(options.secret ?? masterKey, region);
  const vault = await openVault({ keyStore, region, master, cacheFor: options.cacheFor ?? cacheFor });
  vaults.push(vault);
  return vault;
}

async function documentOf(id: string): Promise<KeyDocument> {
  const found = await store.vault.keyStore.keys.findOne({ _id: id });
  if (found === null) throw new Error(`there is no key ${id}`);
  return found;
}

/** Uses versions as soon as they may be. */
async function useWhenDue(vault: Vault, rotation: string, ids: readonly string[]): Promise<void> {
  await eventually('the versions are in use', async () =>
    (await useVersions(vault, rotation, ids)).waitFor === 0 ? true : undefined,
  );
}

describe('R21: a new version of a data key', () => {
  test('R21: what is encrypted under it opens in a process that read the key before it was added', async () => {
    const [writer, reader] = [await process(), await process()];
    const id = randomAccountId();
    const old = (await writer.makeKey(id)).seal('old', place);
    const ids = [keysOf(writer, id).account];
    const rotation = randomUUID();

    // The reader keeps asking, so that it always has some copy, and often one that is nearly too old.
    const read = new AbortController();
    const opened: unknown[] = [];
    let newest: Buffer = old;
    const asks = (async () => {
      while (!read.signal.aborted) {
        opened.push((await reader.cipherOf(id)).open(newest, place));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    expect(await addVersions(writer, rotation, ids)).toEqual({
      changed: 1,
      known: 0,
      passed: 0,
      waitFor: 2 * cacheFor,
    });
    // Added is not used: neither by who asks anew, nor when told to before its time.
    expect((await (await process()).cipherOf(id)).version).toBe(1);
    const patient = await process({ cacheFor: 3_600_000 });
    expect((await useVersions(patient, rotation, ids)).waitFor).toBeGreaterThan(0);
    expect((await documentOf(ids[0] ?? '')).current).toBe(1);

    await useWhenDue(writer, rotation, ids);
    const cipher = await eventually('the writer uses it', async () => {
      const now = await writer.cipherOf(id);
      return now.version === 2 ? now : undefined;
    });
    newest = cipher.seal('new', place);
    expect(versionOf(newest)).toBe(2);
    await eventually('the reader has read it', () => Promise.resolve(opened.includes('new') ? true : undefined));
    read.abort();
    await asks;
    expect(new Set(opened)).toEqual(new Set(['old', 'new']));
    // And the old one still opens.
    expect((await reader.cipherOf(id)).open(old, place)).toBe('old');
  });

  test('R21: the waiting goes by the key store’s clock, from the moment each version was added', async () => {
    const vault = await process();
    const [first, second] = [randomAccountId(), randomAccountId()];
    for (const id of [first, second]) await vault.makeKey(id);
    const [early, late] = [keysOf(vault, first).account, keysOf(vault, second).account];
    const rotation = randomUUID();
    await addVersions(vault, rotation, [early]);
    await useWhenDue(vault, rotation, [early]);
    await addVersions(vault, rotation, [late]);
    const both = await useVersions(await process({ cacheFor: 3_600_000 }), rotation, [early, late]);
    expect(both).toMatchObject({ changed: 0, known: 1, passed: 0 });
    expect(both.waitFor).toBeGreaterThan(0);
    expect((await documentOf(late)).current).toBe(1);
  });

  test('R21: adding and using again changes nothing, however many do so at once', async () => {
    const vault = await process();
    const accounts = Array.from({ length: 5 }, randomAccountId);
    for (const id of accounts) await vault.makeKey(id);
    const ids = accounts.map((id) => keysOf(vault, id).account);
    const rotation = randomUUID();
    const tallies = await Promise.all(Array.from({ length: 6 }, () => addVersions(vault, rotation, ids)));
    expect(tallies.reduce((sum, { changed }) => sum + changed, 0)).toBe(5);
    expect(tallies.every(({ changed, known }) => changed + known === 5)).toBe(true);
    const added = await Promise.all(ids.map(documentOf));
    for (const { versions, revision, current } of added) {
      expect(versions?.map(({ version }) => version)).toEqual([1, 2]);
      expect([revision, current]).toEqual([2, 1]);
    }
    await useWhenDue(vault, rotation, ids);
    expect(await useVersions(vault, rotation, ids)).toEqual({ changed: 0, known: 5, passed: 0, waitFor: 0 });
    expect(await addVersions(vault, rotation, ids)).toMatchObject({ changed: 0, known: 5 });
    for (const id of ids) expect(await documentOf(id)).toMatchObject({ current: 2, revision: 3 });
  });

  test('R21: of two rotations the later one’s version stays in use, whichever ends last', async () => {
    const vault = await process();
    const id = randomAccountId();
    await vault.makeKey(id);
    const ids = [keysOf(vault, id).account];
    const [one, two] = [randomUUID(), randomUUID()];
    await addVersions(vault, one, ids);
    await addVersions(vault, two, ids);
    await useWhenDue(vault, two, ids);
    expect(await useVersions(vault, one, ids)).toMatchObject({ changed: 0, known: 1 });
    expect(await documentOf(ids[0] ?? '')).toMatchObject({ current: 3 });
  });

  test('R21, R23: a destroyed key gets no version, though it is destroyed in the middle of it', async () => {
    const vault = await process();
    const rounds = Array.from({ length: 60 }, randomAccountId);
    for (const id of rounds) await vault.makeKey(id);
    const rotation = randomUUID();
    for (const [round, id] of rounds.entries()) {
      const adding = addVersions(vault, rotation, [keysOf(vault, id).account]);
      const destroying = new Promise((resolve) => setTimeout(resolve, round % 12)).then(() => vault.destroyKey(id));
      await Promise.all([adding, destroying]);
    }
    for (const id of rounds) {
      const left = await documentOf(keysOf(vault, id).account);
      expect(left).toHaveProperty('destroyedAt');
      for (const field of ['versions', 'current', 'index']) expect(left).not.toHaveProperty(field);
    }
    const ids = rounds.map((id) => keysOf(vault, id).account);
    expect(await addVersions(vault, randomUUID(), ids)).toEqual({ changed: 0, known: 0, passed: 60, waitFor: 0 });
    expect(await useVersions(vault, rotation, ids)).toMatchObject({ changed: 0, passed: 60 });
    expect(await addVersions(vault, rotation, ['account/nobody'])).toMatchObject({ changed: 0, passed: 1 });
  });

  test('R21: re-wrapping in the middle keeps a version what it is, and adding goes on with what is there then', async () => {
    const vault = await process();
    const id = randomAccountId();
    const old = (await vault.makeKey(id)).seal('old', place);
    const ids = [keysOf(vault, id).account];
    const rotation = randomUUID();
    await addVersions(vault, rotation, ids);
    const next = localKeyProvider('sk-test-the-next-master-key-of-some-length', region);
    const masters = {
      ...vault.masterKeys,
      accepted: new Map([...vault.masterKeys.accepted, [next.id, next] as const]),
    };
    await rewrapKeys(vault.keyStore, region, masters, next, { enough: () => false });
    const [first] = ids;
    expect((await documentOf(first ?? '')).versions?.map(({ master, rotation: of }) => [master, of])).toEqual([
      [next.id, undefined],
      [next.id, rotation],
    ]);
    expect(await addVersions(vault, rotation, ids)).toMatchObject({ changed: 0, known: 1 });
    await useWhenDue(vault, rotation, ids);
    // Back again, for the tests that follow.
    await rewrapKeys(vault.keyStore, region, masters, vault.master, { enough: () => false });
    const cipher = await (await process()).cipherOf(id);
    expect([cipher.version, cipher.open(old, place)]).toEqual([2, 'old']);
  });

  test('R21: every data key is found page by page, and neither pseudonyms nor lookups nor what signs', async () => {
    const vault = await process();
    await vault.systemCipher('secrets');
    await vault.systemCipher('lookups');
    await vault.retainedCipherOf(randomAccountId());
    const all = await keysAfter(vault, undefined, 10_000);
    const paged: string[] = [];
    for (;;) {
      const page = await keysAfter(vault, paged.at(-1), 7);
      paged.push(...page);
      if (page.length < 7) break;
    }
    expect(paged).toEqual(all);
    expect(all.filter((id) => id.startsWith('system/'))).toEqual(['system/payloads', 'system/secrets', 'system/staff']);
    expect(all.some((id) => id.startsWith('retained/'))).toBe(true);
    const accounts = await store.vault.keyStore.keys.countDocuments({ _id: /^(account|retained)\// });
    expect(all).toHaveLength(accounts + 3);
  });

  test('R21: a key re-encrypts byte for byte what it holds, and nothing that was altered or lies elsewhere', async () => {
    const vault = await process();
    const id = randomAccountId();
    const before = await vault.makeKey(id);
    const values = ['text', Buffer.from([0, 255, 1]), { a: new mongo.Long(7), b: [1.5] }];
    const sealed = values.map((value) => before.seal(value, place));
    const note = before.sealText('a note', 'note');
    const rotation = randomUUID();
    const ids = [keysOf(vault, id).account];
    await addVersions(vault, rotation, ids);
    await useWhenDue(vault, rotation, ids);
    const after = await (await process()).cipherOf(id);
    const renewed = sealed.map((value) => after.reseal(value, place));
    expect(renewed.map(versionOf)).toEqual([2, 2, 2]);
    expect(renewed.map((value) => after.open(value, place))).toEqual(sealed.map((value) => before.open(value, place)));
    const again = after.resealText(note, 'note');
    expect([versionOf(note), versionOf(again), versionOf('a note')]).toEqual([1, 2, undefined]);
    expect(after.openText(again, 'note')).toBe('a note');
    expect(() => after.reseal(sealed[0] ?? Buffer.alloc(0), { ...place, id: 'another' })).toThrow('altered');
    expect(() => after.resealText(note, 'reason')).toThrow('altered');
  });
});
