/** What goes wrong between the API and an identity provider, by accident or on purpose: nobody is signed in by it (R26). */
import { request } from 'node:http';
import { startApi, type Api } from './helpers/api';
import { Browser, type Page } from './helpers/browser';
import { startIdentityProvider, type Endpoint, type Faults, type IdentityProvider } from './helpers/identity-provider';
import { askIn, introduce, settingsOf, signIn } from './helpers/sign-in';

const people = {
  ada: { name: 'Ada', email: 'shared@example.org', groups: ['admin'] },
  otto: { name: 'Otto', email: 'shared@example.org', groups: ['operator'] },
};
const endpoints = ['discovery', 'jwks', 'token', 'userinfo'] as const satisfies readonly Endpoint[];

let api: Api;
/** The one most tests go wrong with; what each does is reset after it. */
let idp: IdentityProvider;
/** Another one, which nothing is wrong with. */
let other: IdentityProvider;
/** One for each endpoint, of which nothing has been asked yet, and which is put right in the end. */
let fresh: Record<(typeof endpoints)[number], IdentityProvider>;
/** Those whose description of themselves is wrong. */
const misdescribed: Record<string, NonNullable<Faults['discovery']>> = {
  'another-issuer': (document) => ({ ...document, issuer: 'https://issuer.example' }),
  'no-issuer': ({ issuer: _, ...document }) => document,
  'plain-tokens': (document) => ({ ...document, token_endpoint: 'http://tokens.example/token' }),
  'plain-keys': (document) => ({ ...document, jwks_uri: 'http://keys.example/jwks' }),
  'only-none': (document) => ({ ...document, id_token_signing_alg_values_supported: ['none'] }),
};
const described = new Map<string, IdentityProvider>();

beforeAll(async () => {
  const start = () => startIdentityProvider({ people });
  [idp, other] = [await start(), await start()];
  fresh = { discovery: await start(), jwks: await start(), token: await start(), userinfo: await start() };
  for (const name of Object.keys(misdescribed)) described.set(name, await start());
  const by = (id: string, one: IdentityProvider, claim = 'groups') =>
    settingsOf(one, {
      id,
      roles: ['admin', 'operator'].map((role) => ({ claim: [claim], value: role, role: role as 'admin' | 'operator' })),
    });
  api = await startApi({
    signIn: {
      providers: [
        settingsOf(idp),
        by('other', other),
        // What the token does not hold is asked for elsewhere.
        ...endpoints.map((endpoint) => by(endpoint, fresh[endpoint], endpoint === 'userinfo' ? 'team' : 'groups')),
        ...Array.from(described, ([id, one]) => by(id, one)),
      ],
    },
  });
  introduce(idp, api);
  introduce(other, api, 'other');
  for (const [id, one] of [...Object.entries(fresh), ...described]) introduce(one, api, id);
}, 180_000);

afterEach(() => {
  idp.faults = {};
});

afterAll(async () => {
  await api.stop();
  for (const one of [idp, other, ...Object.values(fresh), ...described.values()]) await one.stop();
});

/** Whoever is signed in with a browser; nothing where nobody is. */
async function whoIn(browser: Browser): Promise<unknown> {
  const { status, body } = await askIn(browser, api, 'GET', '/auth/me');
  return status === 401 ? undefined : (body['user'] as { name?: unknown }).name;
}

/** Why nobody was signed in, as it was logged last. */
function lastFault(): unknown {
  const lines = api.logged.map((line) => JSON.parse(line) as { msg?: string; fault?: string });
  return lines.findLast(({ msg }) => msg === 'nobody was signed in')?.fault;
}

/** Signs in with what is wrong now, and says why that failed. The page shows nothing of what is secret. */
async function refusedWith(browser = new Browser()): Promise<unknown> {
  const page = await signIn(browser, api, idp, 'ada');
  expect(page.url.origin).toBe(api.url);
  expect([400, 401, 403, 409, 503]).toContain(page.status);
  expect(await whoIn(browser)).toBeUndefined();
  expect(page.text).not.toContain(idp.clientSecret);
  expect(page.text).not.toMatch(/eyJ|\bat \S+\.[jt]s:\d|node_modules/);
  return lastFault();
}

