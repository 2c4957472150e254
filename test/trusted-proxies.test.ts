/** R27: where a request comes from, whatever it says of itself: only declared proxies are believed. */
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createApp, type ApiDependencies } from '../src/api';
import { adminKey, listen, startApi, type Api } from './helpers/api';
import { complete, flawsIn } from './helpers/configuration';
import { readConfig } from '../src/config';

let api: Api;
let given: ApiDependencies;
const servers: Server[] = [];

beforeAll(async () => {
  api = await startApi({ dependencies: (dependencies) => (given = dependencies) });
}, 120_000);
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await api.stop();
});

/** The API with other proxies in front of it, or none. */
async function behind(trustedProxies: readonly string[], more: Partial<ApiDependencies> = {}): Promise<number> {
  const server = await listen(createServer(createApp({ ...given, ...more, trustedProxies })));
  servers.push(server);
  return (server.address() as AddressInfo).port;
}

type Headers = Readonly<Record<string, string | readonly string[]>>;

/** Sends headers just as they are, several of one name as several. */
function send(port: number, method: string, path: string, headers: Headers, body?: unknown) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = request(
      {
        port,
        method,
        path,
        host: '127.0.0.1',
        headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json', ...headers } as never,
      },
      (answer) => {
        let text = '';
        answer.on('data', (bytes) => (text += String(bytes)));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      },
    );
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The address the API sees, as it says when it refuses a list that would lock it out. */
async function seen(port: number, headers: Headers): Promise<string> {
  const body = { entries: [{ cidr: '192.0.2.255' }] };
  const { status, text } = await send(port, 'PUT', '/v1/settings/allowed-ips', headers, body);
  expect(status).toBe(409);
  return /you come from (\S+),/.exec(text)?.[1] ?? 'nobody can tell';
}

const far = '203.0.113.9';
const spoofed = '198.51.100.66';

describe('R27: without declared proxies nobody is believed', () => {
  test.each<[string, Headers]>([
    ['one address', { 'x-forwarded-for': spoofed }],
    ['a chain', { 'x-forwarded-for': `${spoofed}, 127.0.0.1` }],
    ['many headers', { 'x-forwarded-for': [spoofed, '127.0.0.1'] }],
    ['Forwarded', { forwarded: `for=${spoofed}` }],
    ['other names', { 'x-real-ip': spoofed, 'true-client-ip': spoofed, 'cf-connecting-ip': spoofed }],
  ])('%s', async (_what, headers) => {
    expect(await seen(await behind([]), headers)).toBe('127.0.0.1');
  });
});

describe('R27: behind declared proxies', () => {
  let port: number;
  beforeAll(async () => {
    port = await behind(['127.0.0.1', '10.0.0.0/8', '2001:db8:ffff::/48']);
  });

  test.each<[string, Headers, string]>([
    ['what the nearest one saw counts', { 'x-forwarded-for': far }, far],
    ['what its client wrote before does not', { 'x-forwarded-for': `${spoofed}, ${far}` }, far],
    ['nor that it came through proxies of ours', { 'x-forwarded-for': `${spoofed}, 10.1.1.1, ${far}` }, far],
    ['several of ours are walked through', { 'x-forwarded-for': `${spoofed}, ${far}, 10.1.1.1, 10.2.2.2` }, far],
    ['also where they came over IPv6', { 'x-forwarded-for': `${far}, 2001:db8:ffff::1` }, far],
    ['many headers are one chain', { 'x-forwarded-for': [spoofed, far, '10.1.1.1'] }, far],
    ['a mapped address is IPv4', { 'x-forwarded-for': `::ffff:${far}` }, far],
    ['a mapped proxy is a proxy', { 'x-forwarded-for': `${far}, ::ffff:10.1.1.1` }, far],
    ['IPv6 is written its one way', { 'x-forwarded-for': '2001:DB8:0:0::1' }, '2001:db8::1'],
    ['Forwarded is not read', { forwarded: `for=${spoofed}` }, '127.0.0.1'],
    ['nor is it beside the other', { forwarded: `for=${spoofed}`, 'x-forwarded-for': far }, far],
    ['garbage is nobody', { 'x-forwarded-for': 'garbage' }, 'nobody can tell'],
    ['garbage nearest to us hides nobody', { 'x-forwarded-for': `${far}, garbage` }, 'nobody can tell'],
    ['garbage before does not matter', { 'x-forwarded-for': `garbage, ${far}` }, far],
    ['a port makes it garbage', { 'x-forwarded-for': `${far}:4711` }, 'nobody can tell'],
    ['so do brackets', { 'x-forwarded-for': '[2001:db8::1]' }, 'nobody can tell'],
    ['so does a zone', { 'x-forwarded-for': 'fe80::1%eth0' }, 'nobody can tell'],
    ['so do leading zeros', { 'x-forwarded-for': '010.1.1.1' }, 'nobody can tell'],
    ['so does a number', { 'x-forwarded-for': '2130706433' }, 'nobody can tell'],
    ['so does a name', { 'x-forwarded-for': 'localhost' }, 'nobody can tell'],
    ['a very long chain is walked through', { 'x-forwarded-for': `${far}${', 10.1.1.1'.repeat(900)}` }, far],
    ['a chain of nothing but ours ends at its beginning', { 'x-forwarded-for': '10.1.1.1, 10.2.2.2' }, '10.1.1.1'],
  ])('%s', async (_what, headers, expected) => {
    expect(await seen(port, headers)).toBe(expected);
  });

  test('who comes past them is not believed', async () => {
    expect(await seen(await behind(['10.0.0.0/8']), { 'x-forwarded-for': spoofed })).toBe('127.0.0.1');
  });
});

