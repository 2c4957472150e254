/** Correcting, downgrading and adopting accounts over HTTP. */
import { reveal } from '../src/data';
import { startApi, type Answered, type Api } from './helpers/api';
import { eventually } from './helpers/eventually';
import { randomAccountId } from './helpers/system';

let api: Api;

beforeAll(async () => {
  api = await startApi();
}, 120_000);
afterAll(() => api.stop());

const day = 86_400_000;
const profile = { name: 'Miriam & Söhne', email: 'office@example.org', plan: 'standard' };

async function created(more: Record<string, unknown> = {}): Promise<string> {
  const answer = await api.ask('POST', '/v1/accounts', { body: { id: randomAccountId(), ...profile, ...more } });
  expect(answer.status).toBe(201);
  return String(answer.body['id']);
}

describe('a correction under a hold', () => {
  const correct = (id: string, body: unknown) => api.ask('PATCH', `/v1/accounts/${id}`, { body });
  const hold = async (id: string, body: Record<string, unknown> = {}) => {
    const answer = await api.ask('POST', `/v1/accounts/${id}/holds`, { body: { reason: 'a case', ...body } });
    expect(answer.status).toBe(201);
    return String(answer.body['id']);
  };
  const release = (id: string, holdId: string) => api.ask('DELETE', `/v1/accounts/${id}/holds/${holdId}`);
  const opened = async (id: string) =>
    reveal(await api.system.store.vault.cipherOf(id), 'accounts', await api.system.account(id));
  const formerlyOf = async (id: string) => (await opened(id)).formerly;

  it('R9: keeps what it replaced for as long as the whole account is held, and not a step longer', async () => {
    const id = await created();
    const [first, second] = [await hold(id), await hold(id)];
    expect(await correct(id, { name: 'Second Name', locale: 'de' })).toMatchObject({ status: 200 });
    expect(await correct(id, { name: 'Third Name', email: 'other@example.org' })).toMatchObject({ status: 200 });
    expect(await correct(id, { plan: 'enterprise' })).toMatchObject({ status: 200 });
    const kept = [{ name: profile.name }, { name: 'Second Name', email: profile.email }];
    expect(await formerlyOf(id)).toMatchObject(kept);
    await release(id, first);
    expect(await formerlyOf(id)).toMatchObject(kept);
    await release(id, second);
    expect(await formerlyOf(id)).toBeUndefined();
    expect(await opened(id)).toMatchObject({ name: 'Third Name', email: 'other@example.org' });
  });

  it('R9: keeps nothing where no hold, or only one on chosen data sets, stands', async () => {
    const id = await created();
    await correct(id, { name: 'Second Name' });
    await hold(id, { datasets: ['prompts'] });
    await correct(id, { name: 'Third Name' });
    expect(await formerlyOf(id)).toBeUndefined();
  });

  it('R9: forgets it when a hold that ends by itself has ended, and under one on chosen sets alone', async () => {
    const id = await created();
    await hold(id, { until: new Date(Date.now() + 1500).toISOString() });
    await hold(id, { datasets: ['prompts'] });
    await correct(id, { name: 'Second Name' });
    expect(await formerlyOf(id)).toHaveLength(1);
    await eventually('the hold ends', async () => ((await formerlyOf(id)) === undefined ? true : undefined));
  });

  it('shows it to those who see holds, and to nobody else; the log names fields only', async () => {
    const id = await created();
    const keys = await Promise.all(
      (['legal', 'auditor', 'operator', 'customer'] as const).map(
        async (role) => [role, await api.keyFor(role, role === 'customer' ? id : undefined)] as const,
      ),
    );
    await hold(id);
    await correct(id, { email: 'other@example.org' });
    const seen = await Promise.all(
      keys.map(async ([role, key]) => [role, 'formerly' in (await api.ask('GET', `/v1/accounts/${id}`, { key })).body]),
    );
    expect(Object.fromEntries(seen)).toEqual({ legal: true, auditor: true, operator: false, customer: false });
    const { text } = await api.ask('GET', `/v1/accounts/${id}/timeline`);
    expect(text).toContain('account.updated');
    expect(text).not.toContain('example.org');
  });
});

