/** R21: what is known of a customer is stored encrypted, is found and shown to those who may see it, and dies with its key. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { registerKeys } from '../src/access';
import type { AccountDocument, ProcessorDocument } from '../src/data';
import { native } from '../src/database';
import { secretOf } from '../src/processors/secret';
import { workflowIdOf } from '../src/temporal';
import { startApi, type Api } from './helpers/api';
import { eventually } from './helpers/eventually';
import { randomAccountId, region } from './helpers/system';

let api: Api;

beforeAll(async () => {
  api = await startApi();
}, 60_000);
afterAll(() => api.stop());

/** A text that is nowhere else in the world. */
function canary(): string {
  return `Canary-${randomBytes(9).toString('hex')}`;
}

/** The collections of the database that hold a text anywhere. */
async function collectionsWith(text: string): Promise<string[]> {
  const { connection } = api.system.store;
  const database = connection.getClient().db(connection.name);
  const found: string[] = [];
  for (const { name } of await database.listCollections().toArray()) {
    const documents = database.collection(name).find({}, { raw: true }) as unknown as AsyncIterable<Uint8Array>;
    for await (const document of documents) {
      if (Buffer.from(document).includes(text)) found.push(name);
    }
  }
  return found;
}

async function create(name = canary(), email = `${randomAccountId()}@example.org`) {
  const id = randomAccountId();
  const made = await api.ask('POST', '/v1/accounts', { body: { id, name, email, plan: 'standard' } });
  expect([made.status, made.body['name'], made.body['email']]).toEqual([201, name, email]);
  return { id, name, email };
}

async function found(q: string): Promise<unknown[]> {
  const { body } = await api.ask('GET', `/v1/accounts?q=${encodeURIComponent(q)}`);
  return (body['items'] as { id: string }[]).map(({ id }) => id);
}

function stored(id: string): Promise<AccountDocument> {
  return api.system.account(id);
}

describe('a profile', () => {
  test('R21: is nowhere in the database as it is written, and is shown as it was given', async () => {
    const { id, name, email } = await create();
    expect(await collectionsWith(name)).toEqual([]);
    expect(await collectionsWith(email)).toEqual([]);
    expect((await api.ask('GET', `/v1/accounts/${id}`)).body).toMatchObject({ id, name, email });
  });

  test('R21: is found by its exact name or address, in whatever case, and by nothing less', async () => {
    const { id, name, email } = await create(`Straße ${randomBytes(6).toString('hex')} Åre`);
    for (const q of [name, name.toUpperCase(), ` ${name.normalize('NFD')} `, email, email.toUpperCase()]) {
      expect([q, await found(q)]).toEqual([q, [id]]);
    }
    expect(await found(id.slice(0, -1))).toContain(id);
    for (const q of [name.slice(0, -1), email.slice(1), 'example.org']) expect([q, await found(q)]).toEqual([q, []]);
  });

  test('R21: is encrypted anew and found anew when it changes, and what a hold keeps of it is encrypted too', async () => {
    const { id, name, email } = await create();
    await api.ask('POST', `/v1/accounts/${id}/holds`, { body: { reason: 'a lawsuit' } });
    const change = { name: canary(), email: `${randomAccountId()}@example.net` };
    const { body } = await api.ask('PATCH', `/v1/accounts/${id}`, { body: change });
    expect(body).toMatchObject({ ...change, formerly: [{ name, email }] });
    expect((await api.ask('GET', `/v1/accounts/${id}`)).body).toEqual(body);
    for (const text of [name, email, change.name, change.email]) expect(await collectionsWith(text)).toEqual([]);
    expect(await found(change.name)).toEqual([id]);
    expect(await found(change.email)).toEqual([id]);
    expect([...(await found(name)), ...(await found(email))]).toEqual([]);
    const again = await api.ask('PATCH', `/v1/accounts/${id}`, { body: { name: canary() } });
    expect(again.body['formerly']).toMatchObject([{ name, email }, { name: change.name }]);
  });

  test('R21: put into another account it does not open, and nobody is told what it holds', async () => {
    const [victim, thief] = [await create(), await create()];
    const { name } = await stored(victim.id);
    if (name === undefined) throw new Error('there is no name');
    await native(api.system.store.accounts).updateOne({ _id: thief.id }, { $set: { name } });
    const answer = await api.ask('GET', `/v1/accounts/${thief.id}`);
    expect([answer.status, answer.body['code']]).toEqual([500, 'internal']);
    expect(answer.text).not.toContain(victim.name);
    expect(api.logged.join('\n')).toContain('UnreadableValueError: a value of accounts.name was altered');
    expect(api.logged.join('\n')).not.toContain(victim.name);

    // A list shows what can be shown.
    const list = await api.ask('GET', `/v1/accounts?limit=1000`);
    const items = list.body['items'] as { id: string; name?: string; unreadable?: boolean }[];
    expect(items.find(({ id }) => id === victim.id)).toMatchObject({ name: victim.name });
    const shown = items.find(({ id }) => id === thief.id);
    expect(shown).toMatchObject({ unreadable: true, state: 'active' });
    expect(shown).not.toHaveProperty('name');
    expect(shown).not.toHaveProperty('email');
  });
});

