/** A person's data: one end user's records are erased on request, under the same gate, holds and audit as all the rest. */
import { randomUUID } from 'node:crypto';
import { categories, erasePerson, type PersonRequestDocument } from '../src/data';
import { userIndexOf } from '../src/data/record-content';
import { native } from '../src/database';
import { personWorkflowId, personWorkflowType } from '../src/workflows';
import { startApi, type Answered, type Api } from './helpers/api';
import { eventually } from './helpers/eventually';
import { everywhere, recordCounts } from './helpers/events';
import { startProcesses } from './helpers/processes';
import { recordsOf, storeRecords } from './helpers/records';
import { dropTestStore, openTestStore, region, startTimeSkippingSystem, type System } from './helpers/system';

const day = 86_400_000;
const hour = 3_600_000;

/** What a person's records are found by. */
async function indexOf({ store: { vault } }: Pick<System, 'store'>, account: string, user: string): Promise<string> {
  return userIndexOf(await vault.makeKey(account), user);
}

/** Stores records of one person, so many in each category, an hour apart. */
async function store(
  { store: opened }: Pick<System, 'store'>,
  account: string,
  user: string | undefined,
  count: number,
  { since = Date.now() - 10 * day, step = hour }: { since?: number; step?: number } = {},
): Promise<void> {
  for (const category of categories) {
    const records = Array.from({ length: count }, (_, index) => ({
      callId: randomUUID(),
      at: new Date(since + index * step),
      ...(user === undefined ? {} : { user }),
    }));
    await storeRecords(opened, category, account, records);
  }
}

