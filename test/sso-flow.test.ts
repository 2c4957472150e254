/** Signing in with a real OpenID provider on this machine, all the way, and out again (R26). */
import { startApi, type Api } from './helpers/api';
import { Browser } from './helpers/browser';
import { startIdentityProvider, type IdentityProvider } from './helpers/identity-provider';
import { askIn, introduce, settingsOf, signIn } from './helpers/sign-in';

let idp: IdentityProvider;
let api: Api;

beforeAll(async () => {
  idp = await startIdentityProvider({
    people: {
      ada: { name: 'Ada', email: 'ada@example.org', groups: ['others', 'admin'] },
      carl: { name: 'Carl', groups: ['nothing of ours'] },
    },
  });
  api = await startApi({ signIn: { providers: [settingsOf(idp)] } });
  introduce(idp, api);
});

afterAll(async () => {
  await api.stop();
  await idp.stop();
});

test('R26: a person signs in, is known by role, and signs out', async () => {
  const browser = new Browser();
  const page = await signIn(browser, api, idp, 'ada', '?returnTo=/auth?lang=de');
  expect(page.url.href).toBe(`${api.url}/auth?lang=de`);
  expect(page.text).toContain('Ada');
  const me = await askIn(browser, api, 'GET', '/auth/me');
  expect(me.body).toMatchObject({
    user: { name: 'Ada', email: 'ada@example.org' },
    role: 'admin',
    provider: { id: 'oidc', kind: 'oidc' },
    permissions: expect.arrayContaining(['manageKeys', 'suspend']) as unknown,
  });
  const [asked] = page.redirects;
  expect(Object.fromEntries(asked?.searchParams ?? [])).toMatchObject({
    response_type: 'code',
    code_challenge_method: 'S256',
    state: expect.stringMatching(/^.{43}$/) as unknown,
    nonce: expect.stringMatching(/^.{43}$/) as unknown,
  });
  const out = await askIn(browser, api, 'POST', '/auth/logout', {});
  const logout = new URL(String(out.body['logoutUrl']));
  expect(logout.searchParams.get('post_logout_redirect_uri')).toBe(`${api.url}/auth`);
  expect(logout.searchParams.get('id_token_hint')).toBe(idp.issued.at(-1));
  expect((await askIn(browser, api, 'GET', '/auth/me')).status).toBe(401);
});

test('R26: somebody whose claims give no role is told so, and it is on record', async () => {
  const browser = new Browser();
  const page = await signIn(browser, api, idp, 'carl');
  expect(page.status).toBe(403);
  expect(page.text).toContain('nothing gives you a role here');
  expect((await askIn(browser, api, 'GET', '/auth/me')).status).toBe(401);
  const { body } = await api.ask('GET', '/v1/audit?action=auth.refused');
  expect(body['items']).toMatchObject([{ details: { reason: 'sign-in', cause: 'no-role' } }]);
});

/** The names of our cookies; browsers do not tell the provider's port from ours. */
const ours = (browser: Browser) => [...browser.cookiesFor(api.url).keys()].filter((name) => name.startsWith('ablauf_'));

describe('the way back', () => {
  it.each([
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/\tevil.example',
    '/%0d%0aSet-Cookie:x=1\r\nSet-Cookie: y=2',
    'javascript:alert(1)',
    '',
    'auth',
    `/${'a'.repeat(2000)}`,
  ])('leads nowhere but here: %j is refused', async (returnTo) => {
    const { status, body } = await api.ask('GET', `/auth/oidc/login?returnTo=${encodeURIComponent(returnTo)}`, {
      key: null,
    });
    expect([status, body['code']]).toEqual([400, 'validation']);
  });

  it('is for the browser it was begun in, with the provider it was begun with, and counts once', async () => {
    const [browser, other] = [new Browser(), new Browser()];
    idp.person = 'ada';
    const begun = await browser.visit(`${api.url}/auth/oidc/login`, { follow: (url) => url.origin === idp.origin });
    const callback = begun.redirects.at(-1);
    expect(callback?.pathname).toBe('/auth/oidc/callback');
    const foreign = await other.visit(callback ?? '');
    expect([foreign.status, foreign.text.includes('not begun in this browser')]).toEqual([400, true]);
    const cookies = browser.cookiesFor(api.url);
    expect((await browser.visit(callback ?? '')).status).toBe(200);
    // As somebody with all the cookies of before could try.
    const thief = new Browser();
    for (const [name, value] of cookies) thief.setCookie(api.url, name, value);
    expect((await thief.visit(callback ?? '')).status).toBeGreaterThanOrEqual(400);
    expect((await askIn(thief, api, 'GET', '/auth/me')).status).toBe(401);
    expect(ours(browser)).toEqual(['ablauf_session']);
  });

  it('is open in several tabs at once, and not in ever more', async () => {
    const browser = new Browser();
    idp.person = 'ada';
    const follow = (url: URL) => url.origin === idp.origin;
    const tabs = [];
    for (let tab = 0; tab < 7; tab += 1) tabs.push(await browser.visit(`${api.url}/auth/oidc/login`, { follow }));
    expect(ours(browser)).toHaveLength(5);
    const [last, before] = [tabs.at(-1)?.redirects.at(-1), tabs.at(-2)?.redirects.at(-1)];
    expect((await browser.visit(before ?? '')).status).toBe(200);
    expect((await browser.visit(last ?? '')).status).toBe(200);
    expect((await browser.visit(tabs[0]?.redirects.at(-1) ?? '')).status).toBe(400);
  });

  it('is not that of another state or a made-up cookie', async () => {
    const browser = new Browser();
    idp.person = 'ada';
    const begun = await browser.visit(`${api.url}/auth/oidc/login`, { follow: (url) => url.origin === idp.origin });
    const callback = new URL(begun.redirects.at(-1) ?? '');
    const [name = ''] = ours(browser);
    const forged = { provider: 'oidc', state: callback.searchParams.get('state'), returnTo: '/auth' };
    browser.setCookie(api.url, name, Buffer.from(JSON.stringify(forged)).toString('base64url'));
    expect((await browser.visit(callback)).status).toBe(400);
    callback.searchParams.set('state', 'x'.repeat(43));
    expect((await browser.visit(callback)).status).toBe(400);
    expect((await browser.visit(`${api.url}/auth/oidc/callback`)).status).toBe(400);
  });
});

