/**
 * Records the histories that `test/replay.test.ts` replays, anew:
 * `npx tsx scripts/record-histories.ts [NAME…] && npx prettier --write test/histories`.
 * To be run when a course is added, naming it, never to make a failing replay pass: accounts that live by the older code have such
 * histories too.
 *
 * Histories are kept opened, so that anybody can read what is replayed; one is kept besides as it was stored, with the wrapped
 * key that opens it under the tests' master key.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Payload } from '@temporalio/common';
import { temporal as proto } from '@temporalio/proto';
import { mongo } from 'mongoose';
import { createPayloadCodec } from '../src/temporal';
import globalSetup from '../test/helpers/global-setup';
import globalTeardown from '../test/helpers/global-teardown';
import { courseSettings, recordedCourses } from '../test/helpers/courses';
import { keptEncrypted } from '../test/helpers/histories';
import { startSystem, type System } from '../test/helpers/system';

const folder = join(__dirname, '..', 'test', 'histories');

/** The same without what tells of the machine it was recorded on: who worked, on which queue, from which files. */
function anonymous(value: unknown, taskQueue: string, key = ''): unknown {
  if (key === 'identity') return 'recorder';
  if (key === 'stackTrace') return '';
  if (key === 'name' && typeof value === 'string')
    return value === taskQueue ? 'accounts' : value.replace(/^.*@.*$/, 'sticky');
  if (Array.isArray(value)) return value.map((item) => anonymous(item, taskQueue));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, anonymous(item, taskQueue, name)]));
}

function plainOf(history: proto.api.history.v1.IHistory): unknown {
  const { History } = proto.api.history.v1;
  return History.toObject(History.fromObject(history), { longs: String, enums: String, bytes: String });
}

/** The same with every payload opened, and without the stacks that failures carry in one. */
async function opened(value: unknown, decode: (payload: Payload) => Promise<Payload>): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map((item) => opened(item, decode)));
  if (typeof value !== 'object' || value === null) return value;
  const { metadata, data } = value as { metadata?: Readonly<Record<string, string>>; data?: string };
  if (metadata?.['encoding'] !== undefined) {
    const plain = await decode({
      metadata: Object.fromEntries(Object.entries(metadata).map(([name, text]) => [name, Buffer.from(text, 'base64')])),
      data: Buffer.from(data ?? '', 'base64'),
    });
    const text = Buffer.from(plain.data ?? []).toString();
    return {
      metadata: Object.fromEntries(
        Object.entries(plain.metadata ?? {}).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
      ),
      data: Buffer.from(text.replace(/"stack_trace":"(?:[^"\\]|\\.)*"/, '"stack_trace":""')).toString('base64'),
    };
  }
  const entries = Object.entries(value).map(async ([name, item]) => [name, await opened(item, decode)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

async function write(file: string, content: unknown): Promise<void> {
  await writeFile(join(folder, file), `${JSON.stringify(content, null, 1)}\n`);
}

/** What opens the history that is kept as it was stored. */
async function writeKey(system: System): Promise<void> {
  const key = await system.store.vault.keyStore.keys.findOne({ _id: 'system/payloads' });
  await write(join('encrypted', 'key.json'), mongo.BSON.EJSON.serialize(key ?? {}));
}

async function main(): Promise<void> {
  await mkdir(join(folder, 'encrypted'), { recursive: true });
  await globalSetup();
  try {
    const system = await startSystem({ settings: courseSettings });
    try {
      const codec = createPayloadCodec(system.store.vault);
      const decode = async (payload: Payload) => (await codec.decode([payload]))[0] ?? payload;
      const named = process.argv.slice(2);
      const courses = recordedCourses.filter(({ name }) => named.length === 0 || named.includes(name));
      for (const course of courses) {
        const workflowId = await course.run(system);
        const history = await system.client.workflow.getHandle(workflowId).fetchHistory();
        const stored = anonymous(plainOf(history), system.taskQueue);
        await write(`${course.name}.json`, await opened(stored, decode));
        if (course.name === keptEncrypted) await write(join('encrypted', `${course.name}.json`), stored);
        console.log(`${course.name}: ${history.events?.length ?? 0} events`);
      }
      if (courses.some(({ name }) => name === keptEncrypted)) await writeKey(system);
    } finally {
      await system.stop();
    }
  } finally {
    await globalTeardown();
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
