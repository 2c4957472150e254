/** The page to read and try the contract on, in a real browser: it works from here alone, under a strict policy, without a complaint. */
import type { Browser } from 'playwright-core';
import { startApi, type Api } from './helpers/api';
import { describeInChromium, launchChromium } from './helpers/chromium';

describeInChromium('GET /docs', () => {
  let api: Api;
  let browser: Browser;

  beforeAll(async () => {
    [api, browser] = await Promise.all([startApi(), launchChromium()]);
  });
  afterAll(async () => {
    await browser.close();
    await api.stop();
  });

  it('shows every operation, asks nobody else for anything, and breaks no rule of its own policy', async () => {
    const page = await browser.newPage();
    const said: string[] = [];
    const asked: string[] = [];
    page.on('console', (message) => {
      if (message.type() !== 'log') said.push(message.text());
    });
    page.on('pageerror', (error) => said.push(error.message));
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(`${api.url}/docs`);
    const suspend = page.locator('#operations-accounts-suspendAccount');
    await suspend.waitFor();

    expect(await page.title()).toBe('Ablauf: the API');
    expect(await page.getAttribute('html', 'lang')).toBe('en');
    const operations = api.routes.filter((route) => route.published !== false);
    expect(await page.locator('.opblock').count()).toBe(operations.length);

    // Opened, with its schemas and the form to try it: that is where inline styles would be.
    await suspend.locator('.opblock-summary-control').click();
    await page.getByRole('button', { name: 'Try it out' }).click();
    await page.getByRole('button', { name: 'Execute' }).waitFor();
    expect(said).toEqual([]);
    expect(asked.filter((url) => !url.startsWith(api.url) && !url.startsWith('data:'))).toEqual([]);
  });

  it('lets one try a call, with a key that is kept nowhere', async () => {
    const page = await browser.newPage();
    await page.goto(`${api.url}/docs`);
    await page.locator('#operations-service-getLiveness .opblock-summary-control').click();
    await page.getByRole('button', { name: 'Try it out' }).click();
    const [answered] = await Promise.all([
      page.waitForResponse((response) => response.url() === `${api.url}/healthz`),
      page.getByRole('button', { name: 'Execute' }).click(),
    ]);
    expect(answered.status()).toBe(200);
    expect(await page.evaluate('localStorage.length')).toBe(0);
  });
});

it('is a page with a policy that lets nothing in but our own files', async () => {
  const api = await startApi();
  try {
    const { status, headers, text } = await api.ask('GET', '/docs', { key: null });
    expect(status).toBe(200);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(text).not.toMatch(/https?:\/\//);
    for (const [, file = ''] of text.matchAll(/(?:src|href)="\.\/([^"]+)"/g)) {
      expect([file, (await api.ask('GET', `/${file}`, { key: null })).status]).toEqual([file, 200]);
    }
  } finally {
    await api.stop();
  }
});
