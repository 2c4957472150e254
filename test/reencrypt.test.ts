/**
 * R21: data keys get new versions, and what was encrypted before is encrypted anew, while everything goes on: nothing reads
 * otherwise, nothing is lost, and nothing that went comes back.
 */
import { randomUUID } from 'node:crypto';
import { mongo } from 'mongoose';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { noteKeyOf, originOf, sourceIn, verifyLog } from '../src/audit';
import {
  beginErasure,
  categories,
  concludeErasure,
  deleteThroughGate,
  eraseRecords,
  findAccount,
  ingest,
  openProfile,
  readRecords,
  recordStep,
  reencrypt,
  searchRemains,
  type AccountDocument,
  type WalkPosition,
} from '../src/data';
import { native } from '../src/database';
import { addVersions, currentVersions, keysOf, useVersions, versionOf } from '../src/vault';
import {
  dataRotationProgressQuery,
  dataRotationWorkflowId,
  dataRotationWorkflowType,
  type DataRotationInput,
  type DataRotationOutcome,
} from '../src/workflows';
import { startApi, type Api } from './helpers/api';
import { addDueAccount, addRecords, beginningOf, judgement } from './helpers/due-accounts';
import { event } from './helpers/events';
import { eventually } from './helpers/eventually';
import { startWebhookTarget, type WebhookTarget } from './helpers/processor';
import { region } from './helpers/system';
import { storedVersions } from './helpers/versions';

const paths = [['metadata', 'account']] as const;
let api: Api;
let target: WebhookTarget;

beforeAll(async () => {
  target = await startWebhookTarget();
  target.answer = { status: 503, body: 'not now' };
  api = await startApi({
    cacheFor: 250,
    settings: { expiryPeriod: 'PT1S', notice: 'PT0S', minPeriod: 'PT1S' },
    processors: { allowPrivate: true },
  });
}, 120_000);
afterAll(async () => {
  await api.stop();
  await target.stop();
});

/** Rotates, and waits for the end. */
async function rotate(options: Omit<DataRotationInput, 'region'> = {}): Promise<DataRotationOutcome> {
  const { client, taskQueue, store } = api.system;
  const pseudonym = options.account === undefined ? undefined : store.vault.pseudonymOf(options.account);
  const handle = await client.workflow.start(dataRotationWorkflowType, {
    workflowId: `${dataRotationWorkflowId(region, pseudonym)}/${randomUUID()}`,
    taskQueue,
    args: [{ region, ...options } satisfies DataRotationInput],
  });
  const outcome = (await handle.result()) as DataRotationOutcome;
  expect(await handle.query(dataRotationProgressQuery)).toMatchObject({ step: 'ended', keys: outcome.keys });
  return outcome;
}

async function ask(method: string, path: string, body?: unknown, key?: string) {
  const answer = await api.ask(method, path, {
    ...(body === undefined ? {} : { body }),
    ...(key === undefined ? {} : { key }),
  });
  if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer;
}

/** An account with something in every place. @returns its id and a key of its customer's */
async function fullAccount(): Promise<{ id: string; key: string }> {
  const id = `full-${randomUUID().slice(0, 8)}`;
  await ask('POST', '/v1/accounts', { id, name: `Name ${id}`, email: `${id}@example.org`, plan: 'enterprise' });
  const key = await api.keyFor('customer', id, `key of ${id}`);
  const now = Date.now();
  const events = Array.from({ length: 30 }, (_, at) => ({
    ...event(id, new Date(now - at * 90_000_000)),
    user: `u${at % 3}`,
  }));
  expect((await ingest(api.system.store, events, paths)).accepted).toBe(30);
  const issuedOn = new Date(now).toISOString().slice(0, 10);
  await ask('PUT', `/v1/accounts/${id}/invoices/2026-1`, { issuedOn, document: { buyer: `Buyer ${id}` } });
  await ask('POST', `/v1/accounts/${id}/suspend`, { reason: 'non_payment', note: 'did not pay' });
  await ask('POST', `/v1/accounts/${id}/holds`, { reason: 'a lawsuit' });
  // Under the hold the former address stays.
  await ask('PATCH', `/v1/accounts/${id}`, { email: `new-${id}@example.org` });
  await ask('POST', `/v1/accounts/${id}/reinstate`, {});
  return { id, key };
}

