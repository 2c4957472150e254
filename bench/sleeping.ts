/** What accounts that nothing happens to cost a worker in memory. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Store } from '../src/data';
import { begin } from '../src/lifecycle';
import { workflowIdOf } from '../src/temporal';
import { accountWorkflowType, type AccountInput } from '../src/workflows';
import { actor, startWorker, type Running } from './courses';
import { summaryOf } from './figures';
import { repeats, side, type Benchmark, type Ground } from './harness';
import { dropStore, freshStore, region, settings } from './stores';

const few = 100;
const many = 10 * few;
const mebibyte = 1024 * 1024;
const database = 'sleeping';

export const sleeping: Benchmark = {
  name: 'sleeping',
  async run(ground, say) {
    const store = await freshStore(ground, database);
    const sizes: { few: number; many: number }[] = [];
    for (let turn = 0; turn < repeats; turn += 1) {
      const size = await memoryOf(ground, store, `bench-sleeping-${turn}`);
      say(`${few} accounts: ${size.few.toFixed(0)} MiB, ${many} accounts: ${size.many.toFixed(0)} MiB`);
      sizes.push(size);
    }
    await dropStore(store);
    const typical = (side: 'few' | 'many') => summaryOf(sizes.map((size) => size[side])).median.toFixed(0);
    return [
      {
        name: `Memory of a worker with ${many} sleeping accounts to that with ${few}`,
        values: sizes.map((size) => size.many / size.few),
        target: { atMost: 1.1 },
        remark: `${typical('many')} and ${typical('few')} MiB`,
      },
    ];
  },
};

/** The resident memory of a new worker once few, then many accounts have gone to sleep in it, garbage collected. */
async function memoryOf(ground: Ground, store: Store, taskQueue: string): Promise<{ few: number; many: number }> {
  const running = await startWorker(ground, database, store, taskQueue);
  const ids = Array.from({ length: many }, (_, index) => `${taskQueue}-${index}`);
  const sizeAfter = async (more: readonly string[]) => {
    await side(more, 32, (account) => fallAsleep(running, account, taskQueue));
    await side(more, 32, (account) => untilAsleep(running, account));
    return (await running.worker.ask<number>('memory')) / mebibyte;
  };
  try {
    return { few: await sizeAfter(ids.slice(0, few)), many: await sizeAfter(ids.slice(few)) };
  } finally {
    await running.stop();
    await running.close();
  }
}

/** Starts an account as it goes on after a rollover: it waits for its deadline, and has nothing to record before. */
async function fallAsleep({ client }: Running, account: string, taskQueue: string): Promise<void> {
  const origin = { state: 'suspended', overrides: {} } as const;
  const input: AccountInput = {
    account,
    region,
    draftId: 'none',
    origin,
    settings,
    actor,
    carried: {
      lifecycle: begin(origin, new Date().toISOString(), settings),
      seq: 1,
      created: { seq: 1, version: 1 },
      answered: [],
      inbox: [],
    },
  };
  await client.workflow.start(accountWorkflowType, {
    workflowId: workflowIdOf(region, account),
    taskQueue,
    args: [input],
  });
}

/** Started, a first task scheduled, begun and completed, and a timer. */
const eventsAsleep = 5;

async function untilAsleep({ client }: Running, account: string): Promise<void> {
  const handle = client.workflow.getHandle(workflowIdOf(region, account));
  while ((await handle.describe()).historyLength < eventsAsleep) await pause(20);
}
