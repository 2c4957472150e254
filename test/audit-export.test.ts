/** R19: the audit log as a stream for a SIEM: complete, in order, resumable, and no faster than it is taken. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { sequenceBatch } from '../src/audit';
import { adminKey, startApi, type Api } from './helpers/api';
import { eventually } from './helpers/eventually';

interface Line {
  readonly position: number;
  readonly id: string;
  readonly action: string;
}

let api: Api;
let auditor: string;
let revealed = 0;
const ending = new AbortController();

beforeAll(async () => {
  api = await startApi({
    dependencies: (given) => {
      const audit: typeof given.store.audit = {
        ...given.store.audit,
        reveal(entries) {
          revealed += entries.length;
          return given.store.audit.reveal(entries);
        },
      };
      return { ...given, ending: ending.signal, store: { ...given.store, audit } };
    },
  });
  auditor = await api.keyFor('auditor');
  const id = await api.system.createAccount();
  await api.system.send(id, 'suspend', { reason: 'other', note: 'for Ms Miller' });
  await settled();
}, 120_000);
afterAll(() => api.stop());

/** Waits until every entry has its place. */
async function settled(): Promise<void> {
  const { entries } = api.system.store.audit;
  await eventually('a place for each entry', async () =>
    (await entries.countDocuments({ tile: -1 })) === 0 ? true : undefined,
  );
}

async function exported(query = ''): Promise<Line[]> {
  const { status, text, headers } = await api.ask('GET', `/v1/audit/export${query}`, { key: auditor });
  expect([status, headers.get('content-type')]).toEqual([200, 'application/x-ndjson; charset=utf-8']);
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
}

interface Following {
  readonly lines: string[];
  /** Whether the answer came to its proper end, once it has ended. */
  readonly ended: Promise<boolean>;
  readonly response: IncomingMessage;
}

async function follow(query: string, key = auditor): Promise<Following> {
  const request = get(`${api.url}/v1/audit/export?follow=1${query}`, { headers: { authorization: `Bearer ${key}` } });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const lines: string[] = [];
  createInterface({ input: response }).on('line', (line) => lines.push(line));
  const ended = new Promise<boolean>((resolve) => {
    response.once('close', () => resolve(response.complete));
  });
  return { lines, ended, response };
}

test('R19: every entry is in it once, in the order of the log, as the API shows it', async () => {
  const lines = await exported();
  expect(lines.map(({ position }) => position)).toEqual(lines.map((_, index) => index));
  const { body } = await api.ask('GET', '/v1/audit?limit=1000&action=account.suspended', { key: auditor });
  const [suspended] = body['items'] as Line[];
  const { position: _, ...line } = lines.find(({ action }) => action === 'account.suspended') as Line;
  expect(line).toEqual(suspended);
  expect(line).toMatchObject({ details: { note: 'for Ms Miller' } });
});

test('R19: it goes on after any position, and ends after as many as asked for', async () => {
  await settled();
  const all = await exported();
  expect(await exported('?after=1')).toEqual(all.slice(2));
  expect(await exported('?after=0&limit=2')).toEqual(all.slice(1, 3));
  expect(await exported('?after=999999')).toEqual([]);
});

test('R19: as OCSF it says what happened and to what, and nothing in anybody’s own words', async () => {
  const { text } = await api.ask('GET', '/v1/audit/export?format=ocsf', { key: auditor });
  const events = text.split('\n').filter((line) => line !== '');
  const all = await exported();
  expect(events.map((line) => (JSON.parse(line) as Line).id).slice(0, 3)).toEqual(all.map(({ id }) => id).slice(0, 3));
  expect(text).not.toContain('Miller');
});

test('R19: it is for those who may read the log, and on record', async () => {
  const operator = await api.keyFor('operator');
  expect(await api.ask('GET', '/v1/audit/export', { key: operator })).toMatchObject({ status: 403 });
  expect(await api.system.store.audit.entries.countDocuments({ action: 'audit.exported' })).toBe(1);
});

