/** Load from a process of its own: asks for each path in turn, and tells the rate and the 99th percentile. */
import autocannon from 'autocannon';
import { quantile } from '../figures';

/** What to ask for, and how. */
export interface Order {
  readonly url: string;
  readonly paths: readonly string[];
  readonly key: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface Load {
  readonly perSecond: number;
  readonly p99: number;
}

process.on('message', (order: Order) => {
  const { url, paths, key, connections, seconds } = order;
  // autocannon itself counts in whole milliseconds, which is too coarse for a ratio.
  const times: number[] = [];
  const instance = autocannon(
    {
      url,
      connections,
      duration: seconds,
      headers: { authorization: `Bearer ${key}` },
      requests: paths.map((path) => ({ method: 'GET', path })),
    },
    (error, result) => {
      if (error !== null || result.errors > 0 || result.non2xx > 0 || result['2xx'] === 0) {
        console.error('the load was not answered as it should be', error, result);
        process.exit(1);
      }
      times.sort((a, b) => a - b);
      process.send?.({ perSecond: result['2xx'] / result.duration, p99: quantile(times, 0.99) } satisfies Load);
    },
  );
  instance.on('response', (_client: unknown, _status: number, _bytes: number, milliseconds: number) =>
    times.push(milliseconds),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