describe('DELETE /v1/accounts/:id/records?user=', () => {
  let api: Api;
  let legal: string;

  beforeAll(async () => {
    api = await startApi();
    legal = await api.keyFor('legal');
  }, 120_000);
  afterAll(() => api.stop());

  const erase = (account: string, user: string, asked: { key?: string; headers?: Record<string, string> } = {}) =>
    api.ask('DELETE', `/v1/accounts/${account}/records?user=${encodeURIComponent(user)}`, asked);
  const read = (account: string, id: unknown, key?: string) =>
    api.ask('GET', `/v1/accounts/${account}/records/erasures/${String(id)}`, key === undefined ? {} : { key });
  const ended = (account: string, id: unknown, status = 'erased') =>
    eventually(`the request is ${status}`, async () => {
      const answer = await read(account, id);
      return answer.body['status'] === status ? answer : undefined;
    });
  const entriesOf = (account: string) =>
    api.system.store.audit.entries
      .find({ subject: api.system.store.vault.pseudonymOf(account), action: /^person\./ })
      .sort({ at: 1 })
      .lean();

  it('erases what was ingested of one person in all four categories, and nobody else’s; totals stay', async () => {
    const account = await api.system.createAccount();
    const key = await api.keyFor('customer', account);
    const marker = `marker-${randomUUID()}@example.org`;
    const call = (user: string) => ({
      litellm_call_id: randomUUID(),
      startTime: (Date.now() - hour) / 1000,
      model: 'gpt-4o',
      total_tokens: 3,
      messages: [{ role: 'user', content: `I am ${user}` }],
      response: { choices: [] },
      metadata: { user_api_key_org_id: account, user_api_key_end_user_id: user },
    });
    const body = [call(marker), call('somebody'), call(marker)];
    expect(await api.ask('POST', '/v1/ingest/litellm', { body })).toMatchObject({ body: { accepted: 3 } });
    const totals = () => api.system.store.totals.find({ account }).lean();
    const before = await totals();
    const answer = await erase(account, marker, { key });
    expect(answer).toMatchObject({ status: 202, body: { status: 'running', erased: {} } });
    expect(answer.headers.get('location')).toBe(
      `/v1/accounts/${account}/records/erasures/${String(answer.body['id'])}`,
    );
    expect((await ended(account, answer.body['id'])).body).toMatchObject({
      id: answer.body['id'],
      status: 'erased',
      erased: everywhere(2),
    });
    expect(await read(account, answer.body['id'], key)).toMatchObject({ status: 200, body: { status: 'erased' } });
    expect(await recordCounts(api.system, account)).toEqual(everywhere(1));
    expect(await totals()).toEqual(before);
    const request = { request: answer.body['id'] };
    expect(await entriesOf(account)).toMatchObject([
      { action: 'person.erasure-requested', actor: { role: 'customer' }, details: request },
      { action: 'person.erased', actor: { type: 'system' }, details: { ...request, erased: everywhere(2) } },
    ]);
    // Nobody remembers the person: no collection, no log, no workflow.
    const database = api.system.store.connection.getClient().db(api.system.store.connection.name);
    for (const { name } of await database.listCollections().toArray()) {
      expect([name, JSON.stringify(await database.collection(name).find({}).toArray()).includes(marker)]).toEqual([
        name,
        false,
      ]);
    }
    expect(api.logged.join('')).not.toContain(marker);
    const handle = api.system.client.workflow.getHandle(personWorkflowId(region, account, String(answer.body['id'])));
    expect(await handle.result()).toEqual({ outcome: 'erased' });
    expect(JSON.stringify(await handle.fetchHistory())).not.toContain(
      Buffer.from(marker).toString('base64').slice(0, 8),
    );
  });

  it('matches the person exactly, and takes only what happened before the request', async () => {
    const account = await api.system.createAccount();
    for (const user of ['ann', 'Ann', 'ann ', 'anna', undefined]) await store(api.system, account, user, 1);
    await store(api.system, account, 'ann', 2, { since: Date.now() + hour });
    const { body } = await erase(account, 'ann');
    expect((await ended(account, body['id'])).body['erased']).toEqual(everywhere(1));
    expect(await recordCounts(api.system, account)).toEqual(everywhere(6));
    const userIndex = userIndexOf(await api.system.store.vault.cipherOf(account), 'ann');
    const left = await api.system.store.records.prompts.find({ account, userIndex }).lean();
    expect(left).toHaveLength(2);
    expect(left.every(({ at }) => at.getTime() > Date.now())).toBe(true);
  });

  it('answers somebody without records, without a word about whether there were any', async () => {
    const account = await api.system.createAccount();
    const { status, body } = await erase(account, 'nobody');
    expect(status).toBe(202);
    expect((await ended(account, body['id'])).body).toMatchObject({ status: 'erased', erased: {} });
  });

  it('R9: leaves what a hold protects, names it to those who see holds, and finishes when asked again after its release', async () => {
    const account = await api.system.createAccount();
    const key = await api.keyFor('customer', account);
    await store(api.system, account, 'ann', 3);
    await store(api.system, account, 'bob', 3);
    const hold = await api.ask('POST', `/v1/accounts/${account}/holds`, {
      key: legal,
      body: { reason: 'a case', datasets: ['prompts', 'usage-totals'] },
    });
    const { body } = await erase(account, 'ann', { key });
    const id = body['id'];
    expect((await ended(account, id, 'partly')).body).toMatchObject({
      held: ['prompts'],
      erased: { completions: 3, logs: 3, usage: 3 },
    });
    const theirs = await read(account, id, key);
    expect(theirs.body).toMatchObject({ status: 'running' });
    expect(theirs.body).not.toHaveProperty('held');
    expect((await api.ask('GET', `/v1/accounts/${account}/timeline`, { key })).text).not.toContain('held');
    expect(await recordCounts(api.system, account)).toEqual({ prompts: 6, completions: 3, logs: 3, usage: 3 });
    // Asking again while the hold stands is the same request, and changes nothing.
    expect(await erase(account, 'ann')).toMatchObject({ status: 202, body: { id, status: 'partly' } });
    await api.ask('DELETE', `/v1/accounts/${account}/holds/${String(hold.body['id'])}`, { key: legal });
    expect((await erase(account, 'ann')).body['id']).toBe(id);
    expect((await ended(account, id)).body).toMatchObject({ erased: everywhere(3) });
    expect(await recordCounts(api.system, account)).toEqual(everywhere(3));
    expect((await entriesOf(account)).map(({ action }) => action)).toEqual([
      'person.erasure-requested',
      'person.erasure-held',
      'person.erased',
    ]);
  });

  it('R9: erases nothing under a hold on everything', async () => {
    const account = await api.system.createAccount();
    await store(api.system, account, 'ann', 2);
    await api.system.send(account, 'placeHold', { reason: 'a case' });
    const { body } = await erase(account, 'ann');
    expect((await ended(account, body['id'], 'partly')).body).toMatchObject({ held: [...categories], erased: {} });
    expect(await recordCounts(api.system, account)).toEqual(everywhere(2));
  });

  it('is one request however often it is made at once, and another one for another person or after it has ended', async () => {
    const account = await api.system.createAccount();
    await store(api.system, account, 'ann', 1);
    await api.system.send(account, 'placeHold', { reason: 'a case' });
    const answers = await Promise.all(Array.from({ length: 8 }, () => erase(account, 'ann')));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(1);
    expect((await erase(account, 'bob')).body['id']).not.toBe(answers[0]?.body['id']);
    expect((await entriesOf(account)).filter(({ action }) => action === 'person.erasure-requested')).toHaveLength(2);
    const other = await api.system.createAccount();
    const first = await erase(other, 'ann');
    await ended(other, first.body['id']);
    const second = await erase(other, 'ann');
    expect(second.body['id']).not.toBe(first.body['id']);
    await ended(other, second.body['id']);
  });

  it('answers the same to the same Idempotency-Key, and a conflict to another person under it', async () => {
    const account = await api.system.createAccount();
    const headers = { 'idempotency-key': randomUUID() };
    const first = await erase(account, 'ann', { headers });
    await ended(account, first.body['id']);
    const again = await erase(account, 'ann', { headers });
    expect([again.status, again.body]).toEqual([202, first.body]);
    expect(await erase(account, 'bob', { headers })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await api.system.store.personRequests.countDocuments({ account })).toBe(1);
  });

  it('is started by the repeat, where the API broke off between the request and its workflow', async () => {
    const account = await api.system.createAccount();
    await store(api.system, account, 'ann', 1);
    const id = randomUUID();
    const request: PersonRequestDocument = {
      _id: id,
      account,
      userIndex: await indexOf(api.system, account, 'ann'),
      requestedBy: 'a-key',
      requestId: 'r',
      at: new Date(),
      status: 'running',
      erased: {},
    };
    await native(api.system.store.personRequests).insertOne(request);
    expect((await erase(account, 'ann')).body['id']).toBe(id);
    await ended(account, id);
    expect(await recordCounts(api.system, account)).toEqual(everywhere(0));
  });

  it.each([
    ['nobody named', ''],
    ['an empty name', '?user='],
    ['a name longer than any stored', `?user=${'x'.repeat(257)}`],
    ['two names', '?user=a&user=b'],
    ['an operator object', '?user[$ne]=a'],
    ['a parameter nobody knows', '?user=a&category=logs'],
  ])('refuses %s, and erases nothing', async (_name, query) => {
    const account = await api.system.createAccount();
    await store(api.system, account, 'a', 1);
    expect(await api.ask('DELETE', `/v1/accounts/${account}/records${query}`)).toMatchObject({
      status: 400,
      body: { code: 'validation' },
    });
    expect(await api.system.store.personRequests.countDocuments({ account })).toBe(0);
    expect(await recordCounts(api.system, account)).toEqual(everywhere(1));
  });

  it('R15: while locked it is staff’s to ask, since a person’s rights do not stop; unknown, erasing and erased accounts say so', async () => {
    const account = await api.system.createAccount();
    const key = await api.keyFor('customer', account);
    const other = await api.keyFor('customer', await api.system.createAccount());
    expect(await erase(account, 'ann', { key: other })).toMatchObject({ status: 404 });
    expect(await erase('nobody', 'ann')).toMatchObject({ status: 404 });
    await store(api.system, account, 'ann', 1);
    await api.system.send(account, 'suspend', { reason: 'other' });
    expect(await erase(account, 'ann', { key })).toMatchObject({ status: 403, body: { code: 'account-suspended' } });
    const asked = await erase(account, 'ann', { key: legal });
    expect(asked.status).toBe(202);
    await ended(account, asked.body['id']);
    await api.system.send(account, 'close');
    expect(await erase(account, 'ann', { key })).toMatchObject({ status: 403, body: { code: 'account-expired' } });
    expect(await erase(account, 'bob', { key: await api.keyFor('operator') })).toMatchObject({ status: 202 });
    for (const role of ['auditor', 'gateway'] as const) {
      const denied: Answered = await erase(account, 'ann', { key: await api.keyFor(role) });
      expect(denied).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    }
    const { store: stored } = api.system;
    const erasing = { since: new Date(), done: 0, total: 0, sets: {}, plan: { hash: 'h', steps: [] } };
    await native(stored.accounts).updateOne({ _id: account }, { $set: { erasing } });
    expect(await erase(account, 'carl')).toMatchObject({ status: 409, body: { code: 'conflict', state: 'expired' } });
    await native(stored.accounts).updateOne({ _id: account }, { $set: { state: 'erased' } });
    expect(await erase(account, 'carl')).toMatchObject({ status: 410, body: { code: 'account-erased' } });
    expect(await read(account, asked.body['id'])).toMatchObject({ status: 410 });
  });

  it('knows no request but the account’s own', async () => {
    const [mine, other] = [await api.system.createAccount(), await api.system.createAccount()];
    const { body } = await erase(mine, 'ann');
    expect(await read(other, body['id'])).toMatchObject({ status: 404 });
    expect(await read(mine, randomUUID())).toMatchObject({ status: 404 });
    expect(await read(mine, 'none')).toMatchObject({ status: 404 });
    await ended(mine, body['id']);
  });
});

