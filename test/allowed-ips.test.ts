/** R27: lists of allowed addresses, of the deployment and of accounts: what they take, what they refuse, and whom they keep out. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { registerAddressLists } from '../src/access';
import { native } from '../src/database';
import { startApi, type Api, type Asked } from './helpers/api';
import { ablauf } from './helpers/command';
import { complete } from './helpers/configuration';
import { eventually } from './helpers/eventually';
import { masterKey, required, vaultUriBeside } from './helpers/system';

let api: Api;
let account: string;
let customer: string;
let operator: string;
let gateway: string;

const everywhere = '/v1/settings/allowed-ips';
const home = '203.0.113.9';
const abroad = '198.51.100.1';

beforeAll(async () => {
  api = await startApi({
    settings: { expiryPeriod: 'PT1S', minPeriod: 'PT1S', notice: 'PT0S' },
    dependencies: (given) => ({ ...given, trustedProxies: ['127.0.0.1'] }),
  });
  account = await api.system.createAccount();
  customer = await api.keyFor('customer', account);
  operator = await api.keyFor('operator');
  gateway = await api.keyFor('gateway');
}, 120_000);
afterAll(() => api.stop());

/** As somebody who comes from an address, through the proxy in front. */
function from(address: string, asked: Asked = {}): Asked {
  return { ...asked, headers: { ...asked.headers, 'x-forwarded-for': address } };
}
const own = () => `/v1/accounts/${account}/allowed-ips`;
const put = (path: string, entries: unknown, asked: Asked = from(home)) =>
  api.ask('PUT', path, { ...asked, body: { entries } });
const reach = (address: string, key?: string | null, path = '/v1/accounts') =>
  api.ask('GET', path, from(address, key === undefined ? {} : { key }));

/** Until somebody who asks from an address is answered so. */
const answered = (status: number, address: string, key?: string) =>
  eventually(`${address} is answered ${status}`, async () => {
    const found = await reach(address, key);
    return found.status === status ? found : undefined;
  });

afterEach(async () => {
  for (const path of [everywhere, own()]) {
    const emptied = await put(path, [], from(home));
    expect([path, emptied.status]).toEqual([path, 200]);
  }
});