/** An erased account of which an invoice is kept, and whose processor has not answered. */
async function erasedAccount(): Promise<string> {
  const id = `gone-${randomUUID().slice(0, 8)}`;
  await ask('POST', '/v1/accounts', { id, name: `Name ${id}`, email: `${id}@example.org`, plan: 'standard' });
  const issuedOn = new Date().toISOString().slice(0, 10);
  await ask('PUT', `/v1/accounts/${id}/invoices/2026-1`, { issuedOn, document: { buyer: `Buyer ${id}` } });
  await ask('POST', `/v1/accounts/${id}/close`, {});
  await eventually('it is erased', async () => {
    const account = await api.system.account(id);
    return account.state === 'erased' && account.certificateIds?.length === 1 ? true : undefined;
  });
  return id;
}

/** All that anybody is shown of an account, but for what a rotation put on record. */
async function shown(id: string, key: string): Promise<unknown> {
  const read = async (path: string, by?: string) => (await ask('GET', path, undefined, by)).body;
  const items = async (path: string, by?: string) => (await read(path, by))['items'] as Record<string, unknown>[];
  const account = await ask('GET', `/v1/accounts/${id}`);
  return {
    account: account.body,
    etag: account.headers.get('etag'),
    records: await items(`/v1/accounts/${id}/records?limit=500`, key),
    invoice: await read(`/v1/accounts/${id}/invoices/2026-1`),
    usage: await read(`/v1/accounts/${id}/usage`, key),
    holds: await items(`/v1/accounts/${id}/holds`),
    timeline: (await items(`/v1/accounts/${id}/timeline?limit=100`)).filter(
      ({ action }) => !String(action).startsWith('keys.'),
    ),
    // Looking at the account is a use of its customer's key.
    keys: (await items('/v1/api-keys?limit=500'))
      .filter(({ account: owner }) => owner === id)
      .map(({ lastUsedAt: _used, ...key }) => key),
  };
}

/** An account's own document, and what ingest and purges go by. */
async function counted(id: string): Promise<unknown> {
  const { store } = api.system;
  const account = await native(store.accounts).findOne<AccountDocument>({ _id: id });
  const { version, seq, passes, lateRefused, purging } = account ?? {};
  // Writing down that a key was used passes the gate.
  const { passed: _passed, ...gate } = (await native(store.gates).findOne({ _id: id })) ?? {};
  const totals = await native(store.totals).find({ account: id }).sort({ _id: 1 }).toArray();
  return { version, seq, passes, lateRefused, purging, gate, totals };
}

