/** A real browser, for what only one can tell: how a page looks, and whether everybody can read it. */
import { existsSync, readFileSync } from 'node:fs';
import { chromium, type Browser, type Page } from 'playwright-core';

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** `describe`, or where no Chromium can be had one that is skipped and says so. */
export const describeInChromium: jest.Describe = existsSync(executablePath) ? describe : describe.skip;

/** Starts it. It asks nobody on the network for anything but the pages it is sent to. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath,
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
}

const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

/** What keeps somebody from reading a page, by axe-core: the rule, and where. */
export async function barriersOn(page: Page): Promise<string[]> {
  // The pages allow no script; what looks at them goes past that.
  const session = await page.context().newCDPSession(page);
  const expression = `${axe}; axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)`;
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    expression,
    awaitPromise: true,
    returnByValue: true,
  });
  if (exceptionDetails !== undefined) throw new Error(`axe-core failed: ${JSON.stringify(exceptionDetails)}`);
  const violations = result.value as { id: string; nodes: { html: string }[] }[];
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}