const now = () => Math.floor(Date.now() / 1000);

describe('a token that is not what it has to be', () => {
  test.each([
    'none',
    'unsigned',
    'broken',
    'public-key-as-secret',
    'client-secret',
    'stranger',
    'unknown-key',
  ] as const)('R26: signed like this: %s', async (forge) => {
    idp.faults = { forge };
    expect(await refusedWith()).toBe('token');
  });

  test.each<[what: string, changed: () => Record<string, unknown>]>([
    ['expired', () => ({ exp: now() - 31, iat: now() - 600 })],
    ['issued an hour ago, whenever it expires', () => ({ iat: now() - 3600, exp: now() + 3600 })],
    ['issued in the future', () => ({ iat: now() + 120, exp: now() + 720 })],
    ['not valid yet', () => ({ nbf: now() + 120 })],
    ['no end', () => ({ exp: undefined })],
    ['no beginning', () => ({ iat: undefined })],
    ['of another issuer', () => ({ iss: 'https://issuer.example' })],
    ['of an issuer that only begins like ours', () => ({ iss: `${idp.issuer}.example` })],
    ['of no issuer', () => ({ iss: undefined })],
    ['for another audience', () => ({ aud: 'another-application' })],
    ['for no audience', () => ({ aud: undefined })],
    ['for two, and issued to the other', () => ({ aud: [idp.clientId, 'another'], azp: 'another' })],
    ['with another nonce', () => ({ nonce: 'another' })],
    ['with an empty nonce', () => ({ nonce: '' })],
    ['without a nonce', () => ({ nonce: undefined })],
    ['about nobody', () => ({ sub: undefined })],
    ['about an empty name', () => ({ sub: '' })],
    ['about a number', () => ({ sub: 7 })],
  ])('R26: %s', async (_, changed) => {
    idp.faults = { claims: (claims) => ({ ...claims, ...changed() }) };
    expect(await refusedWith()).toBe('token');
  });

  test.each<[what: string, faults: () => Faults]>([
    ['replayed from an earlier sign-in', () => ({ idToken: () => idp.issued.at(0) })],
    ['left out', () => ({ idToken: () => undefined })],
    ['no token at all', () => ({ idToken: () => 'something.else.entirely' })],
    ['answered as a list', () => ({ tokens: () => ['tokens'] })],
    ['answered as an error that says success', () => ({ tokens: () => ({ error: 'none' }) })],
  ])('R26: %s', async (_, faults) => {
    expect((await signIn(new Browser(), api, idp, 'ada')).status).toBe(200);
    idp.faults = faults();
    expect(await refusedWith()).toBe('token');
  });

  test('R26: of a provider whose clock is a little ahead or behind it is good; of one that is far off it is not', async () => {
    for (const [by, outcome] of [
      [-20, 'Ada'],
      [20, 'Ada'],
      [-1200, undefined],
      [90, undefined],
    ] as const) {
      const [exp, iat] = [now() + 600 + by, now() + by];
      idp.faults = {
        claims: (claims) => ({ ...claims, exp: by < 0 && outcome !== undefined ? now() + by : exp, iat }),
      };
      const browser = new Browser();
      await signIn(browser, api, idp, 'ada');
      expect([by, await whoIn(browser)]).toEqual([by, outcome]);
    }
  });

  test('R26: keys that the provider has replaced are read anew at once, and what was signed with the old ones is no longer good', async () => {
    const before = idp.issued.length;
    expect((await signIn(new Browser(), api, idp, 'ada')).status).toBe(200);
    await idp.rotateKeys();
    // Keys are not read twice within a second: nobody could have a provider asked without end.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const browser = new Browser();
    await signIn(browser, api, idp, 'ada');
    expect(await whoIn(browser)).toBe('Ada');
    idp.faults = { idToken: () => idp.issued.at(before) };
    expect(await refusedWith()).toBe('token');
  });

  test('R26: keys that are withdrawn and others under the same name do not pass for each other', async () => {
    idp.faults = { forge: 'stranger', claims: (claims) => ({ ...claims, sub: 'otto' }) };
    expect(await refusedWith()).toBe('token');
  });
});