describe('leaving the plan', () => {
  it('R11: keeps the value, in force and unchangeable, until the account is back on the plan', async () => {
    const id = await created({ plan: 'enterprise', policy: { activeRetentionDays: 30 } });
    const customer = await api.keyFor('customer', id);
    expect(await api.ask('PATCH', `/v1/accounts/${id}`, { body: { plan: 'standard' } })).toMatchObject({
      status: 200,
      body: { plan: 'standard', policy: { activeRetentionDays: { value: 30, origin: 'account' } } },
    });
    const change = (body: unknown, key?: string) =>
      api.ask('PATCH', `/v1/accounts/${id}/policy`, { body, ...(key === undefined ? {} : { key }) });
    for (const days of [10, 60, 0, null]) {
      for (const key of [undefined, customer]) {
        expect(await change({ activeRetentionDays: days }, key)).toMatchObject({
          status: 409,
          body: { code: 'conflict' },
        });
      }
    }
    expect(await change({ gracePeriod: 'P20D' })).toMatchObject({
      status: 200,
      body: { gracePeriod: { value: 'P20D' }, activeRetentionDays: { value: 30, origin: 'account' } },
    });
    await api.ask('PATCH', `/v1/accounts/${id}`, { body: { plan: 'enterprise' } });
    expect(await change({ activeRetentionDays: 60 }, customer)).toMatchObject({
      status: 200,
      body: { activeRetentionDays: { value: 60, origin: 'account' } },
    });
  });
});

describe('adopting an account', () => {
  const adopt = (more: Record<string, unknown>, key?: string): Promise<Answered> =>
    api.ask('POST', '/v1/accounts', {
      body: { id: randomAccountId(), ...profile, ...more },
      ...(key === undefined ? {} : { key }),
    });
  const ago = (days: number) => new Date(Date.now() - days * day).toISOString();
  const after = (instant: string, days: number) => new Date(Date.parse(instant) + days * day).toISOString();

  it('R3, R2: counts each state from when it began', async () => {
    const since = ago(3);
    expect(await adopt({ state: 'active', since })).toMatchObject({ status: 201, body: { state: 'active', since } });
    expect(await adopt({ state: 'suspended', since })).toMatchObject({
      status: 201,
      body: { state: 'suspended', since, deadline: { action: 'close', at: after(since, 14) } },
    });
    expect(await adopt({ state: 'expired', since })).toMatchObject({
      status: 201,
      body: { state: 'expired', since, deadline: { action: 'erase', at: after(since, 30) } },
    });
  });

  it('begins now where no beginning is named', async () => {
    for (const state of ['suspended', 'expired']) {
      const before = Date.now();
      const { body } = await adopt({ state });
      expect(Date.parse(String(body['since']))).toBeGreaterThanOrEqual(before - 1000);
      expect(Date.parse(String(body['since']))).toBeLessThanOrEqual(Date.now() + 1000);
    }
  });

  it('understands a beginning with an offset', async () => {
    const since = ago(1);
    const local = `${new Date(Date.parse(since) + 2 * 3_600_000).toISOString().slice(0, -1)}+02:00`;
    expect(await adopt({ state: 'suspended', since: local })).toMatchObject({ status: 201, body: { since } });
  });

  it('R5: closes an account suspended ten years ago, and its expiry period begins only then', async () => {
    const { status, body } = await adopt({ state: 'suspended', since: ago(3650) });
    expect(status).toBe(201);
    const id = String(body['id']);
    const account = await eventually('it is closed', async () => {
      const found = await api.system.account(id);
      return found.state === 'expired' ? found : undefined;
    });
    expect(Date.now() - account.since.getTime()).toBeLessThan(day);
    expect(account.deadline?.at.getTime()).toBe(account.since.getTime() + 30 * day);
  });

  it('R7: erases an account closed ten years ago after the notice, not on the spot', async () => {
    const before = Date.now();
    const { status, body } = await adopt({ state: 'expired', since: ago(3650) });
    expect(status).toBe(201);
    const { at } = body['deadline'] as { at: string };
    expect(Date.parse(at)).toBeGreaterThanOrEqual(before + 7 * day - 1000);
    expect(Date.parse(at)).toBeLessThanOrEqual(Date.now() + 7 * day + 1000);
  });

  it.each([
    ['a beginning in the future', { state: 'suspended', since: '2099-01-01T00:00:00Z' }, 'since'],
    ['a day without a time', { state: 'suspended', since: '2026-01-01' }, 'since'],
    ['a time without a zone', { state: 'suspended', since: '2026-01-01T00:00:00' }, 'since'],
    ['a number', { state: 'suspended', since: 1 }, 'since'],
    ['a state nobody begins in', { state: 'erased' }, 'state'],
  ])('refuses %s, and creates nothing', async (_name, more, path) => {
    const id = randomAccountId();
    expect(await adopt({ id, ...more })).toMatchObject({
      status: 400,
      body: { code: 'validation', errors: [{ path }] },
    });
    expect(await api.ask('GET', `/v1/accounts/${id}`)).toMatchObject({ status: 404 });
  });

  it('is an administrator’s', async () => {
    for (const role of ['operator', 'auditor', 'legal', 'gateway'] as const) {
      const key = await api.keyFor(role);
      expect(await adopt({ state: 'suspended' }, key)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
      expect(await adopt({ since: ago(1) }, key)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    }
  });
});