describe('R27: a list', () => {
  test('is empty at first, and answers what it was given, written the one way there is', async () => {
    for (const path of [everywhere, own()]) {
      expect((await api.ask('GET', path, from(home))).body).toEqual({ entries: [] });
      const given = [
        { cidr: ' 203.0.113.9 ', note: 'the office' },
        { cidr: '2001:DB8::/32', for: ['gateway'] },
        { cidr: '::ffff:192.0.2.0/120', for: ['instance', 'gateway'] },
        { cidr: '203.0.113.9/32' },
        { cidr: '2001:db8::/32', for: ['gateway'], note: 'our cloud' },
      ];
      const kept = await put(path, given);
      expect(kept).toMatchObject({
        status: 200,
        body: {
          entries: [
            { cidr: home, note: 'the office' },
            { cidr: '2001:db8::/32', note: 'our cloud', for: ['gateway'] },
            { cidr: '192.0.2.0/24' },
          ],
        },
      });
      const read = await api.ask('GET', path, from(home));
      expect([read.body, read.headers.get('etag')]).toEqual([kept.body, kept.headers.get('etag')]);
    }
  });

  test('refuses what is no network by name, and changes nothing', async () => {
    for (const [entry, detail] of [
      [{ cidr: '203.0.113.9/24' }, 'the network is 203.0.113.0/24'],
      [{ cidr: 'example.org' }, 'names are not looked up'],
      [{ cidr: '010.1.1.1' }, 'leading zeros'],
      [{ cidr: home, for: [] }, ''],
      [{ cidr: home, for: ['everything'] }, ''],
      [{ cidr: home, note: 'a\nb' }, 'control characters'],
      [{ cidr: home, $gt: '' }, ''],
      [{}, ''],
      [home, ''],
    ] as const) {
      const refused = await put(everywhere, [{ cidr: home }, entry]);
      expect(refused).toMatchObject({ status: 400, body: { code: 'validation' } });
      expect(refused.text).toContain('entries.1');
      expect(refused.text).toContain(detail);
    }
    const many = Array.from({ length: 1001 }, (_none, n) => ({ cidr: `10.0.${n >> 8}.${n & 255}` }));
    expect(await put(everywhere, many)).toMatchObject({ status: 400 });
    expect((await api.ask('GET', everywhere)).body).toEqual({ entries: [] });
  });

  test('takes a thousand entries with long notes, and goes by all of them', async () => {
    const note = 'n'.repeat(200);
    const many = Array.from({ length: 999 }, (_none, n) => ({ cidr: `10.0.${n >> 8}.${n & 255}`, note }));
    expect((await put(everywhere, [...many, { cidr: home }])).status).toBe(200);
    expect((await reach('10.0.3.230')).status).toBe(200);
    expect((await reach('10.0.3.231')).status).toBe(403);
  });

  test('is replaced only by who has seen it, and once for one Idempotency-Key', async () => {
    const key = { 'idempotency-key': 'once' };
    const first = await put(everywhere, [{ cidr: home }], from(home, { headers: key }));
    const again = await put(everywhere, [{ cidr: home }], from(home, { headers: key }));
    expect([again.body, again.headers.get('idempotency-replayed')]).toEqual([first.body, 'true']);
    const stale = await put(everywhere, [], from(home, { headers: { 'if-match': '"0"' } }));
    expect(stale).toMatchObject({ status: 412, body: { code: 'precondition-failed' } });
    const seen = { 'if-match': first.headers.get('etag') ?? '' };
    expect((await put(everywhere, [{ cidr: home, note: 'n' }], from(home, { headers: seen }))).status).toBe(200);
  });

  test('is stored encrypted, goes on record with what it was before, and that is personal', async () => {
    await put(own(), [{ cidr: home, note: 'the office' }], from(home, { key: customer }));
    await put(everywhere, [{ cidr: `${home}/32`, note: 'everybody' }]);
    const lists = await native(registerAddressLists(api.system.store.connection)).find().toArray();
    expect(lists).toHaveLength(2);
    const entries = await api.system.store.audit.entries.find({ action: 'addresses.changed' }).lean().exec();
    for (const text of [JSON.stringify(lists), JSON.stringify(entries)]) {
      expect(text).not.toContain(home);
      expect(text).not.toContain('office');
      expect(text).not.toContain('everybody');
    }
    const shown = (await api.ask('GET', '/v1/audit?action=addresses.changed&limit=1000', from(home))).body['items'];
    expect(shown).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          account,
          details: { before: { entries: [] }, after: { entries: [{ cidr: home, note: 'the office' }] } },
          actor: expect.objectContaining({ address: home }) as unknown,
        }),
        expect.objectContaining({
          details: { before: { entries: [] }, after: { entries: [{ cidr: home, note: 'everybody' }] } },
        }),
      ]),
    );
  });

  test("an account that is not there, or is another customer's, has none", async () => {
    const other = await api.system.createAccount();
    for (const id of [other, 'nobody']) {
      const path = `/v1/accounts/${id}/allowed-ips`;
      expect((await api.ask('GET', path, { key: customer })).status).toBe(404);
      expect((await put(path, [{ cidr: home }], from(home, { key: customer }))).status).toBe(404);
    }
    expect((await api.ask('GET', '/v1/accounts/nobody/allowed-ips')).status).toBe(404);
  });
});

