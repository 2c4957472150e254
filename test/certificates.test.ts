/** Certificates of erasure (R22): what they say, who can read them, and that they do not say whom they are about. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { InclusionProof } from '../src/audit';
import {
  addAddendum,
  certificateIdPattern,
  completeCertificate,
  issueCertificate,
  type ErasureCertificate,
  type Store,
} from '../src/data';
import { native } from '../src/database';
import { bySystem } from '../src/lifecycle';
import { startApi, type Api } from './helpers/api';
import { certificateIn, handedIn, saysOf, verify } from './helpers/certificates';
import { dropTestStore, openTestStore, randomAccountId } from './helpers/system';

let store: Store;
beforeAll(async () => {
  store = await openTestStore();
});
afterAll(async () => {
  await dropTestStore(store);
});

const erasedAt = '2026-11-22T12:00:00.000Z';
const keyDestroyedAt = new Date('2026-11-22T12:00:01.000Z');
const content: ErasureCertificate = {
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
  policy: { expiryPeriod: 'P30D' },
  holds: [{ placedAt: '2026-11-01T00:00:00.000Z', releasedAt: '2026-11-02T00:00:00.000Z' }],
  delays: [],
  search: {
    at: erasedAt,
    collections: [{ collection: 'prompts', how: 'by account' }],
    except: ['auditEntries'],
    found: 0,
  },
  processors: [{ processor: 'a-processor', request: 'a-request' }],
};

/** Issues a certificate with its audit entry, as an erasure does. */
function issue(account: string, on: Store = store): Promise<string> {
  const issuedAt = new Date(erasedAt);
  const id = `cert_${randomBytes(32).toString('base64url')}`;
  return on.transaction(async (session) => {
    const act = { at: issuedAt, actor: bySystem, action: 'account.erased', account, details: { certificate: id } };
    const { _id: entry } = await on.audit.append(session, act);
    return issueCertificate(on, session, { id, kind: 'erasure', account, issuedAt, entry, content });
  });
}

async function stored(id: string, on: Store = store) {
  const found = await on.certificates.findById(id).lean().exec();
  if (found === null) throw new Error(`there is no certificate ${id}`);
  return found;
}

function add(id: string, processor: string, on: Store = store): Promise<void> {
  const addendum = { at: new Date(erasedAt), kind: 'processor-receipt', content: { processor } };
  return on.transaction((session) => addAddendum(on, session, id, addendum));
}

/** What stands in the addenda of a certificate, and that each is signed. */
async function added(id: string): Promise<unknown[]> {
  const { addenda } = await stored(id);
  return addenda.map(({ jws }) => saysOf({ payload: jws?.split('.')[1] ?? '' }));
}

describe('issuing', () => {
  test('R22: gives an id nobody can guess, and stores nothing that names the account', async () => {
    const account = randomAccountId();
    const ids = await Promise.all(Array.from({ length: 5 }, () => issue(account)));
    expect(new Set(ids).size).toBe(5);
    for (const id of ids) expect(id).toMatch(certificateIdPattern);
    const certificates = await Promise.all(ids.map((id) => stored(id)));
    expect(JSON.stringify(certificates)).not.toContain(account);
    for (const certificate of certificates) {
      expect(certificate).toMatchObject({ kind: 'erasure', subject: store.vault.pseudonymOf(account), content });
    }
  });

  test('without the erasure it is about there is no certificate', async () => {
    let id = '';
    const failing = store.transaction(async (session) => {
      const certificate = { kind: 'erasure', account: 'a', issuedAt: new Date(), entry: 'an-entry', content } as const;
      id = await issueCertificate(store, session, certificate);
      throw new Error('the erasure fails');
    });
    await expect(failing).rejects.toThrow('the erasure fails');
    expect(id).toMatch(certificateIdPattern);
    expect(await store.certificates.countDocuments({ _id: id })).toBe(0);
  });
});

