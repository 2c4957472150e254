import { expect, test } from '@jest/globals';
import { registerKeys } from '../src/access';
import { registerIdempotency } from '../src/api';
import { dataSets, withoutAccountData } from '../src/data/data-sets';
import { openTestStore } from './helpers/system';

test('every collection is a declared data set, or declared to hold nothing of accounts', async () => {
  const store = await openTestStore();
  try {
    registerKeys(store.connection);
    registerIdempotency(store.connection);
    const collections = Object.values(store.connection.models).map((model) => model.collection.collectionName);
    const declared = [...dataSets.map((set) => set.collection), ...withoutAccountData];
    expect(collections.sort()).toEqual(declared.sort());
  } finally {
    await store.connection.dropDatabase();
    await store.connection.close();
  }
});

test('every data set names the account by a field its documents are indexed by', async () => {
  const store = await openTestStore();
  try {
    registerKeys(store.connection);
    registerIdempotency(store.connection);
    for (const model of Object.values(store.connection.models)) {
      const set = dataSets.find((candidate) => candidate.collection === model.collection.collectionName);
      if (set === undefined || set.accountPath === '_id') continue;
      const leading = model.schema.indexes().map(([fields]) => Object.keys(fields)[0]);
      expect([set.name, leading.includes(set.accountPath)]).toEqual([set.name, true]);
    }
  } finally {
    await store.connection.dropDatabase();
    await store.connection.close();
  }
});