describe('a sign-in that is not the one that was begun', () => {
  /** Goes as far as the way back, and does not take it. */
  async function begun(browser: Browser, id = 'oidc', query = ''): Promise<URL> {
    idp.person = other.person = 'ada';
    const page = await browser.visit(`${api.url}/auth/${id}/login${query}`, {
      follow: (url) => !url.pathname.endsWith('/callback'),
    });
    const back = page.redirects.at(-1);
    if (back === undefined) throw new Error('it came back nowhere');
    return back;
  }

  function changed(url: URL, parameters: Readonly<Record<string, string | undefined>>): URL {
    const copy = new URL(url);
    for (const [name, value] of Object.entries(parameters)) {
      if (value === undefined) copy.searchParams.delete(name);
      else copy.searchParams.set(name, value);
    }
    return copy;
  }

  async function faultOf(browser: Browser, url: URL): Promise<unknown> {
    const page = await browser.visit(url);
    expect(await whoIn(browser)).toBeUndefined();
    expect(page.status).toBeGreaterThanOrEqual(400);
    return lastFault();
  }

  test('R26: finished in another browser, as by somebody who has others follow a link', async () => {
    expect(await faultOf(new Browser(), await begun(new Browser()))).toBe('state');
  });

  test.each([
    ['another state', { state: 'another' }],
    ['an empty state', { state: '' }],
    ['no state', { state: undefined }],
  ])('R26: %s', async (_, parameters) => {
    const browser = new Browser();
    expect(await faultOf(browser, changed(await begun(browser), parameters))).toBe('state');
  });

  test('R26: a parameter that came twice', async () => {
    const browser = new Browser();
    const url = await begun(browser);
    url.searchParams.append('code', 'another');
    expect(await faultOf(browser, url)).toBe('token');
  });

  test('R26: the code of one sign-in with the state of another', async () => {
    const [browser, victim] = [new Browser(), new Browser()];
    const [mine, theirs] = [await begun(browser), await begun(victim)];
    const injected = changed(theirs, { code: mine.searchParams.get('code') ?? '' });
    expect(await faultOf(victim, injected)).toBe('token');
  });

  test('R26: the way back of one provider with the answer of another', async () => {
    const browser = new Browser();
    const back = await begun(browser, 'other');
    const crossed = new URL(back.href.replace('/auth/other/', '/auth/oidc/'));
    expect(await faultOf(browser, crossed)).toBe('state');
    // The code goes nowhere but to the one it is from: the answer says whose it is (RFC 9207).
    const named = changed(await begun(browser, 'oidc'), { iss: other.issuer });
    expect(await faultOf(browser, named)).toBe('token');
    expect(await faultOf(browser, changed(await begun(browser, 'oidc'), { iss: undefined }))).toBe('token');
  });

  test('R26: taken twice, it counts once, and whoever is signed in stays so', async () => {
    const browser = new Browser();
    const back = await begun(browser);
    const cookies = browser.cookiesFor(back);
    expect((await browser.visit(back)).status).toBe(200);
    const again = new Browser();
    for (const [name, value] of cookies) again.setCookie(back, name, value);
    const page = await again.visit(back);
    expect(page.status).toBeGreaterThanOrEqual(400);
    expect(await whoIn(again)).toBeUndefined();
    expect(await whoIn(browser)).toBe('Ada');
  });

  test('R26: two tabs do not get in each other’s way', async () => {
    const browser = new Browser();
    const [one, two] = [await begun(browser), await begun(browser)];
    expect((await browser.visit(two)).status).toBe(200);
    expect((await browser.visit(one)).status).toBe(200);
    expect(await whoIn(browser)).toBe('Ada');
  });

  test('R26: the person declines, or the provider says so in words of somebody’s choice', async () => {
    const browser = new Browser();
    idp.person = undefined;
    const declined = await browser.visit(`${api.url}/auth/oidc/login`);
    expect([declined.status, lastFault()]).toEqual([403, 'denied']);
    const back = await begun(browser);
    const text = '<script>alert(1)</script>\r\nSet-Cookie: a=b';
    const page = await browser.visit(
      changed(back, { code: undefined, error: 'access_denied', error_description: text }),
    );
    expect(page.status).toBe(403);
    expect(page.text).not.toContain('alert(1)');
    expect(page.headers.get('set-cookie')).not.toContain('a=b');
  });

  test('R26: nothing came back, or something nobody sends', async () => {
    const browser = new Browser();
    const back = await begun(browser);
    for (const query of ['', '?code=x', '?state[$ne]=x&code=x', '?__proto__[state]=x', `?state=${'x'.repeat(5000)}`]) {
      const page = await browser.visit(`${back.origin}${back.pathname}${query}`);
      expect([400, 431]).toContain(page.status);
    }
    const one = await browser.visit(changed(back, { code: undefined }));
    expect(one.status).toBe(401);
    expect(await whoIn(browser)).toBeUndefined();
  });
});

