/** R14: an export goes on after parts of the system died in its middle, and what comes of it is whole. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from './helpers/eventually';
import { sha256Of, unpack, untilDone, type ExportView } from './helpers/exports';
import { startProcesses, type ProcessSystem } from './helpers/processes';
import { recordsOf } from './helpers/records';

let system: ProcessSystem;

beforeAll(async () => {
  system = await startProcesses({ ABLAUF_GRACE_PERIOD: 'P14D' });
}, 120_000);
afterAll(() => system.stop(), 60_000);

const categories = ['prompts', 'completions', 'logs', 'usage'] as const;
const calls = 12_000;

/** Bodies that do not compress, so that there are many parts. */
async function fill(account: string): Promise<void> {
  const vault = await system.vault();
  for (const category of categories) {
    for (let start = 0; start < calls; start += 2000) {
      const records = Array.from({ length: 2000 }, (_, index) => {
        const n = start + index;
        const noise = Array.from({ length: 16 }, (_each, i) => sha256Of(Buffer.from(`${category} ${n} ${i}`)));
        const at = new Date(Date.UTC(2026, 0, 1) + n * 60_000);
        return { callId: `call-${n}`, at, body: JSON.stringify({ n, noise }) };
      });
      const documents = await recordsOf({ vault }, category, account, records);
      await system.database().collection<{ _id: string }>(category).insertMany(documents);
    }
  }
}

test('R14: an export survives kill -9 of the worker and of MongoDB, and a cut connection resumes with curl', async () => {
  const { body: account } = await system.ask<{ id: string }>('POST', '/v1/accounts', {
    name: 'Faulty Ltd',
    email: 'faulty@example.org',
    plan: 'standard',
  });
  const { body: made } = await system.ask<{ key: string }>('POST', '/v1/api-keys', {
    role: 'customer',
    account: account.id,
  });
  const { key } = made;
  await fill(account.id);
  const path = `/v1/accounts/${account.id}/exports`;
  const asked = await system.ask<ExportView>('POST', path, {}, { key });
  expect(asked.status).toBe(202);
  const parts = async () => {
    const found = await system
      .database()
      .collection<{ _id: string; status: string; parts: unknown[] }>('exports')
      .findOne({ _id: asked.body.id });
    return found?.status === 'running' ? found.parts.length : Infinity;
  };
  await eventually('a part is stored', async () => ((await parts()) >= 1 ? true : undefined));
  await system.kill('worker');
  const before = await parts();
  expect(before).not.toBe(Infinity);
  await system.start('worker');
  await eventually('it goes on', async () => ((await parts()) > before ? true : undefined));
  await system.kill('mongodb');
  await system.start('mongodb');
  const done = await untilDone(
    async () => (await system.ask<ExportView>('GET', `${path}/${asked.body.id}`, undefined, { key })).body,
  );
  expect(done).toMatchObject({ status: 'ready', records: 4 * calls, progress: { done: 4 * calls, total: 4 * calls } });

  const folder = await mkdtemp(join(tmpdir(), 'ablauf-curl-'));
  try {
    const file = join(folder, 'archive.tar');
    const url = `${system.url}${path}/${done.id}/file`;
    const header = `Authorization: Bearer ${key}`;
    const half = Math.floor(done.bytes / 2);
    execFileSync('curl', ['-sS', '-H', header, '-r', `0-${half}`, '-o', file, url]);
    execFileSync('curl', ['-sS', '-H', header, '-C', '-', '-o', file, url]);
    const archive = await readFile(file);
    expect(sha256Of(archive)).toBe(done.sha256);
    const { lines } = await unpack(archive);
    for (const category of categories) {
      expect(lines[category]?.map(({ callId }) => callId)).toEqual(
        Array.from({ length: calls }, (_, n) => `call-${n}`),
      );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 240_000);
