/** The identity provider of a development start, by itself; `sso-browser.test.ts` signs in to Ablauf with it. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as client from 'openid-client';
import { freePort, startDevIdentityProvider, type DevIdentityProvider } from '../src/embedded';
import { requireFreePorts, readDevSettings } from '../src/embedded/dev-settings';
import { Browser, type Page } from './helpers/browser';

const root = join(__dirname, '..');
const api = 'http://127.0.0.1:9';
const redirectUri = `${api}/auth/dev/callback`;
let folder: string;
let port: number;
let provider: DevIdentityProvider;

const start = () => startDevIdentityProvider({ dataDir: folder, port, origins: [api, 'http://localhost:9'] });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ablauf-dev-idp-'));
  port = await freePort();
  provider = await start();
});

afterAll(async () => {
  await provider.stop();
  await rm(folder, { recursive: true, force: true });
});

interface SignIn {
  readonly browser: Browser;
  readonly page: Page;
  finish(back: URL | undefined): Promise<client.TokenEndpointResponse & client.TokenEndpointResponseHelpers>;
}

/** Goes as far as the page on which somebody is picked. */
async function begin(browser = new Browser()): Promise<SignIn> {
  const { entry, url } = provider;
  const configuration = await client.discovery(
    new URL(url),
    String(entry['clientId']),
    String(entry['clientSecret']),
    undefined,
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that nobody takes it in production
    { execute: [client.allowInsecureRequests] },
  );
  const verifier = client.randomPKCECodeVerifier();
  const parameters = {
    redirect_uri: redirectUri,
    scope: String(entry['scope']),
    state: 'a-state',
    nonce: 'a-nonce',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  };
  const page = await browser.visit(client.buildAuthorizationUrl(configuration, parameters));
  return {
    browser,
    page,
    finish: (back = new URL(redirectUri)) =>
      client.authorizationCodeGrant(configuration, back, {
        pkceCodeVerifier: verifier,
        expectedState: 'a-state',
        expectedNonce: 'a-nonce',
      }),
  };
}

/** Picks somebody, and says what Ablauf is told of them. */
async function pick(values: Readonly<Record<string, string>>, browser = new Browser()) {
  const { page, finish } = await begin(browser);
  const picked = await browser.submit(page, values, { follow: (url) => url.origin !== api });
  return (await finish(picked.redirects.at(-1))).claims();
}

test('R26: one click signs in whoever was picked, with what the role is told from', async () => {
  const browser = new Browser();
  expect(await pick({ person: 'ada' }, browser)).toMatchObject({
    iss: provider.url,
    sub: 'ada',
    aud: 'ablauf',
    nonce: 'a-nonce',
    auth_time: expect.any(Number) as number,
    name: 'Ada Winter',
    email: 'ada@example.com',
    groups: ['ablauf-admins'],
  });
  // In the same browser one tries somebody else next, without signing out first.
  expect(await pick({ person: 'nora' }, browser)).toMatchObject({ sub: 'nora', groups: ['another-department'] });
  expect(await pick({ person: 'chris', account: 'acme-7' }, browser)).toMatchObject({
    sub: 'chris:acme-7',
    groups: ['ablauf-customers'],
    account: 'acme-7',
  });
});

test('each role there is to try can be picked, and no rule is for nobody', async () => {
  const rules = provider.entry['roles'] as { value: string; role: string }[];
  expect(rules.map(({ role }) => role).sort()).toEqual(['admin', 'auditor', 'customer', 'legal', 'operator']);
  const picked = await Promise.all(
    ['ada', 'oskar', 'mira', 'paul', 'chris'].map(async (person) => {
      const claims = await pick({ person, account: 'acme' });
      return rules.find(({ value }) => (claims?.['groups'] as string[]).includes(value))?.role;
    }),
  );
  expect(picked).toEqual(['admin', 'operator', 'auditor', 'legal', 'customer']);
});

test('cancelling comes back as a refusal', async () => {
  const { browser, page } = await begin();
  const { redirects } = await browser.submit(page, { person: '' }, { follow: (url) => url.origin !== api });
  expect(redirects.at(-1)?.searchParams.get('error')).toBe('access_denied');
});

test('an account that cannot be one is asked for again', async () => {
  const { browser, page, finish } = await begin();
  const again = await browser.submit(page, { person: 'chris', account: '"><script>' });
  expect(again.status).toBe(400);
  expect(again.text).toContain('role="alert"');
  expect(again.text).toContain('&#34;&#62;&#60;script&#62;');
  expect(again.text).not.toContain('"><script>');
  const { redirects } = await browser.submit(
    again,
    { person: 'chris', account: 'acme' },
    { follow: (url) => url.origin !== api },
  );
  expect((await finish(redirects.at(-1))).claims()).toMatchObject({ account: 'acme' });
});

