/** Who sees what the law keeps (R10): the legal role, on record; nobody else, and nowhere else. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { protect, sealSet } from '../src/data';
import type { SealedDocument } from '../src/data/documents';
import { native } from '../src/database';
import { roles, type Role } from '../src/lifecycle';
import { startApi, type Api } from './helpers/api';
import { bury, erasingAccount, invoices, storeInvoices } from './helpers/invoices';

let api: Api;
let legal: string;
beforeAll(async () => {
  api = await startApi();
  legal = await api.keyFor('legal');
}, 120_000);
afterAll(() => api.stop());

async function sealed(dates: readonly string[], id?: string): Promise<string> {
  const { store } = api.system;
  const account = await erasingAccount(store, id);
  await storeInvoices(store, account, dates);
  await sealSet(store, { account, set: invoices });
  return account;
}

async function buried(dates: readonly string[]): Promise<string> {
  const account = await sealed(dates);
  await bury(api.system.store, account);
  return account;
}

function keysOf(account: string): Promise<(readonly [Role, string])[]> {
  return Promise.all(
    roles.map(async (role) => [role, await api.keyFor(role, role === 'customer' ? account : undefined)] as const),
  );
}

const read = (id: string, key: string, query = '') => api.ask('GET', `/v1/accounts/${id}/retained${query}`, { key });

describe('GET /v1/accounts/:id/retained', () => {
  test('R10: gives the legal role what is kept of an erased account, the first to go first, in pages', async () => {
    const account = await buried(['2028-06-30', '2026-01-01', '2026-12-31', '2027-05-05', '2026-11-22']);
    const seen: Record<string, unknown>[] = [];
    const pages: number[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const answer = await read(account, legal, `?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      expect(answer.status).toBe(200);
      const items = answer.body['items'] as Record<string, unknown>[];
      pages.push(items.length);
      seen.push(...items);
      cursor = answer.body['nextCursor'] as string | null;
    }
    expect(pages).toEqual([2, 2, 1]);
    expect(seen.map(({ key }) => key)).toEqual(['INV-0001', 'INV-0002', 'INV-0004', 'INV-0003', 'INV-0000']);
    expect(seen[0]).toEqual({
      dataset: 'invoices',
      key: 'INV-0001',
      until: '2035-01-01T08:00:00.000Z',
      law: invoices.statutory?.law,
      sealedAt: expect.any(String),
      document: {
        number: 'INV-0001',
        issuedOn: '2026-01-01',
        at: expect.any(String),
        body: { number: 'INV-0001', issuedOn: '2026-01-01', total: '119.00', buyer: `Name of ${account}` },
      },
    });
  });

  test('R19: every look is on record, with how much was seen and nothing of it', async () => {
    const account = await buried(['2026-11-22', '2026-11-23']);
    await read(account, legal);
    await read(account, legal, '?limit=1');
    const entries = await api.system.store.audit.entries
      .find({ subject: api.system.store.vault.pseudonymOf(account) })
      .sort({ at: 1 })
      .lean();
    expect(entries).toMatchObject([
      { action: 'retained.read', actor: { role: 'legal' }, details: { records: 2 } },
      { action: 'retained.read', actor: { role: 'legal' }, details: { records: 1 } },
    ]);
    expect(JSON.stringify(entries)).not.toMatch(/INV-|119\.00|Name of/);
  });

  test('is empty where nothing is kept, and not there where there is no account', async () => {
    const account = await api.system.createAccount();
    expect(await read(account, legal)).toMatchObject({ status: 200, body: { items: [], nextCursor: null } });
    expect(await read('nobody', legal)).toMatchObject({ status: 404, body: { code: 'not-found' } });
  });

  test('pages that grow too large end early', async () => {
    const { store } = api.system;
    const account = await buried(['2026-11-22', '2026-11-23', '2026-11-24']);
    const cipher = await store.vault.retainedCipherOf(account);
    const subject = store.vault.pseudonymOf(account);
    const document = JSON.stringify({ body: 'x'.repeat(5_000_000) });
    for (const sealed of await native(store.sealed).find<SealedDocument>({ subject }).toArray()) {
      const large = protect<SealedDocument>(cipher, 'sealedRecords', { ...sealed, document });
      await native(store.sealed).replaceOne({ _id: sealed._id }, large);
    }
    const answer = await read(account, legal);
    expect((answer.body['items'] as unknown[]).length).toBe(1);
    expect(answer.body['nextCursor']).toEqual(expect.any(String));
  });

  test.each(['limit=0', 'limit=1001', 'limit=x', 'cursor=x', 'cursor=', 'dataset=invoices'])(
    'refuses what does not fit: %s',
    async (query) => {
      const account = await buried(['2026-11-22']);
      expect(await read(account, legal, `?${query}`)).toMatchObject({ status: 400, body: { code: 'validation' } });
    },
  );

  test('a cursor of another account is none of this one', async () => {
    const [one, two] = await Promise.all([buried(['2026-11-22', '2026-11-23']), buried(['2026-11-22'])]);
    const { body } = await read(one, legal, '?limit=1');
    expect(await read(two, legal, `?cursor=${String(body['nextCursor'])}`)).toMatchObject({ status: 400 });
  });
});

describe('what is sealed', () => {
  test('R10: no other role sees it, nor the customer whose it was', async () => {
    const account = await api.system.createAccount();
    const keys = await keysOf(account);
    await sealed(['2026-11-22'], account);
    for (const [role, key] of keys) {
      const answer = await read(account, key);
      expect([role, answer.status]).toEqual([role, role === 'legal' ? 200 : 403]);
    }
  });

  test('R10: nothing else the API answers shows it, while it is erased and afterwards, to any role', async () => {
    const account = await api.system.createAccount();
    const keys = await keysOf(account);
    await sealed(['2026-11-22'], account);
    const reads = api.routes.filter(({ method, path }) => method === 'get' && !path.endsWith('/retained'));
    for (const state of ['expired', 'erased']) {
      if (state === 'erased') await bury(api.system.store, account);
      for (const { path } of reads) {
        for (const [, key] of keys) {
          const { text } = await api.ask('GET', path.replace(':id', account).replace(/:\w+/, 'none'), { key });
          expect(text).not.toMatch(/INV-|119\.00/);
        }
      }
    }
  });
});