describe('a key that is gone', () => {
  test('R23: leaves an account nobody can open, in a list that works, and an id nobody can have again', async () => {
    const { id, name } = await create();
    await api.system.store.vault.destroyKey(id);
    const erased = await api.ask('GET', `/v1/accounts/${id}`);
    expect([erased.status, erased.body['code']]).toEqual([410, 'account-erased']);
    const list = await api.ask('GET', `/v1/accounts?q=${id}`);
    expect(list.body['items']).toMatchObject([{ id, unreadable: true }]);
    expect(list.text).not.toContain(name);
    const noted = await api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason: 'other', note: 'a note' } });
    expect([noted.status, noted.body['code']]).toEqual([410, 'account-erased']);
    expect((await stored(id)).state).toBe('active');

    const fresh = randomAccountId();
    await api.system.store.vault.destroyKey(fresh);
    const body = { id: fresh, name: 'New', email: 'new@example.org', plan: 'standard' };
    const refused = await api.ask('POST', '/v1/accounts', { body });
    expect([refused.status, refused.body['code']]).toEqual([409, 'conflict']);
    expect(await api.system.store.drafts.countDocuments({ account: fresh })).toBe(0);
  });

  test('R16: is not needed to say whether an account may be served', async () => {
    const { id } = await create();
    await api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason: 'non_payment', note: canary() } });
    await api.system.store.vault.destroyKey(id);
    const access = await api.ask('GET', `/v1/accounts/${id}/access`);
    expect([access.status, access.body]).toEqual([
      200,
      expect.objectContaining({ allowed: false, state: 'suspended' }),
    ]);
  });
});

