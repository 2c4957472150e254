/** What accounts that nothing happens to cost a worker in memory. */
import { begin } from '../src/lifecycle';
import { workflowIdOf } from '../src/temporal';
import { accountWorkflowType, stateQuery, type AccountInput } from '../src/workflows';
import { actor, startWorker, type Running } from './courses';
import { summaryOf } from './figures';
import { byTurns, side, type Benchmark, type Ground } from './harness';
import { dropStore, freshStore, region, settings } from './stores';

const few = 100;
const many = 10 * few;
const mebibyte = 1024 * 1024;
const database = 'sleeping';

export const sleeping: Benchmark = {
  name: 'sleeping',
  async run(ground, say) {
    const store = await freshStore(ground, database);
    const measure = (accounts: number) => async (turn: number) => {
      const size = (await memoryWith(ground, accounts, `bench-sleeping-${accounts}-${turn}`)) / mebibyte;
      say(`${accounts} accounts: ${size.toFixed(0)} MiB`);
      return size;
    };
    const pairs = await byTurns(measure(many), measure(few), { warmUp: false });
    await dropStore(store);
    const least = summaryOf(pairs.map(({ theirs }) => theirs)).median;
    return [
      {
        name: `Memory of a worker with ${many} sleeping accounts to one with ${few}`,
        values: pairs.map(({ ours, theirs }) => ours / theirs),
        target: { atMost: 1.1 },
        remark: `${least.toFixed(0)} MiB with ${few}`,
      },
    ];
  },
};

/** The resident memory of a new worker that so many accounts have just gone to sleep in, after collecting garbage. */
async function memoryWith(ground: Ground, accounts: number, taskQueue: string): Promise<number> {
  const running = await startWorker(ground, database, taskQueue);
  const ids = Array.from({ length: accounts }, (_, index) => `${taskQueue}-${index}`);
  try {
    await side(ids, 32, (account) => fallAsleep(running, account, taskQueue));
    return await running.worker.ask<number>('memory');
  } finally {
    await running.stop();
    await side(ids, 32, (account) => running.client.workflow.getHandle(workflowIdOf(region, account)).terminate());
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
  const handle = await client.workflow.start(accountWorkflowType, {
    workflowId: workflowIdOf(region, account),
    taskQueue,
    args: [input],
  });
  await handle.query(stateQuery);
}