describe('signing in afresh', () => {
  it('asks the provider to ask the person, who has to be the same', async () => {
    idp.people.set('bea', { name: 'Bea', groups: ['admin'] });
    const browser = new Browser();
    await signIn(browser, api, idp, 'ada');
    const page = await signIn(browser, api, idp, 'ada', '?fresh=1');
    expect(page.status).toBe(200);
    expect(Object.fromEntries(page.redirects[0]?.searchParams ?? [])).toMatchObject({ prompt: 'login', max_age: '0' });
    const other = await signIn(browser, api, idp, 'bea', '?fresh=1');
    expect([other.status, other.text.includes('somebody else')]).toEqual([403, true]);
    expect((await askIn(browser, api, 'GET', '/auth/me')).body).toMatchObject({ user: { name: 'Ada' } });
  });

  it('does not take a provider’s word that is old, or missing', async () => {
    const browser = new Browser();
    await signIn(browser, api, idp, 'ada');
    for (const auth_time of [Math.floor(Date.now() / 1000) - 3600, undefined]) {
      idp.faults = { claims: (claims) => ({ ...claims, auth_time }) };
      const page = await signIn(browser, api, idp, 'ada', '?fresh=1');
      expect([page.status, page.text.includes('did not ask you to sign in again')]).toEqual([403, true]);
    }
    const plain = await signIn(new Browser(), api, idp, 'ada');
    expect(plain.status).toBe(200);
    idp.faults = {};
  });

  it('is what a session needs that a key needs a scope for', async () => {
    const browser = new Browser();
    idp.faults = { claims: (claims) => ({ ...claims, auth_time: Math.floor(Date.now() / 1000) - 3600 }) };
    await signIn(browser, api, idp, 'ada');
    idp.faults = {};
    const make = () => askIn(browser, api, 'POST', '/v1/api-keys', { role: 'auditor' });
    expect((await make()).body['code']).toBe('step-up-required');
    await signIn(browser, api, idp, 'ada', '?fresh=1');
    expect((await make()).status).toBe(201);
  });
});

test('the page speaks German to whoever does, and to whoever asks for it', async () => {
  const german = await api.ask('GET', '/auth', {
    key: null,
    headers: { 'accept-language': 'fr, de-AT;q=0.9, en;q=0.1' },
  });
  expect([german.headers.get('content-language'), german.text.includes('anmelden')]).toEqual(['de', true]);
  const english = await api.ask('GET', '/auth?lang=en', { key: null, headers: { 'accept-language': 'de' } });
  expect(english.headers.get('content-language')).toBe('en');
  expect(english.text).not.toMatch(/<script| style=| on\w+=/);
});

test('a provider that is away keeps nobody waiting and nothing from starting', async () => {
  const provider = { ...settingsOf(idp), id: 'away', issuer: new URL('http://127.0.0.1:1') };
  const other = await startApi({ signIn: { providers: [provider] } });
  try {
    const { status, body, headers } = await other.ask('GET', '/auth/away/login', { key: null });
    expect([status, body['code'], headers.get('retry-after')]).toEqual([503, 'unavailable', '2']);
    expect((await other.ask('GET', '/auth/providers', { key: null })).body).toMatchObject({ items: [{ id: 'away' }] });
    expect((await other.ask('GET', '/auth/nobody/login', { key: null })).status).toBe(404);
  } finally {
    await other.stop();
  }
});