describe("R27: the deployment's list keeps out who comes from elsewhere", () => {
  test('whatever they show, before it is looked at; what anybody may ask stays public', async () => {
    expect((await put(everywhere, [{ cidr: home }])).status).toBe(200);
    for (const key of [undefined, gateway, customer, null, 'ablauf_nonsense']) {
      const refused = await reach(abroad, key);
      expect(refused).toMatchObject({ status: 403, body: { code: 'ip-not-allowed' } });
      expect(refused.text).not.toContain(home);
    }
    expect((await reach(abroad, undefined, '/codec/decode')).status).toBe(405);
    expect(await api.ask('POST', '/codec/decode', from(abroad, { body: { payloads: [] } }))).toMatchObject({
      status: 403,
    });
    for (const path of ['/healthz', '/readyz', '/v1/keys/public', '/.well-known/security.txt', '/v1/certificates/x'])
      expect([path, (await reach(abroad, null, path)).status]).not.toEqual([path, 403]);
    expect((await reach(home)).status).toBe(200);
    expect((await reach(`::ffff:${home}`)).status).toBe(200);
    expect((await reach(home, null)).status).toBe(401);
    expect((await reach('garbage')).status).toBe(403);
  });

  test('but not where its entries are for the gateway', async () => {
    await put(everywhere, [{ cidr: home, for: ['gateway'] }]);
    expect((await reach(abroad)).status).toBe(200);
  });
});

describe("R27: an account's list", () => {
  test("keeps out its customer's keys, and nobody else's", async () => {
    await put(own(), [{ cidr: home }], from(home, { key: customer }));
    const path = `/v1/accounts/${account}`;
    expect(await reach(abroad, customer, path)).toMatchObject({ status: 403, body: { code: 'ip-not-allowed' } });
    expect((await reach(home, customer, path)).status).toBe(200);
    expect((await reach(abroad, operator, path)).status).toBe(200);
    const neighbour = await api.keyFor('customer', await api.system.createAccount());
    expect((await reach(abroad, neighbour)).status).toBe(200);
  });
});

describe('R27: the gateway is told whom to serve', () => {
  const ask = async (ip?: string, id = account) =>
    (await api.ask('GET', `/v1/accounts/${id}/access${ip === undefined ? '' : `?ip=${ip}`}`, { key: gateway })).body;

  test('by the list of the deployment and by that of the account, from the moment they are acknowledged', async () => {
    expect(await ask(abroad)).toMatchObject({ allowed: true });
    await put(own(), [{ cidr: '203.0.113.0/24', for: ['gateway'] }, { cidr: '2001:db8::/32' }]);
    expect(await ask(abroad)).toEqual({ account, allowed: false, state: 'active', code: 'ip-not-allowed' });
    expect(await ask(home)).toEqual({ account, allowed: true, state: 'active' });
    expect(await ask(`::ffff:${home}`)).toMatchObject({ allowed: true });
    expect(await ask('2001:db8::77')).toMatchObject({ allowed: true });
    await put(everywhere, [{ cidr: '203.0.113.128/25', for: ['gateway'] }]);
    expect(await ask(home)).toMatchObject({ allowed: false, code: 'ip-not-allowed' });
    expect(await ask('203.0.113.200')).toMatchObject({ allowed: true });
    expect(await ask()).toMatchObject({ allowed: true });
    const wrong = await api.ask('GET', `/v1/accounts/${account}/access?ip=nonsense`, { key: gateway });
    expect(wrong.status).toBe(400);
  });

  test('a list for the instance alone does not restrict it', async () => {
    await put(own(), [{ cidr: home, for: ['instance'] }]);
    expect(await ask(abroad)).toMatchObject({ allowed: true });
  });

  test('a suspended account is said to be that, wherever the question comes from', async () => {
    const id = await api.system.createAccount();
    await put(`/v1/accounts/${id}/allowed-ips`, [{ cidr: home }]);
    await api.ask('POST', `/v1/accounts/${id}/suspend`, { body: { reason: 'non_payment' } });
    expect(await ask(abroad, id)).toMatchObject({ allowed: false, code: 'account-suspended', state: 'suspended' });
  });
});

