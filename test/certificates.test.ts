/** Certificates of erasure (R22): what they say, who can read them, and that they do not say whom they are about. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { certificateIdPattern, issueCertificate, pseudonymOf, type ErasureCertificate, type Store } from '../src/data';
import { native } from '../src/database';
import { startApi, type Api } from './helpers/api';
import { dropTestStore, openTestStore, randomAccountId } from './helpers/system';

let store: Store;
beforeAll(async () => {
  store = await openTestStore();
});
afterAll(async () => {
  await dropTestStore(store);
});

const erasedAt = '2026-11-22T12:00:00.000Z';
const content: ErasureCertificate = {
  version: 1,
  region: 'eu-central-1',
  account: {
    openedAt: '2025-01-01T00:00:00.000Z',
    closedAt: '2026-10-23T12:00:00.000Z',
    closure: 'voluntary',
    dueAt: erasedAt,
    erasedAt,
  },
  planHash: 'b2f5',
  sets: [
    { dataset: 'prompts', found: 3, erased: 3, left: 0, rule: 'R6' },
    {
      dataset: 'invoices',
      found: 2,
      erased: 0,
      left: 2,
      rule: 'R10',
      reason: 'a law',
      until: '2035-01-01T08:00:00.000Z',
    },
  ],
  retained: [{ dataset: 'invoices', records: 2, law: 'a law', until: '2035-01-01T08:00:00.000Z' }],
  late: { discarded: 4, refused: 1 },
  delays: [],
  search: {
    at: erasedAt,
    collections: [{ collection: 'prompts', how: 'by account' }],
    except: ['auditEntries'],
    found: 0,
  },
  processors: [{ processor: 'a-processor', request: 'a-request' }],
};

function issue(account: string, on: Store = store): Promise<string> {
  return on.transaction((session) =>
    issueCertificate(on, session, { kind: 'erasure', account, issuedAt: new Date(erasedAt), content }),
  );
}

describe('a pseudonym', () => {
  test('R22: is the same for an account whenever it is asked for, another for every other, and a keyed hash', async () => {
    const ids = ['a', 'b', 'a/b', 'pseudonyms', randomAccountId()];
    const made = await Promise.all(ids.map((id) => pseudonymOf(store, id)));
    expect(await Promise.all(ids.map((id) => pseudonymOf(store, id)))).toEqual(made);
    expect(new Set(made).size).toBe(ids.length);
    for (const pseudonym of made) expect(pseudonym).toMatch(/^[A-Za-z0-9_-]{43}$/);
    // Of another region, it is another's.
    expect(await pseudonymOf({ ...store, region: 'us-east-1' }, 'a')).not.toBe(made[0]);
  });

  test('R22: nobody tries ids out without the secret: another deployment makes another one', async () => {
    const elsewhere = await openTestStore();
    try {
      expect(await pseudonymOf(elsewhere, 'a')).not.toBe(await pseudonymOf(store, 'a'));
    } finally {
      await dropTestStore(elsewhere);
    }
  });

  test('the secret is made once, however many ask first', async () => {
    const fresh = await openTestStore();
    try {
      const made = await Promise.all(Array.from({ length: 20 }, () => pseudonymOf(fresh, 'a')));
      expect(new Set(made).size).toBe(1);
      expect(await fresh.settings.countDocuments()).toBe(1);
    } finally {
      await dropTestStore(fresh);
    }
  });
});

describe('issuing', () => {
  test('R22: gives an id nobody can guess, and stores nothing that names the account', async () => {
    const account = randomAccountId();
    const ids = await Promise.all(Array.from({ length: 5 }, () => issue(account)));
    expect(new Set(ids).size).toBe(5);
    for (const id of ids) expect(id).toMatch(certificateIdPattern);
    const stored = await store.certificates.find({ _id: { $in: ids } }).lean();
    expect(stored).toHaveLength(5);
    expect(JSON.stringify(stored)).not.toContain(account);
    for (const certificate of stored) {
      expect(certificate).toMatchObject({ kind: 'erasure', subject: await pseudonymOf(store, account), content });
    }
  });

  test('without the erasure it is about there is no certificate', async () => {
    let id = '';
    const failing = store.transaction(async (session) => {
      const certificate = { kind: 'erasure', account: 'a', issuedAt: new Date(), content } as const;
      id = await issueCertificate(store, session, certificate);
      throw new Error('the erasure fails');
    });
    await expect(failing).rejects.toThrow('the erasure fails');
    expect(id).toMatch(certificateIdPattern);
    expect(await store.certificates.countDocuments({ _id: id })).toBe(0);
  });
});

describe('GET /v1/certificates/:id', () => {
  let api: Api;
  beforeAll(async () => {
    api = await startApi();
  }, 120_000);
  afterAll(() => api.stop());

  const read = (id: string) =>
    api.ask('GET', `/v1/certificates/${id}`, { key: null, headers: { 'x-request-id': 'same' } });

  test('R22: answers whoever has the id, without a key, with all it says and nothing that names the account', async () => {
    const account = await api.system.createAccount();
    const { store: itsStore } = api.system;
    const id = await issue(account, itsStore);
    const answer = await read(id);
    expect(answer).toMatchObject({ status: 200 });
    const { late, ...rest } = content;
    expect(answer.body).toEqual({
      id,
      kind: 'erasure',
      issuedAt: erasedAt,
      subject: await pseudonymOf(itsStore, account),
      ...rest,
      late: { ...late, afterwards: null },
      addenda: [],
      signature: null,
    });
    expect(answer.text).not.toContain(account);
    expect(answer.headers.get('cache-control')).toBe('private, no-cache');
    expect(answer.headers.get('etag')).toBe('"1"');
  });

  test('R15, R22: shows apart what came after it was issued', async () => {
    const { store: itsStore } = api.system;
    const id = await issue(randomAccountId(), itsStore);
    const at = new Date('2026-12-01T00:00:00.000Z');
    await native(itsStore.certificates).updateOne(
      { _id: id },
      {
        $set: {
          late: { refused: 3, lastAt: at },
          addenda: [{ at, kind: 'processor-receipt', content: { processor: 'a-processor' } }],
        },
      },
    );
    const answer = await read(id);
    expect(answer.body).toMatchObject({
      late: { discarded: 4, refused: 1, afterwards: { refused: 3, lastAt: at.toISOString() } },
      addenda: [{ at: at.toISOString(), kind: 'processor-receipt', content: { processor: 'a-processor' } }],
    });
    expect(answer.headers.get('etag')).toBe('"5"');
  });

  test('knows nothing of any other id, and says the same of each', async () => {
    const id = await issue(randomAccountId(), api.system.store);
    const others = [id.slice(0, -1), `${id.slice(0, -1)}${id.endsWith('A') ? 'B' : 'A'}`, id.toUpperCase(), 'x', '%00'];
    const [first, ...rest] = await Promise.all(others.map(read));
    expect(first).toMatchObject({ status: 404, body: { code: 'not-found' } });
    for (const answer of rest) expect(answer.body).toEqual(first?.body);
    const probing = await Promise.all(['[$ne]=1', '[$gt]='].map((query) => read(`x?id${query}`)));
    for (const answer of probing) expect(answer.status).toBeGreaterThanOrEqual(400);
  });

  test('is listed nowhere, and takes no other method', async () => {
    for (const path of ['/v1/certificates', '/v1/certificates/']) {
      expect(await api.ask('GET', path)).toMatchObject({ status: 404 });
    }
    const id = await issue(randomAccountId(), api.system.store);
    expect(await api.ask('DELETE', `/v1/certificates/${id}`)).toMatchObject({ status: 405 });
  });
});
