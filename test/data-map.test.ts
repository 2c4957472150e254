import { expect, test } from '@jest/globals';
import { registerKeys } from '../src/access';
import { registerIdempotency } from '../src/api';
import { dataSets, otherCollections } from '../src/data';
import { openTestStore } from './helpers/system';

test('every collection of ours is a declared data set, or declared to name no account', async () => {
  const store = await openTestStore();
  try {
    registerKeys(store.connection);
    registerIdempotency(store.connection);
    const collections = Object.values(store.connection.models).map((model) => model.collection.collectionName);
    const declared: string[] = [...dataSets, ...otherCollections].map((set) => set.collection);
    expect(collections.filter((name) => !declared.includes(name))).toEqual([]);
  } finally {
    await store.connection.dropDatabase();
    await store.connection.close();
  }
});
