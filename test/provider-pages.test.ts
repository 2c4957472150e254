/** R24: the page for customers and the report for auditors, as people and browsers get them. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { startApi, type Api } from './helpers/api';
import { barriersOn, describeInChromium, launchChromium } from './helpers/chromium';
import { adminKey } from './helpers/api';
import { providerEntry } from './helpers/providers';

let api: Api;
const hostile = '<script>alert("x")</script> & <img src=x onerror=alert(1)>';

beforeAll(async () => {
  api = await startApi();
  await api.ask('POST', '/v1/providers', { body: providerEntry('Database host') });
  await api.ask('POST', '/v1/providers', {
    body: providerEntry('Hostile', {
      purposes: [hostile],
      nextReview: '2026-03-01',
      notes: hostile,
      certifications: [{ name: 'ISO 9001', until: '2025-12-31' }],
    }),
  });
  const { body } = await api.ask('POST', '/v1/providers', { body: providerEntry('Former') });
  await api.ask('PUT', `/v1/providers/${String(body['id'])}`, {
    body: providerEntry('Former', { deletion: 'at once', notes: undefined }),
  });
  await api.ask('DELETE', `/v1/providers/${String(body['id'])}`);
  await api.ask('POST', '/v1/providers/starters', { body: { providers: ['aws'], sites: ['eu-central-1'] } });
}, 120_000);
afterAll(() => api.stop());

const pages = [
  ['the page for customers', '/providers', null],
  ['the report', '/v1/providers/report', adminKey],
] as const;

describe.each(pages)('%s', (_, path, key) => {
  it('comes in the language that is named, else in the one the browser asks for, else in English', async () => {
    const languageOf = async (query: string, accepted?: string) => {
      const headers = accepted === undefined ? {} : { 'accept-language': accepted };
      const { text, headers: answered } = await api.ask('GET', `${path}${query}`, { key, headers });
      const [, declared] = /<html lang="(\w+)">/.exec(text) ?? [];
      expect(answered.get('content-language')).toBe(declared);
      expect(answered.get('vary')).toContain('Accept-Language');
      return declared;
    };
    expect(await languageOf('')).toBe('en');
    expect(await languageOf('', 'de-AT,de;q=0.9,en;q=0.5')).toBe('de');
    expect(await languageOf('', 'fr, en;q=0.3, de;q=0.7')).toBe('de');
    expect(await languageOf('', 'de;q=0, *')).toBe('en');
    expect(await languageOf('', 'fr')).toBe('en');
    expect(await languageOf('?lang=en', 'de')).toBe('en');
    expect(await languageOf('?lang=de', 'en')).toBe('de');
    expect((await api.ask('GET', `${path}?lang=fr`, { key })).status).toBe(400);
  });

  it('holds no script, allows none, and writes what was entered as text', async () => {
    const { text, headers } = await api.ask('GET', path, { key });
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    );
    expect(text).not.toMatch(/<script|<img|<link|src="/);
    expect(text).toContain(
      '&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &lt;img src=x onerror=alert(1)&gt;',
    );
  });
});

describe('the page for customers', () => {
  it('says nothing of notes, persons, or where the document lies', async () => {
    const { text } = await api.ask('GET', '/providers', { key: null });
    expect(text).toContain('Frankfurt, Germany (eu-central-1, DE)');
    expect(text).toContain('given on 3 February 2026');
    expect(text).toContain('lapsed');
    expect(text).not.toMatch(/Petra|discount|disclosure\.pdf|bootstrap|prov_|Former/);
  });

  it('is German where it is to be, but for what was entered in one language alone', async () => {
    const { text } = await api.ask('GET', '/providers?lang=de', { key: null });
    expect(text).toContain('Frankfurt am Main (eu-central-1, DE)');
    expect(text).toContain('erteilt am 3. Februar 2026');
    expect(text).toContain('Eingaben (Prompts)');
    expect(text).toContain('TLS 1.3');
    expect(text).not.toMatch(/Who stores|Access control|Sub-processors|Germany/);
  });
});

describe('the report', () => {
  it('says everything: contact, notes, document, who took it in, and each change from the audit log', async () => {
    const { text } = await api.ask('GET', '/v1/providers/report');
    expect(text).toMatch(/Petra Muster[\s\S]*petra@example\.org/);
    expect(text).toContain('the discount ends in May');
    expect(text).toContain('0f'.repeat(32));
    expect(text).toContain('taken in by bootstrap');
    expect(text).toContain('Review overdue');
    expect(text).toMatch(/Removed providers[\s\S]*Former[\s\S]*entered[\s\S]*changed[\s\S]*removed/);
    expect(text).toContain('Deletion: <code>within 24 hours</code> → <code>at once</code>');
    expect(text).toContain('changed, not on record here: Notes');
  });

  it('is for those who may read the register', async () => {
    expect((await api.ask('GET', '/v1/providers/report', { key: null })).status).toBe(401);
    expect((await api.ask('GET', '/v1/providers/report', { key: await api.keyFor('gateway') })).status).toBe(403);
  });
});

describeInChromium('in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  }, 60_000);
  afterAll(() => browser.close());

  /** Where pictures go, for whoever wants to look; nowhere as a rule. */
  const pictures = process.env['ABLAUF_TEST_PICTURES'];

  async function open(path: string, key: string | null, dark: boolean, width = 1100): Promise<Page> {
    const context = await browser.newContext({
      colorScheme: dark ? 'dark' : 'light',
      viewport: { width, height: 900 },
      ...(key === null ? {} : { extraHTTPHeaders: { authorization: `Bearer ${key}` } }),
    });
    const page = await context.newPage();
    await page.goto(`${api.url}${path}`);
    return page;
  }

  const views = pages.flatMap(([name, path, key]) =>
    ['en', 'de'].flatMap((language) =>
      [false, true].map(
        (dark) => [`${name} (${language}, ${dark ? 'dark' : 'light'})`, `${path}?lang=${language}`, key, dark] as const,
      ),
    ),
  );

  it.each(views)('%s can be read by everybody, and asks nobody for anything', async (name, path, key, dark) => {
    const page = await open(path, key, dark);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    await page.reload();
    const own = [...complaints];
    expect(await barriersOn(page)).toEqual([]);
    // The browser asks for an icon by itself.
    expect(asked.filter((url) => !url.endsWith('/favicon.ico'))).toEqual([`${api.url}${path}`]);
    expect(own.filter((text) => !text.includes('404'))).toEqual([]);
    const ground = await page.evaluate('getComputedStyle(document.body).backgroundColor');
    expect(ground).toBe(dark ? 'rgb(13, 17, 23)' : 'rgb(255, 255, 255)');
    if (pictures !== undefined) {
      mkdirSync(pictures, { recursive: true });
      await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
    }
    await page.context().close();
  });

  it('fits a telephone, and is printed black on white', async () => {
    const page = await open('/providers?lang=de', null, true, 360);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    expect(await barriersOn(page)).toEqual([]);
    await page.emulateMedia({ media: 'print' });
    expect(await page.evaluate('getComputedStyle(document.body).color')).toBe('rgb(0, 0, 0)');
    expect(await page.evaluate('getComputedStyle(document.querySelector("nav")).display')).toBe('none');
    if (pictures !== undefined) await page.pdf({ path: join(pictures, 'printed.pdf') });
    await page.context().close();
  });
});
