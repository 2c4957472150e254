/** What happens when parts of the system die: nothing acknowledged is lost, and nothing is half-done. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { liteLlmCall } from '../scripts/support/traffic';
import { eventually } from './helpers/eventually';
import { startProcesses, type ProcessSystem } from './helpers/processes';

interface Account {
  readonly id: string;
  readonly state: string;
  readonly erasing?: { readonly done: number; readonly total: number };
}
interface Problem {
  readonly code: string;
}
interface Entry {
  readonly action: string;
}

let system: ProcessSystem;

beforeAll(async () => {
  system = await startProcesses({ ABLAUF_GRACE_PERIOD: 'P14D' });
}, 120_000);

afterAll(() => system.stop(), 60_000);

async function createAccount(): Promise<string> {
  const { status, body } = await system.ask<Account>('POST', '/v1/accounts', {
    name: 'Faulty Ltd',
    email: 'faulty@example.org',
    plan: 'standard',
  });
  expect(status).toBe(201);
  return body.id;
}

/** How far the erasure is, as the database has it. */
async function erased(account: string): Promise<number> {
  const found = await system
    .database()
    .collection<{ _id: string; erasing?: { done: number } }>('accounts')
    .findOne({ _id: account });
  return found?.erasing?.done ?? 0;
}

const categories = ['prompts', 'completions', 'logs', 'usage'] as const;

async function fill(account: string, calls: number): Promise<void> {
  for (const category of categories) {
    for (let start = 0; start < calls; start += 5000) {
      const documents = Array.from({ length: Math.min(5000, calls - start) }, (_, index) => ({
        _id: `${account}:call-${start + index}`,
        account,
        callId: `call-${start + index}`,
        at: new Date(Date.now() - (start + index) * 1000),
        body: '{"filler":true}',
      }));
      await system.database().collection<{ _id: string }>(category).insertMany(documents, { ordered: false });
    }
  }
}

async function countAll(account: string): Promise<number> {
  let found = 0;
  for (const category of categories) found += await system.database().collection(category).countDocuments({ account });
  return found;
}

describe('R6: an erasure goes on', () => {
  test('after kill -9 of the worker, the API and MongoDB in its middle, and completes; nothing acknowledged is lost', async () => {
    const account = await createAccount();
    const bystander = await createAccount();
    const calls = Array.from({ length: 50 }, () => liteLlmCall({ account: bystander }));
    expect((await system.ask<{ accepted: number }>('POST', '/v1/ingest/litellm', calls)).body.accepted).toBe(50);
    await fill(account, 40_000);
    expect((await system.ask('POST', `/v1/accounts/${account}/close`, {})).status).toBe(200);

    const first = await eventually('the erasure begins', async () => (await erased(account)) || undefined);
    await system.kill('worker');
    expect((await system.ask<Account>('GET', `/v1/accounts/${account}`)).body.state).toBe('expired');
    await system.start('worker');

    await eventually('the erasure goes on', async () => ((await erased(account)) > first ? true : undefined));
    await system.kill('api');
    await system.start('api');
    const idempotencyKey = randomUUID();
    const suspended = await eventually('the bystander is suspended', async () => {
      const path = `/v1/accounts/${bystander}/suspend`;
      const answer = await system.ask<Account>('POST', path, { reason: 'other' }, { idempotencyKey });
      return answer.status === 504 ? undefined : answer;
    });
    expect(suspended.status).toBe(200);

    await system.kill('mongodb');
    await system.start('mongodb');
    await eventually('the account is erased', async () => {
      const { body } = await system.ask<Account>('GET', `/v1/accounts/${account}`);
      return body.state === 'erased' ? true : undefined;
    });

    expect(await countAll(account)).toBe(0);
    expect(await countAll(bystander)).toBe(200);
    expect((await system.ask<Account>('GET', `/v1/accounts/${bystander}`)).body.state).toBe('suspended');
    const timeline = await system.ask<{ items: Entry[] }>('GET', `/v1/accounts/${account}/timeline`);
    const entries = timeline.body.items.filter(({ action }) => action !== 'key.destroyed');
    expect(entries.map((entry) => entry.action)).toEqual([
      'account.created',
      'account.expired',
      'account.erasure-started',
      'account.erased',
    ]);
    const last = entries.at(-1) as unknown as { details: { erased: Record<string, number> } };
    expect(Object.values(last.details.erased).reduce((sum, n) => sum + n, 0)).toBe(160_000);
  }, 240_000);
});

