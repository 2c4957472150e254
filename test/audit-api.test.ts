/** R19, R20: the log over HTTP: reading it, having it verified, and what anybody needs to check it. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { leafHash, verifyInclusion } from '../src/audit/merkle';
import { noteKeyOf, openCheckpoint, originOf } from '../src/audit/note';
import { startApi, type Answered, type Api } from './helpers/api';
import { eventually } from './helpers/eventually';
import { region } from './helpers/system';

interface Shown {
  readonly id: string;
  readonly at: string;
  readonly action: string;
  readonly account?: string;
  readonly actor: { readonly type: string; readonly id: string };
  readonly details: Readonly<Record<string, unknown>>;
}

let api: Api;
let auditor: string;

beforeAll(async () => {
  api = await startApi();
  auditor = await api.keyFor('auditor');
}, 120_000);
afterAll(() => api.stop());

async function list(query: string): Promise<Shown[]> {
  const { status, body } = await api.ask('GET', `/v1/audit?${query}`, { key: auditor });
  expect(status).toBe(200);
  return body['items'] as Shown[];
}

async function newCustomer(): Promise<{ readonly id: string; readonly key: string; readonly keyId: string }> {
  const id = await api.system.createAccount();
  const made = await api.ask('POST', '/v1/api-keys', { body: { role: 'customer', account: id } });
  return { id, key: String(made.body['key']), keyId: String(made.body['id']) };
}

describe('GET /v1/audit', () => {
  test('R19: finds entries by account, actor, action and time, newest first', async () => {
    const { id, key, keyId } = await newCustomer();
    const suspended = await api.ask('POST', `/v1/accounts/${id}/suspend`, {
      body: { reason: 'other', note: 'for Ms Miller' },
    });
    expect(suspended.status).toBe(200);
    expect((await api.ask('POST', `/v1/accounts/${id}/reinstate`, { key })).status).toBe(403);
    const ofAccount = await list(`account=${id}`);
    expect(ofAccount.map(({ action }) => action)).toEqual([
      'auth.refused',
      'account.suspended',
      'key.created',
      'account.created',
    ]);
    expect(ofAccount[1]).toMatchObject({
      account: id,
      actor: { type: 'key', id: 'bootstrap' },
      details: { reason: 'other', note: 'for Ms Miller' },
    });
    expect((await list(`actor=${keyId}`)).map(({ action, account }) => [action, account])).toEqual([
      ['auth.refused', id],
    ]);
    expect((await list(`account=${id}&actor=bootstrap`)).map(({ action }) => action)).toEqual([
      'account.suspended',
      'key.created',
    ]);
    const byAction = await list('action=account.suspended&limit=1');
    expect(byAction).toMatchObject([{ account: id }]);
    const at = ofAccount[1]?.at ?? '';
    expect((await list(`account=${id}&from=${at}`)).map(({ action }) => action)).toEqual([
      'auth.refused',
      'account.suspended',
    ]);
    expect((await list(`account=${id}&to=${at}`)).map(({ action }) => action)).toEqual([
      'key.created',
      'account.created',
    ]);
  });

  test('R19: pages to the end, each entry once', async () => {
    const id = await api.system.createAccount();
    const at = new Date();
    for (let n = 0; n < 7; n += 1) {
      const actor = { type: 'system', id: 'test' } as const;
      const entry = { at, actor, action: 'test.paged', account: id, details: { n } };
      await api.system.store.transaction((session) => api.system.store.audit.append(session, entry));
    }
    const seen: unknown[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const more = cursor === '' ? '' : `&cursor=${cursor}`;
      const { body }: Answered = await api.ask('GET', `/v1/audit?account=${id}&limit=3${more}`);
      seen.push(...(body['items'] as Shown[]).map(({ details }) => details['n']));
      cursor = body['nextCursor'] as string | null;
    }
    expect(seen.filter((n) => n !== undefined).sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(seen).toHaveLength(8);
  });

  test('R20: of an erased account shows a pseudonym, and still who acted', async () => {
    const { id, keyId } = await newCustomer();
    const { vault } = api.system.store;
    await vault.destroyKey(id);
    const pseudonym = `~${vault.pseudonymOf(id)}`;
    const entries = await list(`account=${pseudonym}`);
    expect(entries.map(({ account, actor }) => [account, actor.id])).toEqual([
      [pseudonym, 'bootstrap'],
      [pseudonym, 'test-admin'],
    ]);
    expect(await list(`account=${id}`)).toEqual(entries);
    expect(await list(`actor=${keyId}`)).toEqual([]);
  });

  test.each(['account=a%40b.example', 'account=~short', 'from=yesterday', 'actor=', 'limit=0', 'cursor=abc', 'who=me'])(
    'refuses %s',
    async (query) => {
      expect(await api.ask('GET', `/v1/audit?${query}`)).toMatchObject({ status: 400, body: { code: 'validation' } });
    },
  );
});

describe('what anybody can check', () => {
  test('R20: a checkpoint, and the proof of an entry under it', async () => {
    const id = await api.system.createAccount();
    const [entry] = await list(`account=${id}`);
    const { status, body } = await api.ask('GET', `/v1/audit/${entry?.id ?? ''}/proof`, { key: null });
    expect(status).toBe(200);
    const proof = body as { leaf: string; index: number; size: number; hashes: string[]; checkpoint: string };
    const origin = originOf(region);
    const keys = (await api.system.store.vault.publicKeys()).map((key) => noteKeyOf(origin, key));
    const { root, size } = openCheckpoint(proof.checkpoint, origin, keys);
    const hashes = proof.hashes.map((hash) => Buffer.from(hash, 'base64'));
    expect(verifyInclusion(leafHash(proof.leaf), proof.index, size, hashes, root)).toBe(true);
    expect(proof.leaf).not.toContain(id);
    const newest = await api.ask('GET', '/v1/audit/checkpoint', { key: null });
    expect(newest.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(openCheckpoint(newest.text, origin, keys).size).toBeGreaterThanOrEqual(size);
    expect(await api.ask('GET', `/v1/audit/${randomUUID()}/proof`, { key: null })).toMatchObject({ status: 404 });
  });

  test('R20: entries get their places by themselves, within moments', async () => {
    const id = await api.system.createAccount();
    const { store } = api.system;
    await eventually('the sequencer has been there', async () => {
      const entry = await store.audit.entries
        .findOne({ subject: store.vault.pseudonymOf(id) })
        .lean()
        .exec();
      return entry?.position;
    });
  });

  test('R20: the whole log is verified on request, and the first fault named', async () => {
    const ok = await api.ask('POST', '/v1/audit/verify', { key: auditor });
    expect(ok).toMatchObject({ status: 200, body: { ok: true, from: expect.any(String) as unknown } });
    expect(ok.body['entries']).toBeGreaterThan(3);
    const entries = api.system.store.audit.entries.collection;
    const before = await entries.findOne({ position: 2 });
    await entries.updateOne({ position: 2 }, { $set: { action: 'account.never-created' } });
    expect((await api.ask('POST', '/v1/audit/verify', { key: auditor })).body).toMatchObject({
      ok: false,
      entries: 2,
      firstFault: { stream: 'ablauf/eu-central-1/audit', seq: 2, fault: 'altered' },
    });
    expect(api.logged.some((line) => line.includes('"alert":"audit-log-broken"'))).toBe(true);
    await entries.updateOne({ position: 2 }, { $set: { action: before?.['action'] as string } });
    expect((await api.ask('POST', '/v1/audit/verify')).body).toMatchObject({ ok: true });
    expect(await api.ask('POST', '/v1/audit/verify', { key: await api.keyFor('operator') })).toMatchObject({
      status: 403,
    });
  });
});
