/** Giving witnesses the newest checkpoint, as long as the process runs. One that is away is tried again and never waited for. */
import { setTimeout as sleep } from 'node:timers/promises';
import { newestState, type LogStore } from '../audit';
import type { Witness } from './places';

export interface PublishingOptions {
  readonly witnesses: readonly Witness[];
  readonly log: {
    error(meta: object, message: string): void;
    info(meta: object, message: string): void;
  };
  /** How often to look whether there is a new one, in milliseconds. @default 10000 */
  readonly interval?: number;
  /** After how long a witness that is away is told of, and again after as long. @default 5 minutes, in milliseconds */
  readonly alertAfter?: number;
}

const standardInterval = 10_000;
const standardAlert = 300_000;

/** Starts publishing. Each witness has its own course: what holds one up holds up nobody else. */
export function startPublishing(store: LogStore, options: PublishingOptions): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const running = options.witnesses.map((witness) => run(store, witness, options, stopping.signal));
  return {
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

async function run(store: LogStore, witness: Witness, options: PublishingOptions, signal: AbortSignal): Promise<void> {
  const { log, interval = standardInterval, alertAfter = standardAlert } = options;
  let published = 0;
  let failingSince: number | undefined;
  let toldAt = -Infinity;
  while (!signal.aborted) {
    try {
      const state = await newestState(store);
      if (state !== undefined && state.size !== published) {
        await witness.publish(state);
        published = state.size;
      }
      if (toldAt > -Infinity) log.info({ witness: witness.name }, 'the witness takes checkpoints again');
      [failingSince, toldAt] = [undefined, -Infinity];
    } catch (error) {
      const now = performance.now();
      failingSince ??= now;
      if (now - failingSince >= alertAfter && now - toldAt >= alertAfter) {
        toldAt = now;
        log.error({ alert: 'audit-witness-away', witness: witness.name, err: error }, 'a witness takes no checkpoints');
      }
    }
    await sleep(interval, undefined, { signal }).catch(() => undefined);
  }
}
