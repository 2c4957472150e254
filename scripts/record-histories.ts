/**
 * Records the histories that `test/replay.test.ts` replays, anew:
 * `npx tsx scripts/record-histories.ts && npx prettier --write test/histories`.
 * To be run when a course is added, never to make a failing replay pass: accounts that live by the older code have such
 * histories too.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporal as proto } from '@temporalio/proto';
import globalSetup from '../test/helpers/global-setup';
import globalTeardown from '../test/helpers/global-teardown';
import { courseSettings, recordedCourses } from '../test/helpers/courses';
import { startSystem } from '../test/helpers/system';

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

async function main(): Promise<void> {
  await mkdir(folder, { recursive: true });
  await globalSetup();
  try {
    const system = await startSystem({ settings: courseSettings });
    try {
      for (const course of recordedCourses) {
        const workflowId = await course.run(system);
        const history = await system.client.workflow.getHandle(workflowId).fetchHistory();
        await writeFile(
          join(folder, `${course.name}.json`),
          `${JSON.stringify(anonymous(plainOf(history), system.taskQueue), null, 1)}\n`,
        );
        console.log(`${course.name}: ${history.events?.length ?? 0} events`);
      }
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