test('R21: everything of a full account reads the same, and the raw bytes name the new versions alone', async () => {
  const { store } = api.system;
  await ask('POST', '/v1/processors', { name: 'mail', kind: 'webhook', url: target.url });
  await ask('POST', '/v1/api-keys', { name: 'a gateway of ours', role: 'gateway' });
  const { id, key } = await fullAccount();
  const legal = await api.keyFor('legal');
  const gone = await erasedAccount();
  const before = {
    shown: await shown(id, key),
    counted: await counted(id),
    kept: (await ask('GET', `/v1/accounts/${gone}/retained`, undefined, legal)).body,
  };
  const raw = await storedVersions(store);
  // Something is encrypted wherever the data map says so; the texts are in the account's own document.
  for (const field of [
    'prompts.body',
    'completions.body',
    'logs.body',
    'usage.body',
    'invoices.body',
    'accounts.name',
    'accounts.email',
    'accounts.formerly.email',
    'accounts.lifecycle.holds.reason',
    'apiKeys.name',
    'auditEntries.customer',
    'auditEntries.staff',
    'sealedRecords.document',
    'processors.secret',
    'processorRequests.identity',
  ]) {
    expect([field, Object.keys(raw[field] ?? {})]).toEqual([field, ['1']]);
  }

  const outcome = await rotate({ reencrypts: true });
  expect(outcome).toMatchObject({ complete: true, reencrypted: true, left: { values: 0, unreadable: 0 } });
  expect(outcome.used).toBe(outcome.keys);

  const after = await storedVersions(store);
  for (const field of Object.keys(raw)) {
    // What names a destroyed key can be read by nobody, and stays.
    const { 1: old = 0 } = after[field] ?? {};
    const orphaned =
      field === 'auditEntries.customer'
        ? await native(store.audit.entries).countDocuments({
            subject: store.vault.pseudonymOf(gone),
            customer: { $exists: true },
          })
        : 0;
    expect([field, old]).toEqual([field, orphaned]);
    expect(after[field]?.[2]).toBeGreaterThan(0);
  }
  expect({
    shown: await shown(id, key),
    counted: await counted(id),
    kept: (await ask('GET', `/v1/accounts/${gone}/retained`, undefined, legal)).body,
  }).toEqual(before);
  await eventually('the processor’s request goes on', async () => {
    const requests = await native(store.processorRequests).find({}).toArray();
    return requests.some(({ attempts }) => attempts > 0) ? true : undefined;
  });

  // The log verifies, with its parts opened; the entries of the rotation are in it, and no more than counts.
  await eventually('every entry has its place', async () =>
    (await native(store.audit.entries).countDocuments({ tile: -1 })) === 0 ? true : undefined,
  );
  const keys = (await store.vault.publicKeys()).map((one) => noteKeyOf(originOf(region), one));
  expect(await verifyLog(sourceIn(store.connection, region), { keys, vault: store.vault })).toMatchObject({
    ok: true,
  });
  const entries = await native(store.audit.entries).find({ 'details.rotation': outcome.rotation }).toArray();
  expect(entries.map(({ action }) => action).sort()).toEqual(['keys.data-rotated', 'keys.data-rotation-started']);
  expect(entries.find(({ action }) => action === 'keys.data-rotated')?.details).toEqual({
    rotation: outcome.rotation,
    keys: outcome.keys,
    accounts: outcome.renewed.accounts,
    documents: outcome.renewed.documents,
    values: outcome.renewed.values,
    left: 0,
    unreadable: 0,
  });

  // The hold stands, and the account's life goes on: steps, exports, the same key.
  expect((await api.system.account(id)).lifecycle.holds).toHaveLength(1);
  const holds = (await ask('GET', `/v1/accounts/${id}/holds`)).body['items'] as { id: string }[];
  await ask('DELETE', `/v1/accounts/${id}/holds/${holds[0]?.id ?? ''}`);
  expect((await ask('GET', `/v1/accounts/${id}`, undefined, key)).status).toBe(200);

  // To look again finds nothing to do.
  const again = await rotate({ account: id, reencrypts: true });
  expect(again.complete).toBe(true);
  expect(again.renewed.accounts).toBe(1);
}, 240_000);

/** New versions of some accounts' keys, in use here and everywhere, with nothing encrypted anew yet. */
async function renewKeys(accounts: readonly string[]): Promise<void> {
  const { vault } = api.system.store;
  const ids = accounts.map((account) => keysOf(vault, account).account);
  const rotation = randomUUID();
  await addVersions(vault, rotation, ids);
  await eventually('they are in use', async () =>
    (await useVersions(vault, rotation, ids)).waitFor === 0 ? true : undefined,
  );
  await eventually('this process knows', async () => {
    const [ciphers, standings] = [await vault.ciphersOf(accounts), await currentVersions(vault, ids)];
    const known = accounts.every((account) => {
      return ciphers.get(account)?.version === standings.get(keysOf(vault, account).account)?.current;
    });
    return known ? true : undefined;
  });
}

