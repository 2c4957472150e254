/** Signing in and out by hand, in a real browser, with the identity provider of a development start (R26). */
import './helpers/host-dispatcher';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { ssoConfig } from '../src/config-sso';
import { freePort, startDevIdentityProvider, type DevIdentityProvider } from '../src/embedded';
import type { ProviderSettings } from '../src/sso';
import { startApi, type Api } from './helpers/api';
import { barriersOn, describeInChromium, launchChromium } from './helpers/chromium';

/** Where screenshots go, for whoever wants to look at them. */
const shots = process.env['ABLAUF_TEST_SCREENSHOTS'];

describeInChromium('in a real browser', () => {
  let folder: string;
  let provider: DevIdentityProvider;
  let api: Api;
  let browser: Browser;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ablauf-sso-browser-'));
    const port = await freePort();
    const start = (origin: string) => startDevIdentityProvider({ dataDir: folder, port, origins: [origin] });
    // Each has to know of the other. The secret is kept, so what is configured holds for the second start, too.
    provider = await start('http://127.0.0.1:9');
    api = await startApi({ signIn: { providers: configured(provider) } });
    await provider.stop();
    provider = await start(api.url);
    await api.system.createAccount({ id: 'acme' });
    browser = await launchChromium();
  }, 180_000);

  afterAll(async () => {
    await browser.close();
    await api.stop();
    await provider.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** What the API makes of the entry it is started with. */
  function configured({ entry }: DevIdentityProvider): readonly ProviderSettings[] {
    const flaws: string[] = [];
    const periods = {
      ABLAUF_SESSION_IDLE: 'PT1H',
      ABLAUF_SESSION_LIFETIME: 'PT12H',
      ABLAUF_STEP_UP_AGE: 'PT10M',
    } as const;
    const given = { ...periods, ABLAUF_SSO: JSON.stringify([entry]), ABLAUF_HOST: '127.0.0.1' };
    const { providers } = ssoConfig(given, flaws);
    expect(flaws).toEqual([]);
    return providers;
  }

  interface Visitor {
    readonly page: Page;
    /** What the browser complained of, and asked anybody else for. */
    readonly complaints: string[];
    readonly elsewhere: string[];
    close(): Promise<void>;
  }

  async function visitor(options: BrowserContextOptions = {}): Promise<Visitor> {
    const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 900, height: 900 }, ...options });
    const page = await context.newPage();
    const [complaints, elsewhere]: [string[], string[]] = [[], []];
    page.on('console', (message) => void complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => void complaints.push(error.message));
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol !== 'data:' && origin !== api.url && origin !== provider.url) elsewhere.push(request.url());
    });
    return { page, complaints, elsewhere, close: () => context.close() };
  }

  /** Goes by links and buttons, as somebody would who was told of the address. */
  async function begin(page: Page, link: string): Promise<void> {
    await page.goto(`${api.url}/auth`);
    await page.getByRole('link', { name: link }).click();
    await page.waitForURL(`${provider.url}/interaction/**`);
  }

  async function look(page: Page, name: string): Promise<void> {
    if (shots !== undefined) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
    expect([name, await barriersOn(page)]).toEqual([name, []]);
  }

  test('R26: one picks a person, comes back signed in, sees who one is, and signs out', async () => {
    const { page, complaints, elsewhere, close } = await visitor();
    await page.goto(`${api.url}/auth`);
    await look(page, 'sign-in-en');
    await begin(page, 'Sign in with Development');
    await look(page, 'pick-en');
    await page.getByRole('button', { name: /Ada Winter/ }).click();
    await page.waitForURL(`${api.url}/auth`);
    expect(await page.getByRole('main').innerText()).toMatch(/Ada Winter\s+ada@example\.com[\s\S]*Administrator/);
    await look(page, 'signed-in-en');
    const [session] = (await page.context().cookies(api.url)).filter(({ name }) => name === 'ablauf_session');
    expect(session).toMatchObject({ httpOnly: true, sameSite: 'Lax', path: '/', expires: -1 });
    await page.getByRole('button', { name: 'Sign out' }).click();
    // The provider asks, as it has to: anybody can lead somebody to the page that signs out.
    await page.waitForURL(`${provider.url}/session/end**`);
    await look(page, 'sign-out-en');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForURL(({ origin }) => origin === api.url);
    expect(await page.getByRole('status').innerText()).toBe('You are signed out.');
    await look(page, 'signed-out-en');
    await page.goto(`${api.url}/auth`);
    expect(await page.getByRole('link', { name: 'Sign in with Development' }).count()).toBe(1);
    expect([complaints, elsewhere]).toEqual([[], []]);
    await close();
  });

  test('R26: a customer of a named account sees that account, in German and in the dark', async () => {
    const dark = { locale: 'de-DE', colorScheme: 'dark', viewport: { width: 390, height: 844 } } as const;
    const { page, complaints, elsewhere, close } = await visitor(dark);
    await page.goto(`${api.url}/auth`);
    await look(page, 'sign-in-de');
    await begin(page, 'Mit Development anmelden');
    await look(page, 'pick-de');
    await page.getByLabel(/^Konto/).fill('acme');
    // The enter key picks the person whose field it is, and nobody with more rights.
    await page.getByLabel(/^Konto/).press('Enter');
    await page.waitForURL(`${api.url}/auth`);
    const said = await page.getByRole('main').innerText();
    expect(said).toMatch(/Chris Moreau/);
    expect(said).toMatch(/acme/);
    await look(page, 'signed-in-de');
    expect(await page.locator('html').getAttribute('lang')).toBe('de');
    expect([complaints, elsewhere]).toEqual([[], []]);
    await close();
  });

  test.each([
    ['en-GB', 'Sign in with Development', 'nothing gives you a role here'],
    ['de-DE', 'Mit Development anmelden', 'nichts gibt Ihnen hier eine Rolle'],
  ])('R26: whoever has no role is told so, in their language (%s)', async (locale, link, told) => {
    const { page, complaints, elsewhere, close } = await visitor({ locale });
    await begin(page, link);
    await page.getByRole('button', { name: /Nora Haas/ }).click();
    await page.waitForURL(`${api.url}/auth/dev/callback**`);
    expect(await page.getByRole('alert').innerText()).toContain(told);
    await look(page, `no-role-${locale}`);
    // The way out is to choose somebody else, and leads there.
    await page.getByRole('link').first().click();
    await page.waitForURL(`${provider.url}/interaction/**`);
    await page.getByRole('button', { name: /Mira Okafor/ }).click();
    await page.waitForURL(`${api.url}/auth`);
    expect(await page.getByRole('main').innerText()).toContain('Mira Okafor');
    // A page that says that something is refused is answered with the status that says so, which browsers print.
    expect(complaints.filter((text) => !text.includes('status of 403'))).toEqual([]);
    expect(elsewhere).toEqual([]);
    await close();
  });

  test('R26: proving anew who one is is another question at the provider, and the same person afterwards', async () => {
    const { page, complaints, close } = await visitor();
    await begin(page, 'Sign in with Development');
    await page.getByRole('button', { name: /Ada Winter/ }).click();
    await page.waitForURL(`${api.url}/auth`);
    await page.goto(`${api.url}/auth/dev/login?fresh=1`);
    await page.getByRole('button', { name: /Oskar Brandt/ }).click();
    await page.waitForURL(`${api.url}/auth/dev/callback**`);
    expect(await page.getByRole('alert').innerText()).toContain('somebody else');
    await page.goto(`${api.url}/auth/dev/login?fresh=1`);
    await page.getByRole('button', { name: /Ada Winter/ }).click();
    await page.waitForURL(`${api.url}/auth`);
    expect(await page.getByRole('main').innerText()).toContain('Ada Winter');
    expect(complaints.filter((text) => !text.includes('status of 403'))).toEqual([]);
    await close();
  });
});