test.each(['after=-1', 'after=x', 'limit=0', 'format=csv', 'follow=yes', 'unknown=1'])('refuses %s', async (query) => {
  expect(await api.ask('GET', `/v1/audit/export?${query}`, { key: auditor })).toMatchObject({
    status: 400,
    body: { code: 'validation' },
  });
});

test('R19: with follow=1 new entries come as they get their places, until the key is revoked', async () => {
  const made = await api.ask('POST', '/v1/api-keys', { body: { role: 'auditor' } });
  await settled();
  const known = await exported();
  const after = known.at(-1)?.position ?? 0;
  const following = await follow(`&after=${after}`, String(made.body['key']));
  const id = await api.system.createAccount();
  await eventually('the new account', async () => {
    await pause(1);
    return following.lines.find((line) => line.includes(id) && line.includes('account.created'));
  });
  await api.ask('DELETE', `/v1/api-keys/${String(made.body['id'])}`);
  expect(await following.ended).toBe(true);
  const positions = following.lines.filter((line) => line !== '').map((line) => (JSON.parse(line) as Line).position);
  expect(positions).toEqual(positions.map((_, index) => after + 1 + index));
});

test('R19: the loop of docs/audit.md prints each entry once, also when it is started anew', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-test-'));
  const docs = await readFile(join(__dirname, '..', 'docs', 'audit.md'), 'utf8');
  const [, script = ''] = /```sh\n([^]*?)```/.exec(docs) ?? [];
  const path = join(folder, 'follow-audit');
  await writeFile(path, script);
  const env = { ...process.env, ABLAUF_URL: api.url, ABLAUF_KEY: auditor };
  /** Runs it until it has printed what it is to print, and ends it as its supervisor would. */
  const printed = async (until: (lines: readonly string[]) => boolean): Promise<string[]> => {
    const child = spawn('sh', [path, join(folder, 'position')], {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const lines: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    await eventually('the lines', async () => {
      await pause(100);
      return until(lines) ? true : undefined;
    });
    // What was printed last may be on its way to the file that says so.
    await pause(500);
    process.kill(-(child.pid ?? 0));
    await once(child, 'close');
    return lines;
  };
  try {
    await settled();
    const known = await exported();
    const first = await printed((lines) => lines.length >= known.length);
    const id = await api.system.createAccount();
    const second = await printed((lines) => lines.some((line) => line.includes(id)));
    const ids = [...first, ...second].map((line) => (JSON.parse(line) as Line).id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.slice(0, known.length)).toEqual(known.map((line) => line.id));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('R19: a reader who takes nothing is not read ahead for', async () => {
  const { store } = api.system;
  const filling = 'x'.repeat(8000);
  for (let batch = 0; batch < 12; batch += 1) {
    await store.transaction(async (session) => {
      for (let n = 0; n < 256; n += 1) {
        const actor = { type: 'system', id: 'ablauf' } as const;
        await store.audit.append(session, { at: new Date(), actor, action: 'settings.changed', details: { filling } });
      }
    });
  }
  while ((await sequenceBatch(store)).more);
  await settled();
  revealed = 0;
  const request = get(`${api.url}/v1/audit/export`, { headers: { authorization: `Bearer ${adminKey}` } });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.pause();
  await eventually('a standstill', async () => {
    const before = revealed;
    await pause(500);
    return before === revealed && before > 0 ? true : undefined;
  });
  // Twelve tiles of two megabytes: what buffers hold is a few of them.
  expect(revealed).toBeLessThan(8 * 256);
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) bytes += chunk.length;
  expect(response.complete).toBe(true);
  expect(bytes).toBeGreaterThan(12 * 256 * 8000);
}, 120_000);

// The last one: afterwards nobody can follow any more.
test('R19: at the end of the process whoever follows hears a proper end', async () => {
  const following = await follow('');
  await eventually('the first lines', async () => {
    await pause(1);
    return following.lines[0];
  });
  ending.abort();
  expect(await following.ended).toBe(true);
});