/** Everything an account's collections hold of it, opened. */
async function contentOf(account: string): Promise<string[]> {
  const { store } = api.system;
  const { records } = await readRecords(store, account, { limit: 1000 });
  return records.map(({ category, id, user, body }) => JSON.stringify([category, id, user, body])).sort();
}

test('R21: without --reencrypt nothing is rewritten, and whatever is written from then on is under the new version', async () => {
  const { store } = api.system;
  const { id, key } = await fullAccount();
  const before = await shown(id, key);
  const raw = await native(store.records.prompts).find({ account: id }).toArray();
  const outcome = await rotate({ account: id });
  expect(outcome).toMatchObject({ keys: 1, used: 1, reencrypted: false, renewed: { values: 0 } });
  expect(await native(store.records.prompts).find({ account: id }).toArray()).toEqual(raw);
  expect(await shown(id, key)).toEqual(before);
  await eventually('every process uses it', async () =>
    (await store.vault.cipherOf(id)).version === 2 ? true : undefined,
  );
  expect((await ingest(store, [event(id, new Date(), 'later')], paths)).accepted).toBe(1);
  const later = await native(store.records.prompts).findOne({ _id: `${id}:later` });
  expect(versionOf(later?.body)).toBe(2);
  expect(await contentOf(id)).toHaveLength(31 * 4);
  // It is on record with the account, and what is on record of no other one.
  const entries = await native(store.audit.entries).find({ 'details.rotation': outcome.rotation }).toArray();
  expect(new Set(entries.map(({ subject }) => subject))).toEqual(new Set([store.vault.pseudonymOf(id)]));
});

test('R21: of one account alone no other key is touched', async () => {
  const { store } = api.system;
  const [{ id }, { id: other }] = [await fullAccount(), await fullAccount()];
  const keys = () => store.vault.keyStore.keys.find({ _id: { $ne: keysOf(store.vault, id).account } }).toArray();
  const before = await keys();
  expect(await rotate({ account: id, reencrypts: true })).toMatchObject({ keys: 1, used: 1, complete: true });
  expect(await keys()).toEqual(before);
  const ofAccount = (account: string) =>
    storedVersions(
      store,
      ({ _id, account: owner, subject }) =>
        _id === account || owner === account || subject === store.vault.pseudonymOf(account),
    );
  const { 'auditEntries.staff': _staff, ...own } = await ofAccount(id);
  for (const [field, versions] of Object.entries(own)) expect([field, Object.keys(versions)]).toEqual([field, ['2']]);
  for (const [field, versions] of Object.entries(await ofAccount(other))) {
    if (field !== 'auditEntries.staff') expect([field, Object.keys(versions)]).toEqual([field, ['1']]);
  }
  expect(await rotate({ account: 'nobody-at-all', reencrypts: true })).toMatchObject({ keys: 0, complete: true });
});