describe('a provider that does not answer as it should', () => {
  test.each(endpoints)(
    'R26: %s broken, silent or talking nonsense: said so, soon, and over when it is put right',
    async (endpoint) => {
      const one = fresh[endpoint];
      one.people.set('ada', { ...people.ada, team: undefined });
      one.faults = { userinfo: (claims) => ({ ...claims, team: ['admin'] }) };
      const visit = async (browser = new Browser()): Promise<[Page, Browser, unknown]> => {
        one.person = 'ada';
        const page = await browser.visit(`${api.url}/auth/${endpoint}/login`);
        return [page, browser, await whoIn(browser)];
      };
      const troubles = [
        'down',
        { status: 500, body: '' },
        { status: 503, headers: { 'content-type': 'application/json' }, body: '{"error":"server_error"}' },
        { status: 200 },
        { status: 302, headers: { location: `${other.origin}/elsewhere` } },
        { headers: { 'content-type': 'application/json' }, body: '{' },
        { headers: { 'content-type': 'application/json' }, body: 'null' },
        { headers: { 'content-type': 'application/json' }, body: `{"a":"${'x'.repeat(3_000_000)}"}` },
        { slow: 30_000 },
      ] as const;
      for (const trouble of troubles) {
        one.faults.trouble = { [endpoint]: trouble };
        const [page, , who] = await visit();
        expect([trouble, who]).toEqual([trouble, undefined]);
        // What answers something else in place of a token cannot be told from a forger; what does not answer is away.
        const isSilent = trouble === 'down' || 'slow' in trouble || ('status' in trouble && trouble.status >= 500);
        expect(isSilent ? [503] : [401, 503]).toContain(page.status);
        expect(page.text).toContain('role="alert"');
        if (page.status === 503) expect(page.headers.get('retry-after')).toMatch(/^\d+$/);
        // What is kept for a while is not asked for again within a second.
        if (endpoint === 'discovery' || endpoint === 'jwks') await new Promise((resolve) => setTimeout(resolve, 1100));
      }
      // A provider that leads elsewhere is not followed: what is sent there may hold a secret.
      expect(other.asked).not.toContain('GET /elsewhere');
      expect(other.asked).not.toContain('POST /elsewhere');
      one.faults.trouble = undefined;
      expect((await visit())[2]).toBe('Ada');
    },
    120_000,
  );

  test.each(Object.keys(misdescribed))('R26: it says of itself what cannot be: %s', async (id) => {
    const one = described.get(id);
    if (one === undefined) throw new Error('there is none');
    one.faults = { discovery: misdescribed[id] };
    one.person = 'ada';
    const browser = new Browser();
    const page = await browser.visit(`${api.url}/auth/${id}/login`);
    expect(page.status).toBeGreaterThanOrEqual(400);
    expect(page.url.origin).toBe(api.url);
    expect(await whoIn(browser)).toBeUndefined();
  });

  test('R26: while one is away others sign people in, and sessions go on', async () => {
    const browser = new Browser();
    await signIn(browser, api, idp, 'ada');
    idp.faults = { trouble: { discovery: 'down', token: 'down', jwks: 'down', authorization: 'down' } };
    expect(await whoIn(browser)).toBe('Ada');
    other.person = 'otto';
    const second = new Browser();
    await second.visit(`${api.url}/auth/other/login`);
    expect(await whoIn(second)).toBe('Otto');
  });
});

