/**
 * R28: the product opens no connection that its operator did not configure, its bundled servers included. The whole system, from
 * `npm run dev`, runs where no route leads out of this machine, while an account goes through its whole life; the kernel counts
 * what tried to leave.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const script = join(__dirname, 'helpers', 'without-route.sh');
/** Whoever is not root becomes it in a namespace of its own, where that is allowed. */
const become = process.getuid?.() === 0 ? [] : ['--map-root-user'];
const namespaces = [...become, '--net', '--mount'];
const probe = spawnSync('unshare', [...namespaces, 'true'], { encoding: 'utf8' });
const reason = probe.status === 0 ? undefined : (probe.error?.message ?? probe.stderr.trim());

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablauf-no-route-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ran {
  readonly attempts: number;
  readonly code: number;
  readonly said: string;
}

function withoutRoute(command: readonly string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    // Fetching a server would be announced, and is forbidden: the test run has fetched them already.
    const env = { ...process.env, ABLAUF_OFFLINE: '1' };
    const child = spawn('unshare', [...namespaces, script, folder, ...command], {
      cwd: join(__dirname, '..'),
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (said += String(part)));
    child.once('error', reject);
    child.once('close', () => {
      const [, attempts, code] = /attempts to leave: (\d+); exit code: (\d+)/.exec(said) ?? [];
      if (attempts === undefined) reject(new Error(`the command did not run:\n${said.slice(-3000)}`));
      else resolve({ attempts: Number(attempts), code: Number(code), said });
    });
  });
}

const node = (source: string) => withoutRoute([process.execPath, '-e', source]);
const whenPermitted = reason === undefined ? describe : describe.skip;

whenPermitted(`R28: no telemetry${reason === undefined ? '' : ` (needs namespaces: ${reason})`}`, () => {
  test.each([
    ['a name looked up', `require('dns').lookup('telemetry.example.org', () => undefined)`],
    ['a name asked of the resolver', `require('dns').resolve('telemetry.example.org', () => undefined)`],
    ['a connection', `require('net').connect(443, '192.0.2.1').on('error', () => undefined)`],
    ['a connection over IPv6', `require('net').connect(443, '2001:db8::1').on('error', () => undefined)`],
    ['a datagram', `const s = require('dgram').createSocket('udp4'); s.send('x', 9, '192.0.2.1', () => s.close())`],
  ])('%s is counted', async (_, source) => {
    expect((await node(source)).attempts).toBeGreaterThan(0);
  });

  test('what stays on this machine is not', async () => {
    const source = `const s = require('http').createServer((q, r) => r.end('here')).listen(0, async () => {
      await fetch('http://localhost:' + s.address().port); await fetch('http://127.0.0.1:' + s.address().port); process.exit(0) })`;
    expect(await node(source)).toMatchObject({ attempts: 0, code: 0 });
  });

  test('a whole life, from creation to proven erasure, tries to reach nobody', async () => {
    const life = await withoutRoute([process.execPath, '--import', 'tsx', join('scripts', 'demo.ts')]);
    // It says itself what it went through; only a life that was lived counts.
    expect(life).toMatchObject({ code: 0, said: expect.stringMatching(/erased/i) });
    expect(life.attempts).toBe(0);
  }, 400_000);
});