test('R21: a value that was altered is named and left as it is, and all others are encrypted anew', async () => {
  const { store } = api.system;
  const { id } = await fullAccount();
  const records = native(store.records.logs);
  const found = await records.find({ account: id }).sort({ _id: 1 }).toArray();
  const flipped = async (at: number, byte: number) => {
    const { _id, body } = found[at] ?? {};
    const bytes = Buffer.from(body?.value() ?? '');
    bytes[byte] = (bytes[byte] ?? 0) ^ 1;
    await records.updateOne({ _id: _id ?? '' }, { $set: { body: new mongo.Binary(bytes) } });
    return { id: String(_id), bytes: bytes.toString('base64') };
  };
  // In the ciphertext, in the tag, in the version, which then names one there never was, and in what says that it is encrypted.
  const damaged = [
    await flipped(0, 40),
    await flipped(1, -1 + (found[1]?.body.length() ?? 0)),
    await flipped(2, 4),
    await flipped(3, 0),
  ];
  const clear = found[4]?._id ?? '';
  await records.updateOne({ _id: clear }, { $set: { body: 'in the clear' as never } });
  const outcome = await rotate({ account: id, reencrypts: true });
  expect(outcome).toMatchObject({ complete: false, left: { values: 0, unreadable: 5 }, renewed: { unreadable: 5 } });
  expect(outcome.left.places.map((place) => place.id).sort()).toEqual([...damaged.map((one) => one.id), clear].sort());
  expect(new Set(outcome.left.places.map(({ collection, field }) => `${collection}.${field}`))).toEqual(
    new Set(['logs.body']),
  );
  for (const { id: _id, bytes } of damaged) {
    const left = await records.findOne({ _id });
    expect(Buffer.from(left?.body.value() ?? '').toString('base64')).toBe(bytes);
  }
  const others = await records.find({ account: id }).toArray();
  expect(others.filter(({ body }) => versionOf(body) === 2)).toHaveLength(30 - 5);
  const entry = await native(store.audit.entries).findOne({
    'details.rotation': outcome.rotation,
    action: 'keys.data-rotated',
  });
  expect(entry?.details).toMatchObject({ left: 0, unreadable: 5 });
  for (const _id of [...damaged.map((one) => one.id), clear]) await records.deleteOne({ _id });
});

test('R21: to encrypt anew twice at once, or again from any place, changes each value once', async () => {
  const { store } = api.system;
  const { id } = await fullAccount();
  await renewKeys([id]);
  const before = await contentOf(id);
  const tallies = await Promise.all(Array.from({ length: 4 }, () => reencrypt(store, { account: id })));
  const raw = await native(store.records.usage).find({ account: id }).toArray();
  expect(raw.every(({ body }) => versionOf(body) === 2)).toBe(true);
  expect(tallies.some(({ tally }) => tally.values > 0)).toBe(true);
  const positions: WalkPosition[] = [];
  const again = await reencrypt(
    store,
    { account: id },
    {
      progress: (_tally, next) => {
        if (next !== undefined) positions.push(next);
      },
    },
  );
  expect(again.tally.values).toBe(0);
  for (const from of positions) expect((await reencrypt(store, { account: id, from })).tally.values).toBe(0);
  expect(await native(store.records.usage).find({ account: id }).toArray()).toEqual(raw);
  expect(await contentOf(id)).toEqual(before);
  // In small steps it comes to the end as well, each from where the one before stopped.
  await renewKeys([id]);
  let stretch = await reencrypt(store, { account: id }, { budget: 0 });
  let stretches = 1;
  let { values } = stretch.tally;
  while (stretch.next !== undefined) {
    stretch = await reencrypt(store, { account: id, from: stretch.next }, { budget: 0 });
    stretches += 1;
    values += stretch.tally.values;
  }
  expect(stretches).toBeGreaterThan(10);
  expect(values).toBe((await reencrypt(store, { account: id, onlyLook: true })).tally.values + values);
  expect(
    (await native(store.records.usage).find({ account: id }).toArray()).every(({ body }) => versionOf(body) === 3),
  ).toBe(true);
});