describe('R21: behind a proxy that speaks TLS', () => {
  const plainly = { 'x-forwarded-proto': 'http', 'x-forwarded-for': far };
  const securely = { 'x-forwarded-proto': 'https', 'x-forwarded-for': far };

  test('what a declared one says of its client counts', async () => {
    const port = await behind(['127.0.0.1'], { tls: 'proxy' });
    expect((await send(port, 'GET', '/v1/accounts', plainly)).status).toBe(403);
    expect((await send(port, 'GET', '/v1/accounts', securely)).status).toBe(200);
  });

  /** Another address of this machine than a loopback's: who comes from there does not come from the machine itself. */
  const outside = Object.values(networkInterfaces())
    .flatMap((found) => found ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

  (outside === undefined ? test.skip : test)('what comes past declared ones is refused, but for probes', async () => {
    const server = createServer(createApp({ ...given, tls: 'proxy', trustedProxies: ['10.0.0.0/8'] }));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, outside, resolve));
    const url = `http://${outside ?? ''}:${(server.address() as AddressInfo).port}`;
    for (const headers of [{}, plainly, securely]) {
      const refused = await fetch(`${url}/v1/accounts`, {
        headers: { ...headers, authorization: `Bearer ${adminKey}` },
      });
      expect([refused.status, await refused.json()]).toMatchObject([403, { code: 'forbidden' }]);
      expect((await fetch(`${url}/healthz`, { headers })).status).toBe(200);
    }
  });

  test('what comes past declared ones is believed nothing: from this machine it is served', async () => {
    const port = await behind(['10.0.0.0/8'], { tls: 'proxy' });
    for (const headers of [plainly, securely])
      expect((await send(port, 'GET', '/v1/accounts', headers)).status).toBe(200);
  });
});

describe('R27: proxies are configured', () => {
  const flaw = (text: string) => flawsIn({ ...complete, ABLAUF_TRUSTED_PROXIES: text })[0];

  test('by address and network, written the one way there is', () => {
    const text = ' 10.0.0.0/8 , 192.0.2.7/32,::ffff:192.0.2.8, 2001:DB8::/48, fc00::/7';
    expect(readConfig({ ...complete, ABLAUF_TRUSTED_PROXIES: text }).access.trustedProxies).toEqual([
      '10.0.0.0/8',
      '192.0.2.7',
      '192.0.2.8',
      '2001:db8::/48',
      'fc00::/7',
    ]);
    expect(readConfig(complete).access.trustedProxies).toEqual([]);
  });

  test.each([
    ['0.0.0.0/0', 'is wider than /8'],
    ['::/0', 'is wider than /7'],
    ['::ffff:0:0/96', 'is wider than /8'],
    ['10.0.0.1, 0.0.0.0/1, 128.0.0.0/1', 'is wider than /8'],
    ['10.0.0.1/8', 'the network is 10.0.0.0/8'],
    ['true', 'no IP address'],
    ['loopback', 'no IP address'],
    ['proxy.example.org', 'names are not looked up'],
    ['10.1', 'no IPv4 address'],
  ])('%s stops the start', (text, expected) => {
    expect(flaw(text)).toContain('ABLAUF_TRUSTED_PROXIES');
    expect(flaw(text)).toContain(expected);
  });
});