describe('R27: nobody locks themselves out', () => {
  test('neither who changes the list of the deployment, whoever it is, nor a customer of its account', async () => {
    for (const asked of [
      put(everywhere, [{ cidr: abroad }]),
      put(everywhere, [
        { cidr: abroad, for: ['instance'] },
        { cidr: home, for: ['gateway'] },
      ]),
      put(own(), [{ cidr: abroad }], from(home, { key: customer })),
    ]) {
      const refused = await asked;
      expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } });
      expect(refused.body['detail']).toContain(home);
    }
    for (const path of [everywhere, own()]) expect((await api.ask('GET', path)).body).toEqual({ entries: [] });
    expect((await reach(abroad)).status).toBe(200);
  });

  test('nor who comes from where nobody can tell; lists that do not concern them are theirs to change', async () => {
    for (const nowhere of ['garbage', '1.2.3.4:80', 'unknown', '']) {
      const refused = await put(everywhere, [{ cidr: '0.0.0.0/0' }, { cidr: '::/0' }], from(`${nowhere}, garbage`));
      expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } });
    }
    expect((await put(everywhere, [{ cidr: abroad, for: ['gateway'] }])).status).toBe(200);
    expect((await put(own(), [{ cidr: abroad }], from(home, { key: operator }))).status).toBe(200);
    expect((await put(everywhere, [{ cidr: home }], from(home, { key: operator }))).status).toBe(403);
  });
});

describe('R27: the way back in, from the machine itself', () => {
  const operate = (...options: string[]) => {
    const uri = new URL(required('ABLAUF_TEST_MONGODB'));
    uri.pathname = `/${api.system.store.connection.name}`;
    const environment = {
      PATH: process.env['PATH'],
      ...complete,
      LITELLM_MASTER_KEY: masterKey,
      ABLAUF_MONGODB_URI: uri.href,
      ABLAUF_VAULT_URI: vaultUriBeside(uri.href),
      ABLAUF_VAULT_SHARED: '1',
    };
    return ablauf(environment, 'allowed-ips', ...options);
  };

  test('a list that keeps everybody out is shown and emptied, on record, and the API lets in again', async () => {
    await put(everywhere, [{ cidr: home, note: 'the office' }]);
    expect((await reach(abroad)).status).toBe(403);
    const shown = await operate('show');
    expect(shown).toMatchObject({ code: 0, err: '', out: `${home}  the office\n` });
    expect(await operate('reset')).toMatchObject({ code: 0, err: '' });
    await answered(200, abroad);
    expect((await operate('reset')).out).toContain('empty already');
    const [entry] = (await api.ask('GET', '/v1/audit?action=addresses.changed&actor=command-line')).body[
      'items'
    ] as object[];
    expect(entry).toMatchObject({
      actor: { type: 'system', id: 'command-line' },
      details: { before: { entries: [{ cidr: home, note: 'the office' }] }, after: { entries: [] } },
    });
  }, 60_000);

  test("an account's too, also one that somebody altered; an account that is none is refused", async () => {
    await put(own(), [{ cidr: home }], from(home, { key: customer }));
    const lists = native(registerAddressLists(api.system.store.connection));
    const other = await lists.findOne({ _id: '*' });
    if (other !== null) await lists.updateOne({ _id: account }, { $set: { entries: other.entries } });
    await answered(500, home, customer);
    expect(await operate('reset', '--account', account, '--json')).toMatchObject({ code: 0, out: '{"removed":1}\n' });
    await answered(200, abroad, customer);
    expect(await operate('show', '--account', account)).toMatchObject({ code: 0 });
    expect(await operate('show', '--account', 'nobody')).toMatchObject({
      code: 1,
      err: 'there is no account nobody\n',
    });
  }, 60_000);
});

test('R6: a list goes with its account', async () => {
  const { store } = api.system;
  const lists = native(registerAddressLists(store.connection));
  const id = await api.system.createAccount();
  await put(`/v1/accounts/${id}/allowed-ips`, [{ cidr: home }]);
  expect(await lists.countDocuments({ account: id })).toBe(1);
  expect((await api.ask('POST', `/v1/accounts/${id}/close`, { body: {} })).status).toBe(200);
  await eventually('the account is erased', async () =>
    (await api.ask('GET', `/v1/accounts/${id}`)).body['state'] === 'erased' ? true : undefined,
  );
  expect(await lists.countDocuments({ account: id })).toBe(0);
  expect((await put(`/v1/accounts/${id}/allowed-ips`, [])).status).toBe(410);
}, 60_000);
