import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildExit } from './child';
import { messageOf } from './errors';

/** What can be kept running. */
export interface Restartable {
  /** Settles when it has ended; never rejects. */
  exited: Promise<ChildExit>;
  stop(): Promise<void>;
}

const firstPauseMs = 500;
const longestPauseMs = 15_000;
/** Whatever ran this long before it ended is restarted as if for the first time. */
const soundAfterMs = 60_000;

/**
 * Keeps something running that was started once already: when it ends unasked it is started again, after pauses that grow
 * from half a second to fifteen while it keeps ending. Each end and each failed start is reported in one line.
 *
 * `start` is given a signal that aborts when the result's `stop` is called; `stop` resolves once the thing is gone.
 */
export function keepRunning<T extends Restartable>(
  name: string,
  first: T,
  start: (signal: AbortSignal) => Promise<T>,
  report: (line: string) => void,
): { stop: () => Promise<void> } {
  const stopping = new AbortController();
  let current: T | undefined = first;
  let pauseMs = firstPauseMs;

  const isStopping = (): boolean => stopping.signal.aborted;

  const pause = async (why: string): Promise<void> => {
    report(`${name} ${why}; it is started again in ${pauseMs / 1000} s`);
    await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  };

  const watch = async (): Promise<void> => {
    while (!isStopping()) {
      if (current !== undefined) {
        const since = Date.now();
        const exit = await current.exited;
        current = undefined;
        if (isStopping()) {
          return;
        }
        if (Date.now() - since > soundAfterMs) {
          pauseMs = firstPauseMs;
        }
        await pause(`ended unexpectedly (${exit})`);
      }
      if (!isStopping()) {
        try {
          current = await start(stopping.signal);
          report(`${name} runs again`);
        } catch (error) {
          if (!isStopping()) {
            await pause(`could not be started: ${messageOf(error)}`);
          }
        }
      }
    }
  };
  const watching = watch();
  return {
    async stop() {
      stopping.abort();
      await current?.stop();
      await watching;
      // a start that was past its last look at the signal
      await current?.stop();
    },
  };
}
