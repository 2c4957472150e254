/** Reading an account and asking whether it may be served, against the barest route that reads a document. */
import { type Figure, summaryOf } from './figures';
import { byTurns, databaseUri, startHelper, type Benchmark } from './harness';
import type { Load, Order } from './processes/load';
import { adminKey, startApi } from './service';
import { addAccounts, dropStore, freshStore } from './stores';

const accounts = Array.from({ length: 1000 }, (_, index) => `acct-read-${index}`);
const connections = 16;
const seconds = 2;
const turns = 9;
const database = 'reads';

export const reads: Benchmark = {
  name: 'reads',
  async run(ground, say) {
    const store = await freshStore(ground, database);
    await addAccounts(store, accounts);
    const api = await startApi(ground, database);
    const bare = await startHelper<number>('bare-api', { BENCH_MONGODB: databaseUri(ground, database) });
    const load = await startHelper('load', {});
    const ask = (url: string, path: (account: string) => string) =>
      load.ask<Load>({ url, paths: accounts.map(path), key: adminKey, connections, seconds } satisfies Order);
    const figures: Figure[] = [];
    try {
      for (const [title, path] of [
        ['Access check', (account: string) => `/v1/accounts/${account}/access`],
        ['Account read', (account: string) => `/v1/accounts/${account}`],
      ] as const) {
        say(title.toLowerCase());
        const pairs = await byTurns(
          () => ask(api.url, path),
          () => ask(`http://127.0.0.1:${bare.ready}`, (account) => `/accounts/${account}`),
          { turns },
        );
        const rate = summaryOf(pairs.map(({ ours }) => ours.perSecond)).median;
        const p99 = summaryOf(pairs.map(({ ours }) => ours.p99)).median;
        figures.push(
          {
            name: `${title}, rate to a bare Express route with one lean \`findOne\``,
            values: pairs.map(({ ours, theirs }) => ours.perSecond / theirs.perSecond),
            target: { atLeast: 0.85 },
            remark: `${rate.toFixed(0)} a second`,
          },
          {
            name: `${title}, 99th percentile to that route's`,
            values: pairs.map(({ ours, theirs }) => ours.p99 / theirs.p99),
            target: { atMost: 1.3 },
            remark: `${p99.toFixed(1)} ms`,
          },
        );
      }
    } finally {
      await Promise.all([api.stop(), bare.stop(), load.stop()]);
      await dropStore(store);
    }
    return figures;
  },
};