test('its pages say what they are in English and German, hold no script, and ask nothing of anybody else', async () => {
  for (const [language, marked] of [
    ['de-AT, en;q=0.5', 'Nur für die Entwicklung'],
    ['fr, en;q=0.8, de;q=0.3', 'Development only'],
    ['fr', 'Development only'],
  ] as const) {
    const { page } = await begin(new Browser(language));
    const visited = await new Browser(language).visit(provider.url);
    for (const { text, headers } of [page, visited]) {
      expect(text).toContain(marked);
      expect(text).not.toMatch(/<script|\s(style|on\w+)=|https?:\/\/(?!127\.0\.0\.1)/i);
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('content-security-policy')).toContain(`form-action 'self' ${api} http://localhost:9`);
    }
  }
});

test('nothing but this machine, by its own names, and its own pages gets an answer', async () => {
  const asked = (host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const message = request({ host: '127.0.0.1', port, path: '/', headers: { host } }, ({ statusCode }) =>
        resolve(statusCode),
      );
      message.on('error', reject).end();
    });
  expect(await asked(`127.0.0.1:${port}`)).toBe(200);
  expect(await asked(`localhost:${port}`)).toBe(200);
  expect(await asked(`rebound.example:${port}`)).toBe(421);
  const { browser, page } = await begin();
  const foreign = await browser.submit(page, { person: 'ada' }, { headers: { origin: 'https://elsewhere.example' } });
  expect(foreign.status).toBe(403);
});

test('it sends nobody anywhere but to the API, and wants a code verifier', async () => {
  const url = (changed: Readonly<Record<string, string>>) =>
    `${provider.url}/auth?${new URLSearchParams({
      client_id: 'ablauf',
      response_type: 'code',
      scope: 'openid',
      redirect_uri: redirectUri,
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
      ...changed,
    }).toString()}`;
  const elsewhere = await new Browser().visit(url({ redirect_uri: 'https://elsewhere.example/callback' }));
  expect([elsewhere.status, elsewhere.redirects]).toEqual([400, []]);
  expect(elsewhere.text).toContain('invalid_redirect_uri');
  const bare = await new Browser().visit(url({ code_challenge: '', code_challenge_method: '' }), {
    follow: () => false,
  });
  expect(bare.redirects.at(-1)?.searchParams.get('error')).toBe('invalid_request');
});

test('a sign-in that is over cannot be gone back to', async () => {
  const { browser, page } = await begin();
  await browser.submit(page, { person: 'ada' }, { follow: (url) => url.origin !== api });
  const back = await browser.visit(page.url);
  expect(back.status).toBe(400);
  expect(back.text).toContain('Begin again');
});

test('it keeps its keys and secret, for its owner alone, and signs with them after a restart', async () => {
  const keys = async () => ((await (await fetch(`${provider.url}/jwks`)).json()) as { keys: unknown[] }).keys;
  const [before, { clientSecret }] = [await keys(), provider.entry];
  await provider.stop();
  provider = await start();
  expect(await keys()).toEqual(before);
  expect(JSON.stringify(before)).not.toMatch(/"(d|p|q)":/);
  expect(provider.entry['clientSecret']).toBe(clientSecret);
  for (const name of ['keys.json', 'client.secret']) {
    expect((await stat(join(folder, name))).mode & 0o077).toBe(0);
  }
  expect(await readFile(join(folder, 'client.secret'), 'utf8')).toContain(clientSecret);
});

test('it prints nothing, and names its port where that is taken', async () => {
  const free = await freePort();
  const script = `require('./src/embedded').startDevIdentityProvider({ dataDir: ${JSON.stringify(folder)}, port: ${free},
    origins: ['${api}'] }).then((provider) => fetch(provider.url + '/.well-known/openid-configuration').then(() => provider.stop()))`;
  const printed = await promisify(execFile)(process.execPath, ['--import', 'tsx', '-e', script], { cwd: root });
  expect(printed).toEqual({ stdout: '', stderr: '' });
  await expect(start()).rejects.toThrow(
    `Port ${port} is in use: stop what listens on it, or set ABLAUF_EMBEDDED_IDP_PORT`,
  );
});

test("a developer's own ABLAUF_SSO needs no port, and the API's public name comes first", async () => {
  const given = { ABLAUF_EMBEDDED_IDP_PORT: '3000' };
  await expect(requireFreePorts(readDevSettings(given))).rejects.toThrow(
    'ABLAUF_PORT and ABLAUF_EMBEDDED_IDP_PORT are both 3000',
  );
  expect(readDevSettings({ ...given, ABLAUF_SSO: '[]' }).ownIdentityProvider).toBe(true);
  expect(readDevSettings({ ABLAUF_SSO_FILE: '/somewhere' }).ownIdentityProvider).toBe(true);
  expect(readDevSettings({ ABLAUF_PORT: '3100', ABLAUF_PUBLIC_URL: 'https://ablauf.example/' }).origins).toEqual([
    'https://ablauf.example',
    'http://127.0.0.1:3100',
    'http://localhost:3100',
    'http://[::1]:3100',
  ]);
  expect(readDevSettings({ ABLAUF_TLS_CERT_FILE: '/cert' }).origins[0]).toBe('https://127.0.0.1:3000');
});
