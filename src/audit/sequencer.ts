/** The part of a process that keeps giving entries their places in the log. Any number of them may run. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AuditLogBrokenError, sequenceBatch, type LogStore } from './sequence';

/** What a sequencer tells. Every line with `alert` is for whoever is on call. */
export interface SequencerLog {
  warn(meta: object, message: string): void;
  error(meta: object, message: string): void;
}

export interface SequencerOptions {
  readonly log: SequencerLog;
  /** How long to rest between looking, in milliseconds. @default 500 */
  readonly interval?: number;
}

/** A part of a process that goes on until it is told to stop. */
export interface Stoppable {
  stop(): Promise<void>;
}

const standardInterval = 500;
/** After so long without success somebody is told, and again after as long; in milliseconds. */
const alertAfter = 60_000;

/** Starts giving entries their places: within two seconds of their being written, while a database answers. */
export function startSequencer(store: LogStore, { log, interval = standardInterval }: SequencerOptions): Stoppable {
  const stopping = new AbortController();
  let goodAt = performance.now();
  let toldAt = -Infinity;
  const tell = (error: unknown) => {
    const now = performance.now();
    const isBroken = error instanceof AuditLogBrokenError;
    if (now - toldAt < alertAfter) return;
    if (isBroken) log.error({ alert: 'audit-log-broken', err: error }, 'the audit log was tampered with; entries wait');
    else if (now - goodAt >= alertAfter)
      log.error({ alert: 'audit-sequencing-late', err: error }, 'audit entries wait');
    else return;
    toldAt = now;
  };
  const run = async () => {
    while (!stopping.signal.aborted) {
      try {
        const { more } = await sequenceBatch(store);
        goodAt = performance.now();
        if (more) continue;
      } catch (error) {
        tell(error);
      }
      await sleep(interval, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const running = run();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
