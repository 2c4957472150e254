import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// The promise: a deadline is the same instant wherever the machine that computes it stands. The zones change their clocks on
// different days, one of them by half an hour. A zone is fixed when a process starts, so each is a process of its own, on the
// servers of this run.

const root = join(__dirname, '..');
const zones = ['UTC', 'America/New_York', 'Australia/Lord_Howe'];

let folder: string;
let config: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ablauf-zones-'));
  config = join(folder, 'jest.config.cjs');
  const base = JSON.stringify(join(root, 'jest.config.cjs'));
  // The servers run already, and their addresses are in the environment.
  await writeFile(
    config,
    `const { globalSetup, globalTeardown, ...rest } = require(${base});
     module.exports = { ...rest, rootDir: ${JSON.stringify(root)} };`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Outcome {
  readonly success: boolean;
  readonly passed: number;
  readonly said: string;
}

async function testsIn(zone: string, args: readonly string[]): Promise<Outcome> {
  const child = spawn(
    process.execPath,
    [require.resolve('jest/bin/jest'), '--config', config, '--json', '--runInBand', ...args],
    {
      cwd: root,
      env: { ...process.env, TZ: zone },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let [out, said] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  await new Promise((resolve) => child.on('close', resolve));
  const report = JSON.parse(out.slice(out.indexOf('{"'))) as { success: boolean; numPassedTests: number };
  return { success: report.success, passed: report.numPassedTests, said };
}

test.each(zones)(
  'in %s every decision and every deadline is as it is elsewhere',
  async (zone) => {
    const { success, passed, said } = await testsIn(zone, ['test/lifecycle.test.ts']);
    expect(success ? '' : said).toBe('');
    expect(passed).toBeGreaterThan(150);
  },
  60_000,
);

test.each(zones)(
  'R3, R5, R6 in %s: accounts are closed and erased at the same instants',
  async (zone) => {
    const { success, passed, said } = await testsIn(zone, [
      'test/rules.test.ts',
      '-t',
      'time-skipping server R(3, R5|6: erasure)',
    ]);
    expect(success ? '' : said).toBe('');
    expect(passed).toBe(2);
  },
  120_000,
);
