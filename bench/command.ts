/** Commands through the API, against the same updates sent to the same workflows by nothing but Temporal's client. */
import { randomUUID } from 'node:crypto';
import { workflowIdOf } from '../src/temporal';
import { actor, createAccounts, startWorker } from './courses';
import { summaryOf } from './figures';
import { byTurns, repeats, side, timed, type Benchmark } from './harness';
import { startApi } from './service';
import { dropStore, freshStore, region } from './stores';

const accounts = Array.from({ length: 60 }, (_, index) => `acct-command-${index}`);
const atOnce = 8;
const database = 'command';
const taskQueue = `ablauf-${region}`;

type Send = (account: string, name: 'suspend' | 'reinstate', body: object) => Promise<unknown>;

export const command: Benchmark = {
  name: 'command',
  async run(ground, say) {
    const store = await freshStore(ground, database);
    const running = await startWorker(ground, database, store, taskQueue);
    const api = await startApi(ground, database);
    try {
      say(`creating ${accounts.length} accounts`);
      await createAccounts(store, running.courses, accounts);
      const viaApi: Send = (account, name, body) => api.post(`/v1/accounts/${account}/${name}`, body);
      const viaClient: Send = (account, name, body) =>
        running.client.workflow
          .getHandle(workflowIdOf(region, account))
          .executeUpdate(name, { args: [body, { actor }], updateId: randomUUID() });
      const pairs = await byTurns(
        () => rateOf(viaApi),
        () => rateOf(viaClient),
      );
      say('one at a time');
      const delays = [];
      for (let turn = 0; turn < repeats; turn += 1) delays.push(await delaysOf(viaApi, viaClient));
      const rate = summaryOf(pairs.map(({ ours }) => ours)).median;
      const delay = summaryOf(delays.map(({ ours }) => ours)).median;
      return [
        {
          name: "A command through the API, rate to a bare Temporal client's",
          values: pairs.map(({ ours, theirs }) => ours / theirs),
          target: { atLeast: 0.9 },
          remark: `${rate.toFixed(0)} a second, ${atOnce} at once`,
        },
        {
          name: "A command through the API, median delay above that client's",
          values: delays.map(({ ours, theirs }) => ours - theirs),
          unit: 'ms',
          target: { atMost: 10 },
          remark: `${delay.toFixed(0)} ms, one at a time`,
        },
      ];
    } finally {
      await Promise.all([api.stop(), running.stop()]);
      await running.close();
      await dropStore(store);
    }
  },
};

const steps = [
  ['suspend', { reason: 'non_payment' }],
  ['reinstate', {}],
] as const;

/** Commands a second. Suspends all accounts, then reinstates them, so that the next turn finds them as this one did. */
async function rateOf(send: Send): Promise<number> {
  const milliseconds = await timed(async () => {
    for (const [name, body] of steps) await side(accounts, atOnce, (account) => send(account, name, body));
  });
  return (steps.length * accounts.length * 1000) / milliseconds;
}

/** The median delay of a command where nothing else waits, in milliseconds; the sides change with every account. */
async function delaysOf(ours: Send, theirs: Send): Promise<{ ours: number; theirs: number }> {
  const times = { ours: [] as number[], theirs: [] as number[] };
  for (const [name, body] of steps) {
    for (const [index, account] of accounts.entries()) {
      const way = index % 2 === 0 ? 'ours' : 'theirs';
      times[way].push(await timed(() => (way === 'ours' ? ours : theirs)(account, name, body)));
    }
  }
  return { ours: summaryOf(times.ours).median, theirs: summaryOf(times.theirs).median };
}
