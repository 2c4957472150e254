/** R19: what few may do is on record before it is done: using an administrator's key, and reading what others may not see. */
import { startApi, type Api } from './helpers/api';

const tenMinutes = 600_000;
let api: Api;
let now = Date.now();
let writable = true;

beforeAll(async () => {
  api = await startApi({
    dependencies: (given) => ({
      ...given,
      trustedProxies: ['127.0.0.1'],
      clock: () => new Date(now),
      store: {
        ...given.store,
        transaction: (work) =>
          writable ? given.store.transaction(work) : Promise.reject(new Error('it cannot write')),
      },
    }),
  });
}, 120_000);
afterAll(() => api.stop());
beforeEach(() => {
  // What was put on record by the test before is long past.
  now += tenMinutes;
});

async function used(): Promise<unknown[][]> {
  const { audit } = api.system.store;
  const found = await audit.entries.find({ action: { $in: ['key.used', 'keys.read', 'audit.read'] } }).lean();
  const entries = await audit.reveal(found.sort((a, b) => a.at.getTime() - b.at.getTime()));
  return entries.map(({ action, actor }) => [action, actor.id, actor.address]);
}

/** The uses that were put on record meanwhile. */
async function usedBy(work: () => Promise<unknown>): Promise<unknown[][]> {
  const before = (await used()).length;
  await work();
  return (await used()).slice(before);
}

test('R19: an administrator’s key leaves an entry for each address in ten minutes, the first one included', async () => {
  const made = await api.ask('POST', '/v1/api-keys', { body: { role: 'admin' } });
  const [id, key] = [String(made.body['id']), String(made.body['key'])];
  now += tenMinutes;
  const ask = (address: string, asked?: string) =>
    api.ask('GET', '/v1/settings/policy', {
      headers: { 'x-forwarded-for': address },
      ...(asked === undefined ? {} : { key: asked }),
    });
  const uses = await usedBy(async () => {
    await Promise.all(Array.from({ length: 5 }, () => ask('192.0.2.1')));
    await ask('192.0.2.2');
    await ask('192.0.2.1', key);
    now += tenMinutes - 1;
    await ask('192.0.2.1');
    now += 1;
    await ask('192.0.2.1');
  });
  expect(uses).toEqual([
    ['key.used', 'bootstrap', '192.0.2.1'],
    ['key.used', 'bootstrap', '192.0.2.2'],
    ['key.used', id, '192.0.2.1'],
    ['key.used', 'bootstrap', '192.0.2.1'],
  ]);
});

test('R19: other keys leave none, but for reading the log and the list of keys', async () => {
  const [auditor, gateway] = [await api.keyFor('auditor'), await api.keyFor('gateway')];
  now += tenMinutes;
  const uses = await usedBy(async () => {
    await api.ask('GET', '/v1/settings/policy', { key: auditor });
    await api.ask('GET', '/v1/accounts/acct-1/access', { key: gateway });
    for (let page = 0; page < 3; page += 1) {
      await api.ask('GET', `/v1/audit?limit=${page + 1}`, { key: auditor });
      await api.ask('GET', '/v1/api-keys', { key: auditor });
    }
  });
  expect(uses.map(([action]) => action)).toEqual(['audit.read', 'keys.read']);
});

test('R19: what cannot be put on record is not shown', async () => {
  const auditor = await api.keyFor('auditor');
  now += tenMinutes;
  writable = false;
  const refused = await Promise.all([
    api.ask('GET', '/v1/audit', { key: auditor }),
    api.ask('GET', '/v1/api-keys', { key: auditor }),
    api.ask('GET', '/v1/settings/policy'),
  ]).finally(() => (writable = true));
  for (const { status, body } of refused) expect([status >= 500, 'items' in body]).toEqual([true, false]);
  expect(await api.ask('GET', '/v1/audit', { key: auditor })).toMatchObject({ status: 200 });
});