describe('when a part is away', () => {
  test('Temporal: commands are unavailable in time, reads go on, and it recovers without a restart', async () => {
    const account = await createAccount();
    await system.kill('temporal');
    const result = await system.ask<Problem>('POST', `/v1/accounts/${account}/suspend`, { reason: 'non_payment' });
    expect(result).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect((await system.ask<Account>('GET', `/v1/accounts/${account}`)).body.state).toBe('active');
    expect((await system.ask('GET', '/readyz')).status).toBe(503);
    await system.start('temporal');
    await eventually('commands work again', async () => {
      const { status } = await system.ask('POST', `/v1/accounts/${account}/suspend`, { reason: 'non_payment' });
      return status === 200 ? true : undefined;
    });
    expect((await timeline(account)).filter((action) => action === 'account.suspended')).toHaveLength(1);
  }, 120_000);

  test('MongoDB: everything is unavailable in time, nothing happens, and it recovers without a restart', async () => {
    const account = await createAccount();
    await system.kill('mongodb');
    for (const [method, path, body] of [
      ['GET', `/v1/accounts/${account}`, undefined],
      ['GET', `/v1/accounts/${account}/access`, undefined],
      ['POST', `/v1/accounts/${account}/suspend`, { reason: 'other' }],
      ['POST', '/v1/ingest/litellm', liteLlmCall({ account })],
    ] as const) {
      const result = await system.ask<Problem>(method, path, body);
      expect([path, result.status, result.body.code]).toEqual([path, 503, 'unavailable']);
    }
    await system.start('mongodb');
    await eventually('reads work again', async () =>
      (await system.ask('GET', `/v1/accounts/${account}`)).status === 200 ? true : undefined,
    );
    expect(await timeline(account)).toEqual(['account.created']);
  }, 120_000);

  test('the worker: a command has an unknown outcome, happens once the worker is back, and its repeat changes nothing', async () => {
    const account = await createAccount();
    await system.kill('worker');
    const idempotencyKey = randomUUID();
    const suspend = () =>
      system.ask<Problem & Account>('POST', `/v1/accounts/${account}/suspend`, { reason: 'other' }, { idempotencyKey });
    const result = await suspend();
    expect(result).toMatchObject({ status: 504, body: { code: 'outcome-unknown' } });

    const newcomer = { id: `new-${randomUUID()}`, name: 'New', email: 'new@example.org', plan: 'standard' };
    const creationKey = randomUUID();
    const create = () =>
      system.ask<Problem & Account>('POST', '/v1/accounts', newcomer, { idempotencyKey: creationKey });
    expect((await create()).body.code).toBe('outcome-unknown');
    expect((await system.ask('GET', `/v1/accounts/${newcomer.id}`)).status).toBe(404);

    await system.start('worker');
    const repeated = await eventually('the repeat is answered', async () => {
      const answer = await suspend();
      return answer.status === 504 ? undefined : answer;
    });
    expect(repeated).toMatchObject({ status: 200, body: { state: 'suspended' } });
    expect(await timeline(account)).toEqual(['account.created', 'account.suspended']);
    const created = await eventually('the repeated creation is answered', async () => {
      const answer = await create();
      return answer.status === 504 ? undefined : answer;
    });
    expect(created).toMatchObject({ status: 201, body: { id: newcomer.id, state: 'active' } });
    expect(await timeline(newcomer.id)).toEqual(['account.created']);
  }, 120_000);

  test('the API, between an account’s draft and its workflow: the account is in neither, and its id is free', async () => {
    const id = `left-${randomUUID()}`;
    await system
      .database()
      .collection<{ _id: string }>('accountDrafts')
      .insertOne({
        _id: randomUUID(),
        account: id,
        name: 'Left behind',
        email: 'left@example.org',
        plan: 'standard',
        locale: 'en',
        createdAt: new Date(),
      } as { _id: string });
    expect((await system.ask('GET', `/v1/accounts/${id}`)).status).toBe(404);
    const { status } = await system.ask('POST', '/v1/accounts', {
      id,
      name: 'Second',
      email: 's@example.org',
      plan: 'standard',
    });
    expect(status).toBe(201);
    expect(await system.database().collection('accountDrafts').countDocuments({ account: id })).toBe(0);
  });
});

async function timeline(account: string): Promise<string[]> {
  const { body } = await system.ask<{ items: Entry[] }>('GET', `/v1/accounts/${account}/timeline`);
  return body.items.map((entry) => entry.action);
}