describe('a note', () => {
  test('R21: is encrypted in the account and in the log, and shown to those who may see it', async () => {
    const { id } = await create();
    const notes = { suspended: canary(), held: canary(), reinstated: canary(), closed: canary(), reopened: canary() };
    const ask = (path: string, body: unknown) => api.ask('POST', `/v1/accounts/${id}/${path}`, { body });
    const suspended = await ask('suspend', { reason: 'other', note: notes.suspended });
    expect(suspended.body['causes']).toMatchObject([{ reason: 'other', note: notes.suspended }]);
    const hold = await ask('holds', { reason: notes.held });
    expect(hold.body['reason']).toBe(notes.held);
    const { body: account } = await api.ask('GET', `/v1/accounts/${id}`);
    expect(account).toMatchObject({ causes: [{ note: notes.suspended }], holds: [{ reason: notes.held }] });
    const holds = await api.ask('GET', `/v1/accounts/${id}/holds`);
    expect(holds.body['items']).toMatchObject([{ reason: notes.held }]);
    for (const text of [notes.suspended, notes.held]) expect(await collectionsWith(text)).toEqual([]);
    await ask('reinstate', { note: notes.reinstated });
    await ask('close', { note: notes.closed });
    await ask('reopen', { note: notes.reopened });
    for (const text of Object.values(notes)) expect(await collectionsWith(text)).toEqual([]);

    const timeline = await api.ask('GET', `/v1/accounts/${id}/timeline`);
    for (const text of Object.values(notes)) expect(timeline.text).toContain(text);
    expect(timeline.text).not.toContain('sealed:');
  });

  test('R21: sent by hand is encrypted by what reads it, and one that was encrypted for another account is refused', async () => {
    const [{ id }, other] = [await create(), await create()];
    const handle = api.system.client.workflow.getHandle(workflowIdOf(region, id));
    const note = canary();
    await handle.signal('suspend', { reason: 'other', note });
    const account = await eventually('the signal is carried out', async () => {
      const read = await stored(id);
      return read.state === 'suspended' ? read : undefined;
    });
    expect(account.lifecycle.causes[0]?.note).toMatch(/^sealed:1:/);
    expect(await collectionsWith(note)).toEqual([]);
    expect((await api.ask('GET', `/v1/accounts/${id}`)).body['causes']).toMatchObject([{ note }]);

    const elsewhere = (await api.system.store.vault.cipherOf(other.id)).sealText(note, 'note');
    for (const strange of [elsewhere, 'sealed:1:', `sealed:1:${'A'.repeat(60)}`]) {
      const reinstating = handle.executeUpdate('reinstate', { args: [{ note: strange }] });
      await expect(reinstating).rejects.toMatchObject({ cause: { details: [{ code: 'validation' }] } });
    }
    expect((await stored(id)).state).toBe('suspended');
    const long = handle.executeUpdate('reinstate', { args: [{ note: 'x'.repeat(2001) }] });
    await expect(long).rejects.toMatchObject({ cause: { details: [{ code: 'validation' }] } });
  });

  test('R21: that looks like an encrypted one is kept as it was written', async () => {
    const { id } = await create();
    const note = 'sealed:1:oQAB';
    const suspended = await api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason: 'other', note } });
    expect(suspended.body['causes']).toMatchObject([{ note }]);
  });

  test('R20: is gone from the log with the key, and what happened is still there', async () => {
    const { id } = await create();
    const note = canary();
    await api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason: 'other', note } });
    await api.system.store.vault.destroyKey(id);
    const { body, text } = await api.ask('GET', `/v1/accounts/${id}/timeline`);
    expect(body['items']).toMatchObject([{ action: 'account.created' }, { details: { reason: 'other' } }]);
    expect(text).not.toContain(note);
    expect(text).not.toContain('sealed:');
  });
});

describe('an API key', () => {
  const listed = async () =>
    (await api.ask('GET', '/v1/api-keys?limit=1000')).body['items'] as { id: string; name?: string }[];

  test("R21: has its name encrypted, a customer's under the account's key and any other under the staff's", async () => {
    const { id: account } = await create();
    const names = { staff: canary(), customer: canary() };
    const staff = await api.ask('POST', '/v1/api-keys', { body: { role: 'operator', name: names.staff } });
    const body = { role: 'customer', account, name: names.customer };
    const own = await api.ask('POST', '/v1/api-keys', { body });
    expect([staff.body['name'], own.body['name']]).toEqual([names.staff, names.customer]);
    for (const name of Object.values(names)) expect(await collectionsWith(name)).toEqual([]);
    const before = await listed();
    expect(before.find(({ id }) => id === staff.body['id'])).toMatchObject({ name: names.staff });
    expect(before.find(({ id }) => id === own.body['id'])).toMatchObject({ name: names.customer });

    await api.system.store.vault.destroyKey(account);
    const after = await listed();
    expect(after.find(({ id }) => id === staff.body['id'])).toMatchObject({ name: names.staff });
    expect(after.find(({ id }) => id === own.body['id'])).not.toHaveProperty('name');
  });

  test('R21: whose name was taken from another is listed without it', async () => {
    const made = await Promise.all(
      ['operator', 'auditor'].map((role) => api.ask('POST', '/v1/api-keys', { body: { role, name: canary() } })),
    );
    const [first = '', second = ''] = made.map(({ body }) => String(body['id']));
    const keys = native(registerKeys(api.system.store.connection));
    const name = (await keys.findOne({ _id: first }))?.name;
    if (name === undefined) throw new Error('there is no name');
    await keys.updateOne({ _id: second }, { $set: { name } });
    const after = await listed();
    expect(after.find(({ id }) => id === first)).toHaveProperty('name');
    expect(after.find(({ id }) => id === second)).not.toHaveProperty('name');
    expect(api.logged.join('\n')).toContain('UnreadableValueError: a value of apiKeys.name was altered');
  });

  test('R21: is kept for a repeat without its secret, and is stored nowhere', async () => {
    const headers = { 'idempotency-key': canary() };
    const ask = () => api.ask('POST', '/v1/api-keys', { headers, body: { role: 'operator', name: 'edge' } });
    const [first, again] = [await ask(), await ask()];
    const { key, ...shown } = first.body;
    expect([first.status, again.status, again.body]).toEqual([201, 201, shown]);
    expect(await collectionsWith(String(key))).toEqual([]);
    expect(await collectionsWith(String(key).slice(7))).toEqual([]);
  });
});