describe('R21: while everything goes on', () => {
  const perKind = 40;
  const kinds = ['ingest', 'correction', 'purge', 'erasure', 'hold'] as const;
  type Kind = (typeof kinds)[number];

  test('nothing is lost, nothing that went comes back, and no older value either', async () => {
    const { store } = api.system;
    const accounts: { readonly kind: Kind; readonly account: AccountDocument }[] = [];
    for (const kind of kinds) {
      for (let made = 0; made < perKind; made += 1) {
        const account = await addDueAccount(store, { closedDaysAgo: 31 });
        await addRecords(store, account, 4);
        accounts.push({ kind, account });
      }
    }
    const names = accounts.map(({ account: { _id } }) => _id);
    await renewKeys(names);
    const before = new Map(await Promise.all(names.map(async (name) => [name, await contentOf(name)] as const)));
    const now = await store.databaseTime();

    const acts: Record<Kind, (account: AccountDocument, round: number) => Promise<unknown>> = {
      ingest: (account, round) => {
        const at = new Date(account.since.getTime() - 7 * 86_400_000);
        return ingest(store, [event(account._id, at, `new-${round}`), event(account._id, at, `newer-${round}`)], paths);
      },
      correction: (account, round) => ask('PATCH', `/v1/accounts/${account._id}`, { name: `Corrected ${round}` }),
      purge: (account) =>
        deleteThroughGate(store, {
          account: account._id,
          purpose: 'person',
          sets: { prompts: { at: { $lt: account.since } }, logs: { at: { $lt: account.since } } },
        }),
      async erasure(account) {
        await beginErasure(store, beginningOf(account, now), { ...judgement, temporal: now });
        expect(await eraseRecords(store, account._id)).toMatchObject({});
        const at = now.toISOString();
        await concludeErasure(store, {
          ...beginningOf({ ...account, seq: account.seq + 1 }, now),
          action: 'account.erased',
          lifecycle: { state: 'erased', since: at, causes: [], overrides: {}, holds: [] },
        });
      },
      async hold(account, round) {
        const at = now.toISOString();
        const reason = (await store.vault.cipherOf(account._id)).sealText(`hold ${round}`, 'reason');
        const hold = { id: randomUUID(), reason, placedAt: at, placedBy: 'test' };
        return recordStep(store, {
          ...beginningOf(account, now),
          action: 'hold.placed',
          lifecycle: { ...account.lifecycle, holds: [hold] },
        });
      },
    };
    const waiting = accounts
      .map((one, round) => ({ ...one, round }))
      .sort((a, b) => (a.round % perKind) - (b.round % perKind));
    const lane = async () => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
        const { kind, account, round } = one;
        const act = new Promise((resolve) => setTimeout(resolve, round % 15)).then(() => acts[kind](account, round));
        await Promise.all([act, reencrypt(store, { account: account._id })]);
        await reencrypt(store, { account: account._id });
      }
    };
    await Promise.all(Array.from({ length: 4 }, lane));

    for (const [round, { kind, account }] of accounts.entries()) {
      const { _id } = account;
      if (kind === 'erasure') {
        expect(await searchRemains(store, _id)).toMatchObject({ found: [] });
        expect(await native(store.accounts).findOne({ _id })).toBeNull();
        for (const category of categories)
          expect(await native(store.records[category]).countDocuments({ account: _id })).toBe(0);
        continue;
      }
      const { left, ...tally } = { ...(await reencrypt(store, { account: _id, onlyLook: true })).tally, left: 0 };
      expect([tally.values, tally.unreadable, left]).toEqual([0, 0, 0]);
      const content = await contentOf(_id);
      const old = before.get(_id) ?? [];
      if (kind === 'ingest') {
        expect(content.filter((line) => old.includes(line))).toEqual(old);
        expect(content).toHaveLength(old.length + 8);
      } else if (kind === 'purge') {
        expect(content).toEqual(old.filter((line) => !line.startsWith('["prompts"') && !line.startsWith('["logs"')));
      } else expect(content).toEqual(old);
      const profile = await findAccount(store, _id);
      if (profile === null) throw new Error(`${_id} is gone`);
      const { name, lifecycle } = await openProfile(store, profile);
      if (kind === 'correction') expect([name, profile.version]).toEqual([`Corrected ${round}`, account.version + 1]);
      else expect(profile.version).toBe(account.version + (kind === 'hold' ? 1 : 0));
      if (kind === 'hold') expect(lifecycle.holds).toMatchObject([{ reason: `hold ${round}` }]);
    }
  }, 300_000);
});
