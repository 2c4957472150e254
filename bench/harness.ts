/** What benchmarks share: the ground they stand on, and measuring two sides by turns. */
import { fork, type ChildProcess, type Serializable } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Figure } from './figures';

/** What `run.ts` has started. */
export interface Ground {
  readonly mongodbUri: string;
  readonly temporalAddress: string;
  readonly timeSkippingServer: string;
  /** The workflows, bundled. */
  readonly bundle: string;
}

export interface Benchmark {
  /** What it is chosen by on the command line. */
  readonly name: string;
  run(ground: Ground, say: (text: string) => void): Promise<Figure[]>;
}

/** Every comparison is made at least this often. */
export const repeats = 5;

/**
 * Measures two sides by turns, and changes who goes first, so that whatever drifts (caches, the size of the data, other
 * work on the machine) meets both alike. One turn of each goes before, unmeasured.
 */
export async function byTurns<T>(
  ours: (turn: number) => Promise<T>,
  theirs: (turn: number) => Promise<T>,
  { turns = repeats, warmUp = true } = {},
): Promise<{ ours: T; theirs: T }[]> {
  const pairs: { ours: T; theirs: T }[] = [];
  for (let turn = warmUp ? -1 : 0; turn < turns; turn += 1) {
    const oursFirst = turn % 2 === 0;
    const first = await (oursFirst ? ours(turn) : theirs(turn));
    const second = await (oursFirst ? theirs(turn) : ours(turn));
    if (turn >= 0) pairs.push(oursFirst ? { ours: first, theirs: second } : { ours: second, theirs: first });
  }
  return pairs;
}

/** How long something takes, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Runs `work` for each item, so many at a time. */
export async function side<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
    }),
  );
}

/** A database of the benchmark's own on the shared server. */
export function databaseUri(ground: Ground, name: string): string {
  const uri = new URL(ground.mongodbUri);
  uri.pathname = `/bench_${name}`;
  return uri.href;
}

/** A process of ours that has said that it is ready. */
export interface Helper<T> {
  readonly ready: T;
  ask<A>(question: Serializable): Promise<A>;
  stop(): Promise<void>;
}

const startPatience = 60_000;
const askPatience = 120_000;

/** Starts a program of `bench/processes`, and waits for its first message. It ends with us, since its channel closes. */
export async function startHelper<T>(
  program: string,
  environment: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<Helper<T>> {
  const child = fork(join(__dirname, 'processes', `${program}.ts`), {
    execArgv: ['--import', 'tsx', ...flags],
    env: { ...process.env, NODE_ENV: 'production', ...environment },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  try {
    const ready = await messageOf<T>(child, startPatience, program);
    return {
      ready,
      ask<A>(question: Serializable) {
        child.send(question);
        return messageOf<A>(child, askPatience, program);
      },
      async stop() {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), 25_000);
        await exited;
        clearTimeout(timer);
      },
    };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

async function messageOf<T>(child: ChildProcess, patience: number, program: string): Promise<T> {
  const stop = new AbortController();
  const { signal } = stop;
  const timer = setTimeout(() => stop.abort(new Error(`${program} said nothing in time`)), patience);
  try {
    const ended = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`${program} ended with code ${String(code)}`);
    });
    const said = once(child, 'message', { signal });
    ended.catch(() => undefined);
    said.catch(() => undefined);
    const [message] = (await Promise.race([said, ended])) as [T];
    return message;
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}
