/** Telling requests of our own pages from forged ones, wherever a browser adds the session by itself. */
import { startApi, type Api } from './helpers/api';
import { Browser } from './helpers/browser';
import { startIdentityProvider, type IdentityProvider } from './helpers/identity-provider';
import { askIn, introduce, settingsOf, signIn } from './helpers/sign-in';

let idp: IdentityProvider;
let api: Api;
let browser: Browser;
let account: string;
let csrfToken: string;

beforeAll(async () => {
  idp = await startIdentityProvider({ people: { ada: { groups: ['admin'] } } });
  api = await startApi({ signIn: { providers: [settingsOf(idp)] } });
  introduce(idp, api);
  browser = new Browser();
  await signIn(browser, api, idp, 'ada');
  account = await api.system.createAccount();
  csrfToken = String((await askIn(browser, api, 'GET', '/auth/me')).body['csrfToken']);
}, 120_000);
afterAll(async () => {
  await api.stop();
  await idp.stop();
});

const write = (headers: Readonly<Record<string, string>>) =>
  askIn(browser, api, 'PATCH', `/v1/accounts/${account}`, { name: 'Another' }, headers);

describe('a write with a session', () => {
  it.each<[string, () => Record<string, string>]>([
    ['says that it is of the same origin', () => ({ 'sec-fetch-site': 'same-origin' })],
    ['names our origin', () => ({ origin: api.url })],
    ['comes from where browsers say neither, with the token', () => ({ 'x-csrf-token': csrfToken })],
  ])('is served where it %s', async (_name, headers) => {
    expect((await write(headers())).status).toBe(200);
  });

  it.each<[string, () => Record<string, string>]>([
    ['comes from another site', () => ({ 'sec-fetch-site': 'cross-site' })],
    ['comes from another host of the same site', () => ({ 'sec-fetch-site': 'same-site' })],
    ['was typed, dropped or bookmarked', () => ({ 'sec-fetch-site': 'none' })],
    [
      'comes from another site, whatever else it shows',
      () => ({ 'sec-fetch-site': 'cross-site', origin: api.url, 'x-csrf-token': csrfToken }),
    ],
    ['names another origin', () => ({ origin: 'https://evil.example' })],
    ['names another origin, and has the token', () => ({ origin: 'https://evil.example', 'x-csrf-token': csrfToken })],
    ['hides its origin', () => ({ origin: 'null' })],
    ['names our host on another port', () => ({ origin: 'http://127.0.0.1:1' })],
    ['says nothing', () => ({})],
    ['has another token', () => ({ 'x-csrf-token': 'A'.repeat(csrfToken.length) })],
    ['has a part of the token', () => ({ 'x-csrf-token': csrfToken.slice(1) })],
  ])('is refused where it %s, and changes nothing', async (_name, headers) => {
    const before = (await api.ask('GET', `/v1/accounts/${account}`)).headers.get('etag');
    const { status, body } = await write(headers());
    expect([status, body['code']]).toEqual([403, 'forbidden']);
    expect((await api.ask('GET', `/v1/accounts/${account}`)).headers.get('etag')).toBe(before);
  });

  it('R19: that it was refused is on record', async () => {
    await write({ origin: 'https://evil.example' });
    const { body } = await api.ask('GET', '/v1/audit?action=auth.refused');
    expect((body['items'] as unknown[])[0]).toMatchObject({ actor: { type: 'user' }, details: { reason: 'csrf' } });
  });

  it('is judged alike by every route that writes', async () => {
    for (const { method, path, roles } of api.routes) {
      if (method === 'get' || roles === 'public') continue;
      const bare = path.replace('/sessions/:id', '/sessions/ses_' + '0'.repeat(24)).replace(/:\w+/g, 'x');
      const { body } = await askIn(browser, api, method.toUpperCase(), bare, undefined, {
        'sec-fetch-site': 'cross-site',
      });
      // A role that may not do it at all is told so before.
      expect([path, body['code']]).toEqual([path, 'forbidden']);
    }
  });

  it('is not asked of a key, which no browser adds', async () => {
    const headers = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    const asked = await api.ask('PATCH', `/v1/accounts/${account}`, { body: { name: 'By key' }, headers });
    expect(asked.status).toBe(200);
  });
});

describe('signing out by a form', () => {
  const post = (body: string, headers: Readonly<Record<string, string>> = {}) =>
    browser.visit(`${api.url}/auth/logout`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body,
      follow: () => false,
    });

  it('takes the token as a field, and nothing forged', async () => {
    expect((await post('')).status).toBe(403);
    expect((await post('csrf=wrong')).status).toBe(403);
    expect((await post(`csrf=${csrfToken}`, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await askIn(browser, api, 'GET', '/auth/me')).status).toBe(200);
    const out = await post(`csrf=${csrfToken}`);
    expect([out.status, out.redirects[0]?.origin]).toEqual([303, idp.origin]);
    expect((await askIn(browser, api, 'GET', '/auth/me')).status).toBe(401);
    expect((await post('')).status).toBe(303);
  });
});

test('a session counts under names of this machine alone, where no public one is configured', async () => {
  const fresh = new Browser();
  await signIn(fresh, api, idp, 'ada');
  const { hostname, port } = new URL(api.url);
  const cookie = `ablauf_session=${fresh.cookiesFor(api.url).get('ablauf_session') ?? ''}`;
  const { request } = await import('node:http');
  const statusAs = (host: string) =>
    new Promise((resolve, reject) => {
      request({ hostname, port, path: '/auth/me', headers: { host, cookie } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on('error', reject)
        .end();
    });
  expect(await statusAs(`127.0.0.1:${port}`)).toBe(200);
  expect(await statusAs(`evil.example:${port}`)).toBe(401);
});