describe('completing', () => {
  test('R22: says when the key was destroyed, and when the last backup that could hold it is gone', async () => {
    const id = await issue(randomAccountId());
    await completeCertificate(store, id, { keyDestroyedAt });
    const { jws = '', subject } = await stored(id);
    const says = saysOf({ payload: jws.split('.')[1] ?? '' });
    expect(says).toMatchObject({ id, kind: 'erasure', subject, issuedAt: erasedAt, ...content });
    expect(says['key']).toEqual({
      destroyedAt: keyDestroyedAt.toISOString(),
      finalAt: '2026-12-22T12:00:01.000Z',
      backupRetention: 'P30D',
      apart: false,
    });
  });

  test('is done once, however many do it, and however often', async () => {
    const id = await issue(randomAccountId());
    const complete = () => completeCertificate(store, id, { keyDestroyedAt });
    await Promise.all(Array.from({ length: 5 }, complete));
    const { jws } = await stored(id);
    expect(jws).toBeDefined();
    await complete();
    await completeCertificate(store, id, { keyDestroyedAt: new Date() });
    expect((await stored(id)).jws).toBe(jws);
  });

  test('goes on after a crash between the key and the signature', async () => {
    const id = await issue(randomAccountId());
    const crashing: Store = {
      ...store,
      vault: { ...store.vault, signer: () => Promise.reject(new Error('the power fails')) },
    };
    await expect(completeCertificate(crashing, id, { keyDestroyedAt })).rejects.toThrow('the power fails');
    expect((await stored(id)).jws).toBeUndefined();
    await completeCertificate(store, id, { keyDestroyedAt });
    expect((await stored(id)).jws).toBeDefined();
  });

  test('R20, R22: repeats how the log proves the entry', async () => {
    const id = await issue(randomAccountId());
    await completeCertificate(store, id, { keyDestroyedAt });
    const { jws = '', entry = '' } = await stored(id);
    const { log } = saysOf({ payload: jws.split('.')[1] ?? '' }) as { log: InclusionProof };
    const { position, subject } = (await store.audit.entries.findById(entry).lean().exec()) ?? {};
    expect(log.index).toBe(position);
    expect(log.size).toBeGreaterThan(log.index);
    expect(JSON.parse(log.leaf)).toMatchObject({
      id: entry,
      action: 'account.erased',
      subject,
      details: { certificate: id },
    });
    expect(log.checkpoint).toMatch(/^ablauf\/eu-central-1\/audit\n\d+\n/);
  });

  test('R20, R22: without the entry nothing is signed', async () => {
    const id = await store.transaction((session) =>
      issueCertificate(store, session, {
        ...{ kind: 'erasure', account: 'a', issuedAt: new Date(), content },
        entry: 'one that is not there',
      }),
    );
    await expect(completeCertificate(store, id, { keyDestroyedAt })).rejects.toMatchObject({
      name: 'CertificatePendingError',
    });
    expect((await stored(id)).jws).toBeUndefined();
  });

  test('of what there is not is refused', async () => {
    await expect(completeCertificate(store, 'cert_none', { keyDestroyedAt })).rejects.toThrow(
      'there is no certificate',
    );
    await expect(add('cert_none', 'x')).rejects.toThrow('a certificate that is not there');
  });
});

describe('addenda', () => {
  test('R22: that came before the certificate was signed are signed with it, in their order', async () => {
    const id = await issue(randomAccountId());
    await add(id, 'one');
    await add(id, 'two');
    await completeCertificate(store, id, { keyDestroyedAt });
    await add(id, 'three');
    const says = await added(id);
    expect(says).toMatchObject(
      ['one', 'two', 'three'].map((processor, index) => ({
        certificate: id,
        number: index + 1,
        at: erasedAt,
        kind: 'processor-receipt',
        content: { processor },
      })),
    );
    const [first, second] = (await stored(id)).addenda;
    await add(id, 'four');
    expect((await stored(id)).addenda.slice(0, 2)).toEqual([first, second]);
  });

  test('that come at once are all there, each with a number of its own', async () => {
    const id = await issue(randomAccountId());
    await completeCertificate(store, id, { keyDestroyedAt });
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((processor) => add(id, processor)));
    const says = (await added(id)) as { number: number; content: { processor: string } }[];
    expect(says.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5]);
    expect(says.map(({ content: { processor } }) => processor).sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });
});

