/**
 * Signing in with a real Keycloak, set up as docs/guides/sso-keycloak.md says, by the forms of its own login page; and what
 * it then does of its own accord.
 */
import type { Browser as Chromium } from 'playwright-core';
import { startApi, type Api } from './helpers/api';
import { Browser } from './helpers/browser';
import { describeInChromium, launchChromium } from './helpers/chromium';
import { eventually } from './helpers/eventually';
import { keycloakIsMissing, keycloakVersion, startKeycloak, type Keycloak } from './helpers/keycloak';
import { askIn } from './helpers/sign-in';
import { openProvider, type ProviderSettings } from '../src/sso';

const missing = keycloakIsMissing();
if (missing !== undefined) process.stderr.write(`${missing}; signing in with it is not tested\n`);
const describeWithKeycloak = missing === undefined ? describe : describe.skip;

/** A first start fetches and builds it. */
const patience = 600_000;
const id = 'keycloak';

describeWithKeycloak(`Keycloak ${keycloakVersion}`, () => {
  let keycloak: Keycloak;
  let api: Api;
  let account: string;

  beforeAll(async () => {
    keycloak = await startKeycloak({
      realmRoles: ['ablauf-auditor'],
      clientRoles: ['admin', 'customer'],
      users: [
        { name: 'ada', clientRoles: ['admin'] },
        { name: 'mira', realmRoles: ['ablauf-auditor'] },
        { name: 'chris', clientRoles: ['customer'], account: 'acme-keycloak' },
        { name: 'drew', clientRoles: ['customer'] },
        { name: 'nora' },
      ],
    });
    const settings: ProviderSettings = {
      id,
      kind: 'keycloak',
      name: 'Keycloak',
      issuer: new URL(keycloak.issuer),
      clientId: keycloak.clientId,
      clientSecret: keycloak.clientSecret,
      scope: 'openid profile email',
      hostedDomains: [],
      tenants: [],
      roles: [
        { claim: ['resource_access', keycloak.clientId, 'roles'], value: 'admin', role: 'admin' },
        { claim: ['realm_access', 'roles'], value: 'ablauf-auditor', role: 'auditor' },
        {
          claim: ['resource_access', keycloak.clientId, 'roles'],
          value: 'customer',
          role: 'customer',
          account: { claim: ['account'] },
        },
      ],
    };
    api = await startApi({ signIn: { providers: [settings] } });
    account = await api.system.createAccount({ id: 'acme-keycloak' });
    await keycloak.introduce(api.url, id);
  }, patience);

  afterAll(async () => {
    // What did not start is not stopped.
    await (api as Api | undefined)?.stop();
    await (keycloak as Keycloak | undefined)?.stop();
  });

  /** Signs in by Keycloak's own form, where it shows one. */
  async function signIn(name: string, browser = new Browser(), query = '') {
    const page = await browser.visit(`${api.url}/auth/${id}/login${query}`);
    const isAsked = page.text.includes('kc-form-login');
    const back = isAsked ? await browser.submit(page, { username: name, password: name }) : page;
    return { browser, page: back, isAsked };
  }

  async function whoIn(browser: Browser): Promise<Record<string, unknown> | undefined> {
    const { status, body } = await askIn(browser, api, 'GET', '/auth/me');
    return status === 401 ? undefined : body;
  }

  test('R26: it is the version the guide names', () => {
    expect(keycloak.version).toBe(keycloakVersion);
  });

  test("R26: a client's role, a realm's role, and a customer's account from a claim", async () => {
    const ada = await signIn('ada');
    expect(ada.page.url.href).toBe(`${api.url}/auth`);
    expect(await whoIn(ada.browser)).toMatchObject({
      role: 'admin',
      user: { name: 'ada Example', email: 'ada@example.com' },
      provider: { id, kind: 'keycloak' },
    });
    expect(await whoIn((await signIn('mira')).browser)).toMatchObject({ role: 'auditor' });
    const chris = (await signIn('chris')).browser;
    expect(await whoIn(chris)).toMatchObject({ role: 'customer', account });
    expect((await askIn(chris, api, 'GET', `/v1/accounts/${account}`)).status).toBe(200);
    const others = await api.system.createAccount();
    expect((await askIn(chris, api, 'GET', `/v1/accounts/${others}`)).status).toBe(404);
  });

  test('R26: without a role, or as a customer of no account, nobody is let in, and told why', async () => {
    const nora = await signIn('nora');
    expect([nora.page.status, await whoIn(nora.browser)]).toEqual([403, undefined]);
    expect(nora.page.text).toContain('nothing gives you a role here');
    const drew = await signIn('drew');
    expect([drew.page.status, await whoIn(drew.browser)]).toEqual([403, undefined]);
  });

  test('R26: a wrong password stays with Keycloak', async () => {
    const browser = new Browser();
    const page = await browser.visit(`${api.url}/auth/${id}/login`);
    const again = await browser.submit(page, { username: 'ada', password: 'wrong' });
    expect(again.url.origin).toBe(new URL(keycloak.issuer).origin);
    expect(await whoIn(browser)).toBeUndefined();
  });

  test('R26: signing out here signs out there, and leads back', async () => {
    const { browser } = await signIn('ada');
    // While Keycloak's own session goes on, it asks nobody anything.
    expect((await signIn('ada', browser)).isAsked).toBe(false);
    const out = await askIn(browser, api, 'POST', '/auth/logout', {});
    const page = await browser.visit(String(out.body['logoutUrl']));
    expect(`${page.url.origin}${page.url.pathname}`).toBe(`${api.url}/auth`);
    expect(page.text).toContain('You are signed out');
    expect(await whoIn(browser)).toBeUndefined();
    expect((await signIn('ada', browser)).isAsked).toBe(true);
  });

  test('R26: ended there, by its administrator, a session ends here (back-channel logout)', async () => {
    const [one, other] = [(await signIn('mira')).browser, (await signIn('ada')).browser];
    await keycloak.endSessionsOf('mira');
    await eventually('the session ends', async () => ((await whoIn(one)) === undefined ? true : undefined), 20_000);
    expect(await whoIn(other)).toMatchObject({ role: 'admin' });
    const { body } = await api.ask('GET', '/v1/audit?action=session.ended');
    expect(JSON.stringify(body['items'])).toContain('"by":"provider"');
  });

  test('R26: asked to prove anew who they are, people are asked by Keycloak although they are signed in there', async () => {
    const { browser } = await signIn('ada');
    const before = await whoIn(browser);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const fresh = await signIn('ada', browser, '?fresh=1');
    expect([fresh.isAsked, fresh.page.status]).toEqual([true, 200]);
    const after = await whoIn(browser);
    expect(Date.parse(String(after?.['authenticatedAt']))).toBeGreaterThan(
      Date.parse(String(before?.['authenticatedAt'])),
    );
  });

  test('R26: keys replaced in the realm are followed without a restart', async () => {
    await signIn('ada');
    await keycloak.rotateKeys();
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const { browser, page } = await signIn('ada');
    expect(page.status).toBe(200);
    expect(await whoIn(browser)).toMatchObject({ role: 'admin' });
  });

  test('R26: it wants the code verifier, and the secret', async () => {
    const bare = new URL(`${keycloak.issuer}/protocol/openid-connect/auth`);
    const parameters = { client_id: keycloak.clientId, response_type: 'code', scope: 'openid' };
    bare.search = new URLSearchParams({ ...parameters, redirect_uri: `${api.url}/auth/${id}/callback` }).toString();
    const page = await new Browser().visit(bare, { follow: ({ origin }) => origin !== api.url });
    expect(page.redirects.at(-1)?.searchParams.get('error')).toBe('invalid_request');
    const known = { id, kind: 'keycloak', name: 'Keycloak', issuer: new URL(keycloak.issuer) } as const;
    const impostor = openProvider(
      {
        ...known,
        clientId: keycloak.clientId,
        clientSecret: 'guessed',
        scope: 'openid',
        hostedDomains: [],
        tenants: [],
        roles: [],
      },
      { clock: () => new Date() },
    );
    const redirectUri = `${api.url}/auth/${id}/callback`;
    const { url, secrets } = await impostor.begin({ redirectUri, fresh: false });
    const browser = new Browser();
    const form = await browser.visit(url);
    const follow = ({ pathname }: URL) => !pathname.endsWith('/callback');
    const answered = await browser.submit(form, { username: 'ada', password: 'ada' }, { follow });
    const back = answered.redirects.at(-1)?.searchParams ?? new URLSearchParams();
    expect(back.get('code')).not.toBeNull();
    await expect(impostor.finish(back, secrets, { redirectUri })).rejects.toMatchObject({ fault: 'token' });
  });

  describeInChromium('in a real browser', () => {
    let chromium: Chromium;
    beforeAll(async () => {
      chromium = await launchChromium();
    });
    afterAll(() => chromium.close());

    test('R26: one signs in by its page, sees who one is, and signs out of both', async () => {
      const context = await chromium.newContext({ locale: 'en-GB' });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error' && page.url().startsWith(api.url)) complaints.push(message.text());
      });
      await page.goto(`${api.url}/auth`);
      await page.getByRole('link', { name: 'Sign in with Keycloak' }).click();
      await page.locator('#username').fill('mira');
      await page.locator('#password').fill('mira');
      await page.locator('#kc-login').click();
      await page.waitForURL(`${api.url}/auth`);
      expect(await page.getByRole('main').innerText()).toMatch(/mira Example[\s\S]*Auditor/);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('You are signed out.').waitFor();
      expect(new URL(page.url()).origin).toBe(api.url);
      await page.getByRole('link', { name: 'Sign in with Keycloak' }).click();
      await page.locator('#username').waitFor();
      expect(complaints).toEqual([]);
      await context.close();
    });
  });
});
