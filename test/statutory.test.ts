/** What the law obliges to keep (R10): sealed at erasure, never lost, never twice, and gone once its date has passed. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mongo } from 'mongoose';
import {
  eraseLapsed,
  findAccount,
  issueCertificate,
  nextLapse,
  retainedOf,
  reveal,
  sealSet,
  statutoryEnd,
  type AccountDocument,
  type Sealing,
  type Store,
} from '../src/data';
import type { InvoiceDocument, SealedDocument } from '../src/data/documents';
import { native } from '../src/database';
import { bury, erasingAccount, invoices, storeInvoices } from './helpers/invoices';
import { storePlainInvoices } from './helpers/records';
import { dropTestStore, openTestStore, randomAccountId } from './helpers/system';

let store: Store;
beforeAll(async () => {
  store = await openTestStore();
});
afterAll(async () => {
  await dropTestStore(store);
});

describe('the date the law names', () => {
  const years = 8;

  test.each([
    ['2026-11-22', '2035-01-01T08:00:00.000Z'],
    ['2026-01-01', '2035-01-01T08:00:00.000Z'],
    ['2026-12-31', '2035-01-01T08:00:00.000Z'],
    ['2027-01-01', '2036-01-01T08:00:00.000Z'],
    ['2024-02-29', '2033-01-01T08:00:00.000Z'],
    ['2000-02-29', '2009-01-01T08:00:00.000Z'],
  ])('R10: an invoice of %s is kept to the end of the eighth year after its issue', (issuedOn, end) => {
    expect(statutoryEnd(issuedOn, { years }).toISOString()).toBe(end);
  });

  test('R10: it is never earlier than the end of that 31 December at any site, whatever the day and the years', () => {
    const sites = ['America/Los_Angeles', 'America/New_York', 'Europe/Berlin', 'UTC'];
    const day = fc.date({ min: new Date('1970-01-01'), max: new Date('2200-12-31'), noInvalidDate: true });
    fc.assert(
      fc.property(day, fc.integer({ min: 0, max: 30 }), (date, kept) => {
        const issuedOn = date.toISOString().slice(0, 10);
        const end = statutoryEnd(issuedOn, { years: kept });
        const last = date.getUTCFullYear() + kept;
        for (const timeZone of sites) {
          const there = new Intl.DateTimeFormat('en', { timeZone, year: 'numeric' }).format(end);
          expect(Number(there)).toBe(last + 1);
        }
        expect(end.getTime() - Date.UTC(last + 1, 0, 1)).toBe(8 * 60 * 60 * 1000);
      }),
    );
  });

  test('R10: every day of a year has the same end', () => {
    for (const year of [2026, 2028]) {
      for (let at = Date.UTC(year, 0, 1); new Date(at).getUTCFullYear() === year; at += 86_400_000) {
        const end = statutoryEnd(new Date(at).toISOString().slice(0, 10), { years });
        expect(end.getUTCFullYear()).toBe(year + 9);
      }
    }
  });

  test.each([
    '',
    '2026',
    '2026-13-01',
    '2026-02-29',
    '2026-00-10',
    '2026-1-1',
    '22.11.2026',
    '2026-11-22T00:00:00Z',
    'null',
  ])('what is no date of the calendar is refused: %p', (issuedOn) => {
    expect(() => statutoryEnd(issuedOn, { years })).toThrow(expect.objectContaining({ name: 'StatutoryDateError' }));
  });
});

function sealing(account: string): Sealing {
  return {
    account,
    set: invoices,
    only: ({ erasing }) => erasing?.plan.hash === 'the-plan',
    change: (deleted) => {
      const n = deleted['invoices'] ?? 0;
      return { $inc: { 'erasing.done': n, 'erasing.sets.invoices': n, version: 1 } };
    },
  };
}

async function whereabouts(account: string): Promise<{ open: number; sealed: number }> {
  return {
    open: await store.invoices.countDocuments({ account }),
    sealed: await store.sealed.countDocuments({ subject: store.vault.pseudonymOf(account) }),
  };
}

describe('sealing', () => {
  test('R10: moves every document of an account and no other, as it was, and counts in the account what went', async () => {
    const account = await erasingAccount(store);
    const other = await erasingAccount(store, `${account}-2`);
    const dates = Array.from({ length: 450 }, (_, index) => `202${index % 7}-0${1 + (index % 9)}-15`);
    await storeInvoices(store, account, dates);
    await storeInvoices(store, other, ['2026-11-22']);
    const own = await store.vault.cipherOf(account);
    const before = (await native(store.invoices).find<InvoiceDocument>({ account }).sort({ _id: 1 }).toArray()).map(
      (invoice) => reveal(own, 'invoices', invoice),
    );
    const told: [number, string][] = [];
    const progress = (done: number, _total: number, set: string) => told.push([done, set]);
    expect(await sealSet(store, sealing(account), { progress })).toBe(true);
    expect(await whereabouts(account)).toEqual({ open: 0, sealed: 450 });
    expect(await whereabouts(other)).toEqual({ open: 1, sealed: 0 });
    // Whatever becomes of the account's own key.
    await store.vault.destroyKey(account);
    const retained = await store.vault.retainedCipherOf(account);
    const subject = store.vault.pseudonymOf(account);
    const sealed = (await native(store.sealed).find<SealedDocument>({ subject }).sort({ _id: 1 }).toArray()).map(
      (document) => reveal(retained, 'sealedRecords', document),
    );
    // R22: it says no more whose it was.
    expect(sealed.map(({ document }): unknown => mongo.BSON.EJSON.parse(document, { relaxed: false }))).toEqual(
      before.map(({ _id, account: _account, ...rest }) => rest),
    );
    expect(JSON.stringify(sealed.map((one) => ({ ...one, document: {} })))).not.toContain(account);
    expect(sealed[0]).toMatchObject({
      _id: `${subject}:invoices:INV-0000`,
      dataset: 'invoices',
      key: 'INV-0000',
      law: expect.stringContaining('147'),
      until: new Date('2029-01-01T08:00:00.000Z'),
    });
    expect(told).toEqual([
      [200, 'invoices'],
      [400, 'invoices'],
      [450, 'invoices'],
    ]);
    const after = await store.accounts.findById(account).lean().exec();
    expect(after).toMatchObject({ erasing: { done: 450, sets: { invoices: 450 } } });
    // A repeat finds nothing to do.
    expect(await sealSet(store, sealing(account))).toBe(true);
    expect(await store.accounts.findById(account).lean().exec()).toEqual(after);
  });

  test('R10: documents too large to be sealed together are sealed in smaller batches', async () => {
    const account = await erasingAccount(store);
    const body = JSON.stringify('x'.repeat(2_000_000));
    const numbers = ['0', '1', '2', '3', '4'];
    await storePlainInvoices(
      store,
      account,
      numbers.map((number) => ({ number, issuedOn: '2026-11-22', body })),
    );
    const told: number[] = [];
    expect(await sealSet(store, sealing(account), { progress: (done) => told.push(done) })).toBe(true);
    expect(told).toEqual([2, 4, 5]);
    expect(await whereabouts(account)).toEqual({ open: 0, sealed: 5 });
  });

  test('stopped between two batches, it goes on where it was: nothing is lost and nothing is there twice', async () => {
    const account = await erasingAccount(store);
    await storeInvoices(
      store,
      account,
      Array.from({ length: 450 }, () => '2026-11-22'),
    );
    let batches = 0;
    const checkpoint = () => {
      if (batches === 1) throw new Error('killed');
      batches += 1;
    };
    await expect(sealSet(store, sealing(account), { checkpoint })).rejects.toThrow('killed');
    expect(await whereabouts(account)).toEqual({ open: 250, sealed: 200 });
    expect(await sealSet(store, sealing(account))).toBe(true);
    expect(await whereabouts(account)).toEqual({ open: 0, sealed: 450 });
    expect((await store.accounts.findById(account).lean().exec())?.erasing?.sets).toEqual({ invoices: 450 });
  });

  test('killed in the middle of a batch, the batch has not happened', async () => {
    const account = await erasingAccount(store);
    await storeInvoices(store, account, ['2026-11-22', '2025-11-22']);
    const broken: Sealing = {
      ...sealing(account),
      change: () => {
        throw new Error('killed');
      },
    };
    await expect(sealSet(store, broken)).rejects.toThrow('killed');
    expect(await whereabouts(account)).toEqual({ open: 2, sealed: 0 });
  });

  test('two that seal side by side seal everything once', async () => {
    const account = await erasingAccount(store);
    await storeInvoices(
      store,
      account,
      Array.from({ length: 450 }, () => '2026-11-22'),
    );
    await Promise.allSettled([sealSet(store, sealing(account)), sealSet(store, sealing(account))]);
    expect(await sealSet(store, sealing(account))).toBe(true);
    expect(await whereabouts(account)).toEqual({ open: 0, sealed: 450 });
    expect((await store.accounts.findById(account).lean().exec())?.erasing?.sets).toEqual({ invoices: 450 });
  });

  test.each([
    ['a hold on the data set', { 'lifecycle.holds': [{ id: 'h', datasets: ['invoices'] }] }],
    ['a hold on everything', { 'lifecycle.holds': [{ id: 'h' }] }],
    ['another plan in force', { 'erasing.plan.hash': 'another' }],
    ['a hold placed since it began', { 'erasing.halted': true }],
    ['an account that is not being erased', { state: 'active' }],
  ])('R9: with %s the gate is closed and nothing is sealed', async (_what, change) => {
    const account = await erasingAccount(store);
    await storeInvoices(store, account, ['2026-11-22']);
    await native(store.accounts).updateOne({ _id: account }, { $set: change as never });
    expect(await sealSet(store, sealing(account))).toBe(false);
    expect(await whereabouts(account)).toEqual({ open: 1, sealed: 0 });
  });

  test('a document without a date of the calendar stops it by name, and stays where it was', async () => {
    const account = await erasingAccount(store);
    await storeInvoices(store, account, ['2026-11-22', '2026-02-30']);
    await expect(sealSet(store, sealing(account))).rejects.toMatchObject({ name: 'StatutoryDateError' });
    expect(await whereabouts(account)).toEqual({ open: 2, sealed: 0 });
  });

  test('an account of any id: one that begins like another, or looks like a pattern', async () => {
    const base = randomAccountId();
    for (const account of [base, `${base}.`, `${base}-`, `${base}0`]) {
      await erasingAccount(store, account);
      await storeInvoices(store, account, ['2026-11-22']);
    }
    expect(await sealSet(store, sealing(base))).toBe(true);
    expect(await whereabouts(base)).toEqual({ open: 0, sealed: 1 });
    for (const account of [`${base}.`, `${base}-`, `${base}0`]) {
      expect(await whereabouts(account)).toEqual({ open: 1, sealed: 0 });
    }
  });
});

describe('what the law lets go', () => {
  const law = invoices.statutory?.law;
  const dates = [...Array.from({ length: 250 }, () => '2026-11-22'), '2026-01-01', '2028-06-30'];
  const first = new Date('2035-01-01T08:00:00.000Z');
  const second = new Date('2037-01-01T08:00:00.000Z');
  const tolerance = 5 * 60 * 1000;

  /** The store, by a database server whose clock says this. */
  function at(time: Date | string): Store {
    return { ...store, databaseTime: () => Promise.resolve(new Date(time)) };
  }

  async function buried(): Promise<string> {
    const account = await erasingAccount(store);
    await storeInvoices(store, account, dates);
    await sealSet(store, sealing(account));
    await bury(store, account);
    return account;
  }

  async function tombstone(account: string): Promise<AccountDocument | null> {
    return findAccount(store, account);
  }

  async function entries(account: string): Promise<{ action: string; details: unknown }[]> {
    return store.audit.entries
      .find({ subject: store.vault.pseudonymOf(account) })
      .sort({ at: 1 })
      .lean()
      .exec();
  }

  test('R10: what is kept is told by data set, law and date', async () => {
    const account = await buried();
    expect(await retainedOf(store, account)).toEqual([
      { dataset: 'invoices', records: 251, law, until: first.toISOString() },
      { dataset: 'invoices', records: 1, law, until: second.toISOString() },
    ]);
    expect(await nextLapse(store, account)).toEqual(first);
    expect(await nextLapse(store, 'nobody')).toBeUndefined();
  });

  test('R10: what went without a certificate, because of a crash, comes first and gets one', async () => {
    const account = await buried();
    const judged = { temporal: first, tolerance };
    let gone = 0;
    const hooks = {
      progress: (erased: number) => {
        gone = erased;
      },
      checkpoint: () => {
        if (gone === 251) throw new Error('the worker dies');
      },
    };
    await expect(eraseLapsed(at(first), account, first, judged, hooks)).rejects.toThrow('the worker dies');
    expect(await whereabouts(account)).toEqual({ open: 0, sealed: 1 });
    expect(await nextLapse(store, account)).toEqual(first);
    const early = await eraseLapsed(at(second), account, second, { temporal: second, tolerance });
    expect(early).toEqual({ outcome: 'nothing' });
    expect(await eraseLapsed(at(second), account, first, judged)).toMatchObject({ outcome: 'erased', records: 251 });
    expect(await nextLapse(store, account)).toEqual(second);
  });

  test('R10: goes once its date has passed, date by date, each with a certificate of its own', async () => {
    const account = await buried();
    const one = await eraseLapsed(at(first), account, first, { temporal: first, tolerance });
    expect(one).toMatchObject({ outcome: 'erased', records: 251 });
    expect(await whereabouts(account)).toEqual({ open: 0, sealed: 1 });
    const between = await tombstone(account);
    expect(between).toMatchObject({ certificateIds: [expect.any(String)], retainedUntil: second });
    expect(between).not.toHaveProperty('lapsing');
    const [certificate] = between?.certificateIds ?? [];
    expect(await store.certificates.findById(certificate).lean().exec()).toMatchObject({
      kind: 'retained-erasure',
      content: {
        erasedAt: first.toISOString(),
        sets: [
          { dataset: 'invoices', found: 251, erased: 251, left: 0, rule: 'R10', law, keptUntil: first.toISOString() },
        ],
        retained: [{ dataset: 'invoices', records: 1, law, until: second.toISOString() }],
        delays: [],
      },
    });
    // A repeat finds nothing to do.
    expect(await eraseLapsed(at(first), account, first, { temporal: first, tolerance })).toEqual({
      outcome: 'nothing',
    });
    expect(await tombstone(account)).toEqual(between);
    expect(await eraseLapsed(at(second), account, second, { temporal: second, tolerance })).toMatchObject({
      outcome: 'erased',
      records: 1,
    });
    const after = await tombstone(account);
    expect(after?.certificateIds).toHaveLength(2);
    expect(after).not.toHaveProperty('retainedUntil');
    expect(await nextLapse(store, account)).toBeUndefined();
    const actions = (await entries(account)).map(({ action }) => action);
    expect(actions.sort()).toEqual(['key.destroyed', 'retained.erased', 'retained.erased']);
    // R21: the key goes with the last of it, and not before.
    const [, last] = after?.certificateIds ?? [];
    expect(await store.certificates.findById(last).lean().exec()).toMatchObject({
      content: { key: { destroyedAt: expect.any(String), finalAt: expect.any(String) } },
    });
    expect((await store.certificates.findById(certificate).lean().exec())?.content).not.toHaveProperty('key');
    await expect(store.vault.retainedCipherOf(account)).rejects.toMatchObject({ name: 'KeyDestroyedError' });
  });

  const minute = 60 * 1000;
  const tenYears = 3653 * 24 * 60 * minute;
  const from = (time: Date, milliseconds: number) => new Date(time.getTime() + milliseconds);

  test.each([
    ["Temporal's clock ten years ahead", from(first, tenYears), from(first, -minute), 'delayed'],
    ["the database server's clock ten years ahead", from(first, -minute), from(first, tenYears), 'delayed'],
    ["Temporal's clock ten years behind", from(first, -tenYears), from(first, minute), 'delayed'],
    ["the database server's clock ten years behind", from(first, minute), from(first, -tenYears), 'delayed'],
    ['both past it and too far apart', from(first, 20 * minute), from(first, minute), 'delayed'],
    ['one of them a little before it', from(first, minute), from(first, -1), 'not-due'],
    ['the other a little before it', from(first, -1), from(first, minute), 'not-due'],
    ['both before it', from(first, -tenYears), from(first, -tenYears), 'not-due'],
  ])('R10: nothing goes with %s', async (_what, temporal, database, outcome) => {
    const account = await buried();
    const before = await tombstone(account);
    for (let again = 0; again < 3; again += 1) {
      const went = await eraseLapsed(at(database), account, first, { temporal, tolerance });
      expect(went.outcome).toBe(outcome);
    }
    expect(await whereabouts(account)).toEqual({ open: 0, sealed: 252 });
    expect(await tombstone(account)).toMatchObject({ retainedUntil: before?.retainedUntil, certificateIds: [] });
    // It is told once.
    expect((await entries(account)).map(({ action }) => action)).toEqual(
      outcome === 'delayed' ? ['retained.erasure-delayed'] : [],
    );
    // Once the clocks agree, it goes, and the certificate says that it had to wait.
    const later = from(first, minute);
    expect(await eraseLapsed(at(later), account, first, { temporal: later, tolerance })).toMatchObject({
      records: 251,
    });
    const [id] = (await tombstone(account))?.certificateIds ?? [];
    expect(await store.certificates.findById(id).lean().exec()).toMatchObject({
      content: {
        delays:
          outcome === 'delayed'
            ? [{ reason: 'clocks-disagree', since: first.toISOString(), until: later.toISOString() }]
            : [],
      },
    });
  });

  test('stopped between two batches, and repeated: everything goes once, with one certificate', async () => {
    const account = await buried();
    let batches = 0;
    const checkpoint = () => {
      if (batches === 1) throw new Error('killed');
      batches += 1;
    };
    const now = { temporal: first, tolerance };
    await expect(eraseLapsed(at(first), account, first, now, { checkpoint })).rejects.toThrow('killed');
    expect(await whereabouts(account)).toEqual({ open: 0, sealed: 52 });
    expect(await tombstone(account)).toMatchObject({ certificateIds: [], lapsing: { erased: 200 } });
    // What was begun is finished, whatever a clock says by then.
    const went = await eraseLapsed(at('2020-01-01'), account, first, now);
    expect(went).toMatchObject({ outcome: 'erased', records: 251 });
    expect((await tombstone(account))?.certificateIds).toHaveLength(1);
  });

  test('several at once issue one certificate', async () => {
    const account = await buried();
    const went = await Promise.all(
      [1, 2, 3].map(() => eraseLapsed(at(first), account, first, { temporal: first, tolerance })),
    );
    expect(went.filter(({ outcome }) => outcome === 'erased')).toHaveLength(1);
    expect((await tombstone(account))?.certificateIds).toHaveLength(1);
    expect(await whereabouts(account)).toEqual({ open: 0, sealed: 1 });
    expect(await store.certificates.countDocuments({ subject: store.vault.pseudonymOf(account) })).toBe(1);
  });

  test('the certificate follows that of the erasure, and says nothing of the account', async () => {
    const account = await erasingAccount(store);
    await storeInvoices(store, account, ['2026-11-22']);
    await sealSet(store, sealing(account));
    const earlier = await store.transaction((session) =>
      issueCertificate(store, session, {
        kind: 'retained-erasure',
        account,
        issuedAt: new Date(),
        entry: 'an-entry',
        content: {
          region: store.region,
          erasedAt: first.toISOString(),
          clocks: { temporal: first.toISOString(), database: first.toISOString() },
          sets: [],
          retained: [],
          delays: [],
        },
      }),
    );
    await bury(store, account, [earlier]);
    await eraseLapsed(at(first), account, first, { temporal: first, tolerance });
    const ids = (await tombstone(account))?.certificateIds ?? [];
    expect(ids).toEqual([earlier, expect.any(String)]);
    const [one, two] = await Promise.all(ids.map((id) => store.certificates.findById(id).lean().exec()));
    expect(two).toMatchObject({ content: { follows: earlier }, subject: one?.subject });
    expect(JSON.stringify([one, two])).not.toContain(account);
  });

  test('an account that is not erased keeps what is sealed, whatever the date', async () => {
    const account = await erasingAccount(store);
    await storeInvoices(store, account, ['2026-11-22']);
    await sealSet(store, sealing(account));
    expect(await eraseLapsed(at(first), account, first, { temporal: first, tolerance })).toEqual({
      outcome: 'not-erased',
    });
    expect(await whereabouts(account)).toEqual({ open: 0, sealed: 1 });
  });
});