describe('erasePerson', () => {
  test('goes on after a crash between any two batches, and its counts are exact', async () => {
    const opened = await openTestStore();
    const system = { store: opened };
    try {
      const account = 'acme';
      await native(opened.accounts).insertOne({
        _id: account,
        region,
        state: 'active',
        since: new Date(),
        lifecycle: { state: 'active', since: new Date().toISOString(), causes: [], overrides: {}, holds: [] },
        inactive: [],
        seq: 1,
        version: 1,
        createdAt: new Date(),
      });
      await native(opened.personRequests).insertOne({
        _id: 'request',
        account,
        userIndex: await indexOf({ store: opened }, account, 'ann'),
        requestedBy: 'k',
        requestId: 'r',
        at: new Date(),
        status: 'running',
        erased: {},
      });
      // A burst within a second, a steady stream, and gaps.
      await store(system, account, 'ann', 700, { since: Date.now() - 300 * day, step: 1 });
      await store(system, account, 'bob', 1500, { since: Date.now() - 300 * day, step: 1 });
      await store(system, account, 'ann', 50, { since: Date.now() - 100 * day });
      await store(system, account, 'bob', 400, { since: Date.now() - 200 * day });
      let crashes = 0;
      for (;;) {
        let batches = 0;
        const checkpoint = () => {
          if (++batches > 2) throw new Error('crash');
        };
        const outcome = await erasePerson(opened, { account, request: 'request' }, { checkpoint }).catch(
          () => undefined,
        );
        if (outcome === 'erased') break;
        crashes += 1;
        expect(crashes).toBeLessThan(100);
      }
      expect(crashes).toBeGreaterThan(2);
      expect(await recordCounts(system, account)).toEqual(everywhere(1900));
      const request = await native(opened.personRequests).findOne({ _id: 'request' });
      expect(request).toMatchObject({ status: 'erased', erased: everywhere(750) });
      expect(request).not.toHaveProperty('userIndex');
      // A repeat after the end changes nothing, and a request that is gone is said to be.
      expect(await erasePerson(opened, { account, request: 'request' })).toBe('erased');
      expect(await erasePerson(opened, { account, request: 'another' })).toBe('gone');
      expect(
        await opened.audit.entries.countDocuments({
          subject: opened.vault.pseudonymOf(account),
          action: 'person.erased',
        }),
      ).toBe(1);
    } finally {
      await dropTestStore(opened);
    }
  });
});