describe('what somebody writes into a link', () => {
  test.each([
    'https://elsewhere.example/',
    '//elsewhere.example',
    '/\\elsewhere.example',
    '\\\\elsewhere.example',
    '/\t/elsewhere.example',
    '/%0d%0aLocation:%20https://elsewhere.example'.replace('%0d%0a', '\r\n'),
    'javascript:alert(1)',
    'data:text/html,x',
    'elsewhere.example',
    '',
    ' /auth',
    '/auth\u0000',
    'http:/elsewhere.example',
    '/@elsewhere.example\u2028',
  ])('R26: %j is no way back', async (returnTo) => {
    const query = new URLSearchParams({ returnTo }).toString();
    const page = await new Browser().visit(`${api.url}/auth/oidc/login?${query}`, { follow: () => false });
    expect([page.status, page.redirects]).toEqual([400, []]);
  });

  test.each([
    '/auth?lang=de',
    '/v1/accounts?limit=1',
    '/@elsewhere.example',
    '/a//elsewhere.example',
    '/%2f%2felsewhere.example',
  ])('R26: %j is one, and stays here', async (returnTo) => {
    const browser = new Browser();
    const query = new URLSearchParams({ returnTo }).toString();
    const page = await signIn(browser, api, idp, 'ada', `?${query}`);
    expect(page.redirects.at(-1)?.href).toBe(`${api.url}${returnTo}`);
    expect(page.redirects.filter(({ origin }) => origin !== api.url && origin !== idp.origin)).toEqual([]);
  });

  test('R26: a foreign name in the request does not become the way back', async () => {
    const { port } = new URL(api.url);
    const locationFor = (headers: Readonly<Record<string, string>>) =>
      new Promise<[number | undefined, string]>((resolve, reject) => {
        const asked = request({ host: '127.0.0.1', port, path: '/auth/oidc/login', headers }, (response) => {
          response.resume();
          resolve([response.statusCode, response.headers.location ?? '']);
        });
        asked.on('error', reject).end();
      });
    const [status, location] = await locationFor({ host: `elsewhere.example:${port}` });
    expect([status, location]).toEqual([403, '']);
    for (const headers of [
      { 'x-forwarded-host': 'elsewhere.example' },
      { forwarded: 'host=elsewhere.example;proto=https' },
      { 'x-forwarded-proto': 'https' },
    ]) {
      const [, to] = await locationFor({ host: `127.0.0.1:${port}`, ...headers });
      expect(new URL(to).searchParams.get('redirect_uri')).toBe(`${api.url}/auth/oidc/callback`);
    }
  });

  test('R26: a provider’s name for somebody is text, wherever it is shown', async () => {
    const name = '<img src=x onerror=alert(1)>\r\nX-Header: 1';
    idp.people.set('mallory', { name, email: '"><script>alert(2)</script>@example.org', groups: ['admin'] });
    const browser = new Browser();
    const page = await signIn(browser, api, idp, 'mallory');
    expect(page.status).toBe(200);
    expect(page.text).not.toMatch(/<img|<script/);
    expect(page.headers.get('x-header')).toBeNull();
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  test('R26: an unknown provider, or one with a strange name, is not found', async () => {
    for (const id of ['nobody', '..%2f..', '%00', 'OIDC', '__proto__', 'constructor']) {
      const page = await new Browser().visit(`${api.url}/auth/${id}/login`, { follow: () => false });
      expect([400, 404]).toContain(page.status);
    }
  });
});

test('R26: two people with one mail address are two people', async () => {
  const [ada, otto] = [new Browser(), new Browser()];
  await signIn(ada, api, idp, 'ada');
  await signIn(otto, api, idp, 'otto');
  const [one, two] = [await askIn(ada, api, 'GET', '/auth/me'), await askIn(otto, api, 'GET', '/auth/me')];
  expect([one.body['role'], two.body['role']]).toEqual(['admin', 'operator']);
  const idOf = ({ body }: { body: Record<string, unknown> }) => (body['user'] as { id: string }).id;
  expect(idOf(one)).not.toBe(idOf(two));
  // And one subject of two providers is two people, too.
  other.person = 'ada';
  const elsewhere = new Browser();
  await elsewhere.visit(`${api.url}/auth/other/login`);
  expect(idOf(await askIn(elsewhere, api, 'GET', '/auth/me'))).not.toBe(idOf(one));
});

describe('a provider tells that somebody has signed out', () => {
  const send = (token: string, id = 'oidc') =>
    fetch(`${api.url}/auth/${id}/backchannel-logout`, {
      method: 'POST',
      body: new URLSearchParams({ logout_token: token }),
    });

  async function signedIn(): Promise<{ browser: Browser; sid: string }> {
    const browser = new Browser();
    await signIn(browser, api, idp, 'ada');
    const [, payload = ''] = (idp.issued.at(-1) ?? '').split('.');
    const { sid } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sid: string };
    return { browser, sid };
  }

  test('R26: its session, and not the person’s others; or all of them', async () => {
    const [one, two] = [await signedIn(), await signedIn()];
    expect(one.sid).not.toBe(two.sid);
    expect((await send(await idp.logoutToken({ sub: 'ada', sid: one.sid }))).status).toBe(200);
    expect([await whoIn(one.browser), await whoIn(two.browser)]).toEqual([undefined, 'Ada']);
    expect((await send(await idp.logoutToken({ sub: 'ada' }))).status).toBe(200);
    expect(await whoIn(two.browser)).toBeUndefined();
    expect((await send(await idp.logoutToken({ sub: 'ada' }))).status).toBe(200);
  });

  test('R26: nobody is signed out by a token that is not to be believed, nor twice by one', async () => {
    const { browser, sid } = await signedIn();
    const good = { sub: 'ada', sid };
    const tokens: [what: string, token: string][] = [
      ['none', await idp.logoutToken(good, { forge: 'none' })],
      ['unsigned', await idp.logoutToken(good, { forge: 'unsigned' })],
      ['HS256', await idp.logoutToken(good, { forge: 'public-key-as-secret' })],
      ['stranger', await idp.logoutToken(good, { forge: 'stranger' })],
      ['another provider', await other.logoutToken(good)],
      ['another audience', await idp.logoutToken({ ...good, aud: 'another' })],
      ['another issuer', await idp.logoutToken({ ...good, iss: other.issuer })],
      ['a nonce', await idp.logoutToken({ ...good, nonce: 'n' })],
      ['no event', await idp.logoutToken({ ...good, events: undefined })],
      ['another event', await idp.logoutToken({ ...good, events: { 'urn:other': {} } })],
      ['nobody', await idp.logoutToken({})],
      ['no id', await idp.logoutToken({ ...good, jti: undefined })],
      ['old', await idp.logoutToken({ ...good, iat: now() - 3600, exp: now() - 3000 })],
      ['an ID token', idp.issued.at(-1) ?? ''],
      ['of the type of an access token', await idp.logoutToken(good, { type: 'at+jwt' })],
      ['nothing', ''],
      ['nonsense', 'a.b.c'],
    ];
    for (const [what, token] of tokens) expect([what, (await send(token)).status]).toEqual([what, 400]);
    expect(await whoIn(browser)).toBe('Ada');
    const token = await idp.logoutToken(good);
    expect((await send(token)).status).toBe(200);
    expect((await send(token)).status).toBe(400);
    expect(await whoIn(browser)).toBeUndefined();
  });
});