describe('an answer that is kept for a repeat', () => {
  test('R21: is encrypted, comes again word for word, and is gone with the key', async () => {
    const id = randomAccountId();
    const name = canary();
    const headers = { 'idempotency-key': canary() };
    const body = { id, name, email: `${randomAccountId()}@example.org`, plan: 'standard' };
    const ask = () => api.ask('POST', '/v1/accounts', { headers, body });
    const [first, again] = [await ask(), await ask()];
    expect([first.status, again.status, again.text]).toEqual([201, 201, first.text]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await collectionsWith(name)).toEqual([]);
    expect(await collectionsWith(headers['idempotency-key'])).toEqual([]);
    const changed = await api.ask('POST', '/v1/accounts', { headers, body: { ...body, name: 'Another' } });
    expect([changed.status, changed.body['code']]).toEqual([409, 'conflict']);

    await api.system.store.vault.destroyKey(id);
    const late = await ask();
    expect([late.status, late.body['code']]).toEqual([410, 'account-erased']);
    expect(late.text).not.toContain(name);
  });

  test('R21: is kept under the key of the deployment where there is no account, and does not open elsewhere', async () => {
    const ask = (key: string) =>
      api.ask('POST', '/v1/api-keys', { headers: { 'idempotency-key': key }, body: { role: 'operator' } });
    const [one, other] = [canary(), canary()];
    const [first, second] = [await ask(one), await ask(other)];
    expect(await ask(one)).toMatchObject({ status: 201, body: { id: first.body['id'] } });
    const answers = api.system.store.connection.collection('idempotencyKeys');
    const mine = async (id: unknown) => {
      const kept = await answers.find({ under: 'deployment' }).toArray();
      const cipher = await api.system.store.vault.systemCipher('secrets');
      const found = kept.find((answer) => {
        const place = { collection: 'idempotencyKeys', field: 'body', id: String(answer._id) };
        return String(cipher.open((answer as unknown as { body: Uint8Array }).body, place)).includes(String(id));
      });
      if (found === undefined) throw new Error('no answer is kept');
      return found as unknown as { _id: never; body: unknown };
    };
    const { body } = await mine(first.body['id']);
    await answers.updateOne({ _id: (await mine(second.body['id']))._id }, { $set: { body } });
    const moved = await ask(other);
    expect([moved.status, moved.body['code']]).toEqual([500, 'internal']);
    expect(moved.text).not.toContain(String(first.body['id']));
  });
});

describe("a processor's secret", () => {
  test('R21: is encrypted, is shown to nobody again, and does not sign for another', async () => {
    const { store } = api.system;
    const register = async (name: string) => {
      const body = { name, kind: 'webhook', url: 'https://mail.example.com/erase' };
      const made = await api.ask('POST', '/v1/processors', { body });
      expect(made.status).toBe(201);
      return { id: String(made.body['id']), secret: String(made.body['secret']) };
    };
    const [mail, logs] = [await register(canary()), await register(canary())];
    expect(await collectionsWith(mail.secret)).toEqual([]);
    expect(await collectionsWith(mail.secret.slice('whsec_'.length))).toEqual([]);
    const read = async (id: string) => {
      const found = await native(store.processors).findOne({ _id: id });
      if (found === null) throw new Error('there is no processor');
      return found as ProcessorDocument;
    };
    expect(await secretOf(store, await read(mail.id))).toBe(mail.secret);
    const { secret } = await read(mail.id);
    if (secret === undefined) throw new Error('there is no secret');
    await native(store.processors).updateOne({ _id: logs.id }, { $set: { secret } });
    const opening = secretOf(store, await read(logs.id));
    await expect(opening).rejects.toMatchObject({ name: 'UnreadableValueError' });
    await expect(opening).rejects.toThrow(/^a value of processors\.secret was altered/);
  });
});