describe('with time to pass', () => {
  test('R9: looks again every day, and finishes by itself once the hold is gone; ends when the account is erased', async () => {
    const system = await startTimeSkippingSystem();
    try {
      const started = async (account: string) => {
        const id = randomUUID();
        await native(system.store.personRequests).insertOne({
          _id: id,
          account,
          userIndex: await indexOf(system, account, 'ann'),
          requestedBy: 'k',
          requestId: 'r',
          at: await system.now(),
          status: 'running',
          erased: {},
        });
        const input = { account, request: id };
        await system.jobs.start({
          type: personWorkflowType,
          id: personWorkflowId(region, account, id),
          input,
          summary: 'a test',
          account,
        });
        return system.client.workflow.getHandle(personWorkflowId(region, account, id));
      };
      const [held, closed] = [await system.createAccount(), await system.createAccount()];
      await store(system, held, 'ann', 2);
      await store(system, closed, 'ann', 2);
      const { hold } = await system.send(held, 'placeHold', { reason: 'a case' });
      await system.send(closed, 'placeHold', { reason: 'a case' });
      const [first, second] = [await started(held), await started(closed)];
      await system.sleep(40 * day);
      expect(await recordCounts(system, held)).toEqual(everywhere(2));
      expect((await first.describe()).status.name).toBe('RUNNING');
      await system.send(held, 'releaseHold', { holdId: hold?.id });
      await native(system.store.personRequests).deleteMany({ account: closed });
      await system.sleep(2 * day);
      expect(await recordCounts(system, held)).toEqual(everywhere(0));
      expect(await first.result()).toEqual({ outcome: 'erased' });
      expect(await second.result()).toEqual({ outcome: 'gone' });
      // The waiting left one entry, not one a day.
      expect((await system.actions(held)).filter((action) => action === 'person.erasure-held')).toHaveLength(1);
    } finally {
      await system.stop();
    }
  });
});