describe('over HTTP', () => {
  let api: Api;
  beforeAll(async () => {
    api = await startApi();
  }, 120_000);
  afterAll(() => api.stop());

  const read = (id: string) =>
    api.ask('GET', `/v1/certificates/${id}`, { key: null, headers: { 'x-request-id': 'same' } });

  async function issued(account = randomAccountId()): Promise<string> {
    const id = await issue(account, api.system.store);
    await completeCertificate(api.system.store, id, { keyDestroyedAt });
    return id;
  }

  test('R22: answers whoever has the id, without a key, with a JWS and nothing that names the account', async () => {
    const account = await api.system.createAccount();
    const id = await issued(account);
    const answer = await read(id);
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.headers.get('content-type')).toBe('application/jose+json');
    expect(Object.keys(answer.body).sort()).toEqual(['addenda', 'payload', 'protected', 'signature', 'statement']);
    expect(certificateIn(answer)).toMatchObject({
      id,
      subject: api.system.store.vault.pseudonymOf(account),
      ...content,
    });
    expect(answer.text).not.toContain(account);
    expect(JSON.stringify(certificateIn(answer))).not.toContain(account);
    expect(answer.headers.get('cache-control')).toBe('private, no-cache');
    expect(answer.headers.get('etag')).toBe('"1"');
  });

  test('R22: its header says how it is signed, by which key, and what it is', async () => {
    const handed = handedIn(await read(await issued()));
    const { body } = await api.ask('GET', '/v1/keys/public', { key: null });
    const [{ kid }] = body['keys'] as [{ kid: string }];
    const headerOf = (jws: { protected: string }) => saysOf({ payload: jws.protected });
    expect(headerOf(handed)).toEqual({ alg: 'EdDSA', kid, typ: 'ablauf-certificate', ver: 1 });
    expect(headerOf(handed.statement)).toEqual({ alg: 'EdDSA', kid, typ: 'ablauf-statement', ver: 1 });
  });

  test('says “in a moment” while it is being completed, and shows nothing of it', async () => {
    const id = await issue(randomAccountId(), api.system.store);
    const answer = await read(id);
    expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect(answer.headers.get('retry-after')).toBe('2');
    expect(answer.text).not.toContain('planHash');
    await completeCertificate(api.system.store, id, { keyDestroyedAt });
    expect(await read(id)).toMatchObject({ status: 200 });
  });

  test('R15, R22: states at each reading what came after it was issued', async () => {
    const { store: itsStore } = api.system;
    const id = await issued();
    expect(saysOf(handedIn(await read(id)).statement)).toMatchObject({
      addenda: 0,
      late: { refused: 0, lastAt: null },
    });
    const at = new Date('2026-12-01T00:00:00.000Z');
    await native(itsStore.certificates).updateOne({ _id: id }, { $set: { late: { refused: 3, lastAt: at } } });
    await add(id, 'a-processor', itsStore);
    const answer = await read(id);
    const { addenda, statement } = handedIn(answer);
    expect(addenda.map(saysOf)).toMatchObject([{ number: 1, content: { processor: 'a-processor' } }]);
    expect(saysOf(statement)).toMatchObject({
      certificate: id,
      addenda: 1,
      late: { refused: 3, lastAt: at.toISOString() },
    });
    expect(answer.headers.get('etag')).toBe('"5"');
  });

  test('R22: what it answers is all that is needed to check it', async () => {
    const id = await issued();
    await add(id, 'a-processor', api.system.store);
    const [certificate, keys] = await Promise.all([read(id), api.ask('GET', '/v1/keys/public', { key: null })]);
    const verified = await verify(certificate.text, keys.text);
    expect(verified).toMatchObject({ code: 0, err: '' });
    expect(verified.out).toContain(`Certificate ${id} holds.`);
    expect(verified.out).toContain('prompts: 3 found, 3 erased (R6), 0 left');
    expect(verified.out).toContain('gone from the last backup of keys by 2026-12-22T12:00:01.000Z');
  });

  test('knows nothing of any other id, and says the same of each', async () => {
    const id = await issued();
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
    const id = await issued();
    expect(await api.ask('DELETE', `/v1/certificates/${id}`)).toMatchObject({ status: 405 });
  });

  test('R20, R22: the public keys are for everybody, to be kept a while, and hold nothing secret', async () => {
    const answer = await api.ask('GET', '/v1/keys/public', { key: null });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/jwk-set+json');
    expect(answer.headers.get('cache-control')).toBe('public, max-age=300');
    const keys = answer.body['keys'] as Record<string, string>[];
    expect(keys).toEqual(await api.system.store.vault.publicKeys());
    for (const key of keys) {
      expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x']);
      expect(key).toMatchObject({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig' });
    }
    expect(await api.ask('POST', '/v1/keys/public', { body: {} })).toMatchObject({ status: 405 });
  });
});
