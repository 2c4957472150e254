/** Commands through the API, against the same updates sent to the same workflows by nothing but Temporal's client. */
import { randomUUID } from 'node:crypto';
import { workflowIdOf } from '../src/temporal';
import { actor, createAccounts, startWorker } from './courses';
import { quantile, summaryOf } from './figures';
import { byTurns, side, timed, type Benchmark } from './harness';
import { startApi } from './service';
import { dropStore, freshStore, region } from './stores';

const accounts = Array.from({ length: 60 }, (_, index) => `acct-command-${index}`);
const atOnce = 8;
const database = 'command';
const taskQueue = `ablauf-${region}`;

interface Sent {
  readonly perSecond: number;
  readonly p50: number;
}

type Send = (account: string, name: 'suspend' | 'reinstate', body: object) => Promise<unknown>;

export const command: Benchmark = {
  name: 'command',
  async run(ground, say) {
    const store = await freshStore(ground, database);
    const running = await startWorker(ground, database, taskQueue);
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
        () => sendAll(viaApi),
        () => sendAll(viaClient),
      );
      const rate = summaryOf(pairs.map(({ ours }) => ours.perSecond)).median;
      const p50 = summaryOf(pairs.map(({ ours }) => ours.p50)).median;
      return [
        {
          name: "A command through the API, rate to a bare Temporal client's",
          values: pairs.map(({ ours, theirs }) => ours.perSecond / theirs.perSecond),
          target: { atLeast: 0.9 },
          remark: `${rate.toFixed(0)} a second, ${atOnce} at once`,
        },
        {
          name: 'A command through the API, median above that client’s',
          values: pairs.map(({ ours, theirs }) => ours.p50 - theirs.p50),
          unit: 'ms',
          target: { atMost: 10 },
          remark: `${p50.toFixed(1)} ms`,
        },
      ];
    } finally {
      await Promise.all([api.stop(), running.stop()]);
      await running.close();
      await dropStore(store);
    }
  },
};

/** Suspends all accounts, then reinstates them, so that the next turn finds them as this one did. */
async function sendAll(send: Send): Promise<Sent> {
  const times: number[] = [];
  const total = await timed(async () => {
    for (const [name, body] of [
      ['suspend', { reason: 'non_payment' }],
      ['reinstate', {}],
    ] as const) {
      await side(accounts, atOnce, async (account) => times.push(await timed(() => send(account, name, body))));
    }
  });
  times.sort((a, b) => a - b);
  return { perSecond: (times.length * 1000) / total, p50: quantile(times, 0.5) };
}