describe('in processes that die', () => {
  test('a worker killed in the middle loses nothing and counts nothing twice', async () => {
    const system = await startProcesses();
    try {
      const account = 'acme';
      const profile = { id: account, name: 'A', email: 'a@example.org', plan: 'standard' };
      expect((await system.ask('POST', '/v1/accounts', profile)).status).toBe(201);
      const each = 6000;
      const vault = await system.vault();
      for (const category of categories) {
        const records = Array.from({ length: each }, (_, index) => ({
          callId: String(index),
          at: new Date(Date.now() - 40 * day + index * 500_000),
          user: index % 2 === 0 ? 'ann' : 'bob',
        }));
        const documents = await recordsOf({ vault }, category, account, records);
        await system.database().collection<{ _id: string }>(category).insertMany(documents);
      }
      const asked = await system.ask<{ id: string }>('DELETE', `/v1/accounts/${account}/records?user=ann`);
      expect(asked.status).toBe(202);
      const path = `/v1/accounts/${account}/records/erasures/${asked.body.id}`;
      const look = () => system.ask<{ status: string; erased: Record<string, number> }>('GET', path);
      await eventually('it has begun', async () =>
        Object.keys((await look()).body.erased).length > 0 ? true : undefined,
      );
      await system.kill('worker');
      await system.start('worker');
      await eventually('it is done', async () => ((await look()).body.status === 'erased' ? true : undefined));
      expect((await look()).body.erased).toEqual(everywhere(each / 2));
      const cipher = await vault.cipherOf(account);
      for (const category of categories) {
        const left = system.database().collection(category);
        expect(await left.countDocuments({ account, userIndex: userIndexOf(cipher, 'ann') })).toBe(0);
        expect(await left.countDocuments({ account, userIndex: userIndexOf(cipher, 'bob') })).toBe(each / 2);
      }
    } finally {
      await system.stop();
    }
  }, 180_000);
});
