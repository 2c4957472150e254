/**
 * Takes the pictures in docs/images/ of Temporal's Web UI, from a running system with accounts in every state. Needs a
 * Chromium: Debian's, or the one `CHROMIUM` names.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { startDevSystem, type DevSystem } from './support/dev-system';
import { call } from './support/http';
import { liteLlmCall } from './support/traffic';

const images = join(__dirname, '..', 'docs', 'images');
const region = 'eu-central-1';

/** The columns an operator would choose in the Web UI's "Configure table". */
const columns = {
  default: ['Status', 'Workflow ID', 'AccountState', 'NextAction', 'DeadlineAt', 'HoldCount', 'Start'].map((label) => ({
    label,
  })),
};

async function main(): Promise<void> {
  await mkdir(images, { recursive: true });
  const system = await startDevSystem({
    environment: { ABLAUF_MIN_PERIOD: 'PT1S', ABLAUF_MIN_NOTICE: 'PT0S', ABLAUF_REGION: region },
  });
  try {
    const erased = await populate(system);
    const browser = await chromium.launch({
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    try {
      const page = await browser.newPage({ viewport: { width: 1500, height: 900 }, deviceScaleFactor: 1 });
      await page.addInitScript(
        `localStorage.setItem('namespace-workflow-table-columns', ${JSON.stringify(JSON.stringify(columns))})`,
      );
      await takeList(page, system);
      await takeTimeline(page, system, erased);
    } finally {
      await browser.close();
    }
  } finally {
    await system.stop();
  }
}

/** Accounts in every state; returns the one whose whole life is over. */
async function populate({ api, adminKey }: DevSystem): Promise<string> {
  const ask = async (path: string, body: unknown) => {
    const { status, body: answer } = await call(api, adminKey, 'POST', path, body);
    if (status >= 400) throw new Error(`${path} answered ${status}: ${JSON.stringify(answer)}`);
  };
  const create = (id: string, policy?: unknown) =>
    ask('/v1/accounts', {
      id,
      name: `The ${id} company`,
      email: `${id}@example.org`,
      plan: 'enterprise',
      ...(policy === undefined ? {} : { policy }),
    });
  await create('globex', { gracePeriod: 'PT3S', expiryPeriod: 'PT3S' });
  await ask(
    '/v1/ingest/litellm',
    Array.from({ length: 300 }, () => liteLlmCall({ account: 'globex' })),
  );
  await ask('/v1/accounts/globex/suspend', { reason: 'non_payment' });
  await create('acme');
  await create('initech');
  await ask('/v1/accounts/initech/suspend', { reason: 'terms_violation' });
  await create('umbrella');
  await ask('/v1/accounts/umbrella/close', {});
  await ask('/v1/accounts/umbrella/holds', { reason: 'case 4711' });
  await create('hooli');
  await ask('/v1/accounts/hooli/suspend', { reason: 'non_payment' });
  await ask('/v1/accounts/hooli/reinstate', {});
  for (const end = Date.now() + 60_000; ;) {
    const { body } = await call<{ state: string }>(api, adminKey, 'GET', '/v1/accounts/globex');
    if (body.state === 'erased') return 'globex';
    if (Date.now() > end) throw new Error('the account was not erased in time');
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function takeList(page: Page, { webUi }: DevSystem): Promise<void> {
  await page.goto(`${webUi}/namespaces/default/workflows`, { waitUntil: 'networkidle' });
  await page.getByText('account/eu-central-1/acme').first().waitFor();
  await page.screenshot({ path: join(images, 'temporal-list.png') });
}

async function takeTimeline(page: Page, { webUi }: DevSystem, account: string): Promise<void> {
  const id = encodeURIComponent(`account/${region}/${account}`);
  await page.goto(`${webUi}/namespaces/default/workflows/${id}`, { waitUntil: 'networkidle' });
  await page.getByText('Record step', { exact: false }).first().waitFor();
  await page.waitForTimeout(1500);
  // The page scrolls inside of itself, so the window has to be as tall as the timeline.
  await page.setViewportSize({ width: 1500, height: 1250 });
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(images, 'temporal-timeline.png') });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
