/** R21: what is personal, content or secret is stored encrypted, opens for its owner at its place, and nowhere else. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mongo } from 'mongoose';
import { dataSets, encryptedKinds, protect, reveal, type Sealed, type Store } from '../src/data';
import type { Cipher } from '../src/vault';
import { dropTestStore, openTestStore } from './helpers/system';

let store: Store;
let cipher: Cipher;
let other: Cipher;

beforeAll(async () => {
  store = await openTestStore();
  cipher = await store.vault.makeKey('acme');
  other = await store.vault.makeKey('other');
});

afterAll(async () => {
  await dropTestStore(store);
});

interface Profile {
  readonly _id: string;
  readonly name?: Sealed<string>;
  readonly email?: Sealed<string>;
  readonly state: string;
  readonly formerly?: readonly { readonly at: Date; readonly name?: Sealed<string> }[];
}

const at = new Date('2026-11-22T12:00:00Z');
const open = { _id: 'acme', name: 'Canary Inc.', state: 'active', formerly: [{ at, name: 'Canary GmbH' }, { at }] };

describe('protect', () => {
  test('R21: encrypts what the map calls personal, also in lists, and nothing else', () => {
    const stored = protect<Profile>(cipher, 'accounts', open);
    expect(stored).toMatchObject({ _id: 'acme', state: 'active', formerly: [{ at }, { at }] });
    expect(stored.name).toBeInstanceOf(mongo.Binary);
    expect(stored.formerly?.[0]?.name).toBeInstanceOf(mongo.Binary);
    expect(stored).not.toHaveProperty('email');
    expect(Buffer.from(mongo.BSON.serialize(stored)).toString('latin1')).not.toContain('Canary');
    expect(open.name).toBe('Canary Inc.');
  });

  test('R21: every declared field that is to be encrypted is, unless it travels as an encrypted text', () => {
    for (const { collection, fields, texts = [] } of dataSets) {
      for (const [path, kind] of Object.entries(fields)) {
        const document = documentWith(path, 'a value');
        const touched = JSON.stringify(protect(cipher, collection, document)) !== JSON.stringify(document);
        expect([collection, path, touched]).toEqual([
          collection,
          path,
          encryptedKinds.includes(kind) && !texts.includes(path),
        ]);
      }
    }
  });

  test('names a collection the map does not declare', () => {
    expect(() => protect(cipher, 'conversations', { _id: 'a' })).toThrow('does not declare conversations');
  });
});

function documentWith(path: string, value: unknown): { readonly _id: string } {
  const inner = path
    .split('.')
    .reduceRight<unknown>((below, name) => ({ [name === '*' ? 'any' : name]: below }), value);
  return { _id: 'acme', ...(path === '_id' ? {} : (inner as object)) };
}

describe('reveal', () => {
  const stored = () => protect<Profile>(cipher, 'accounts', open);

  test('R21: gives back what was protected, also as the database gives it back', () => {
    expect(reveal(cipher, 'accounts', stored())).toEqual(open);
    const read = mongo.BSON.deserialize(mongo.BSON.serialize(stored())) as Profile;
    expect(reveal(cipher, 'accounts', read)).toEqual(open);
  });

  test.each<[string, () => unknown]>([
    ['another document', () => reveal(cipher, 'accounts', { ...stored(), _id: 'acme2' })],
    ['another field', () => reveal(cipher, 'accounts', { _id: 'acme', email: stored().name })],
    ['another collection', () => reveal(cipher, 'accountDrafts', { _id: 'acme', name: stored().name })],
    ['another account', () => reveal(other, 'accounts', stored())],
    ['where it lay in a list', () => reveal(cipher, 'accounts', { _id: 'acme', name: stored().formerly?.[0]?.name })],
    ['the clear', () => reveal(cipher, 'accounts', { _id: 'acme', name: 'Canary Inc.' })],
  ])('R21: a value from %s does not open, is named by its place alone, and is not shown', (_where, work) => {
    expect(work).toThrow(expect.objectContaining({ name: 'UnreadableValueError' }));
    expect(work).toThrow(/^a value of (accounts|accountDrafts)\.(name|email) /);
    expect(work).not.toThrow(/Canary/);
  });
});
