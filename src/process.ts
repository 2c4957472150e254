/** What our processes have in common: a log, a start that says what is missing, and a stop that finishes its work. */
import pino, { type Logger } from 'pino';

/** A structured log on standard output. What could be a secret is taken out, whoever logs it. */
export function createLog(part: string, level: string): Logger {
  return pino({
    level,
    base: { part },
    redact: {
      paths: ['*.authorization', '*.cookie', '*.key', '*.password', 'authorization', 'key'],
      censor: '[taken out]',
    },
  });
}

/** A process that runs. */
export interface Running {
  readonly log: Logger;
  /** Settles when the process ends by itself; failing when it had to. */
  readonly finished: Promise<unknown>;
  stop(): Promise<void>;
}

/** How long an orderly stop may take before the process goes anyway, in milliseconds. */
const stopPatience = 20_000;

/**
 * Starts a process, and stops it in order on SIGTERM or SIGINT. A start that fails is said in one line, and ends with
 * code 1, so that whoever supervises it can try again.
 */
export function runMain(part: string, start: () => Promise<Running>): void {
  start().then(
    (running) => {
      let stopping = false;
      const stop = (reason: string, code: number) => {
        if (stopping) return;
        stopping = true;
        running.log.info({ reason }, 'stopping');
        setTimeout(() => process.exit(1), stopPatience).unref();
        running.stop().then(
          () => process.exit(code),
          (error: unknown) => {
            running.log.error({ err: error }, 'the stop failed');
            process.exit(1);
          },
        );
      };
      process.once('SIGTERM', () => stop('SIGTERM', 0));
      process.once('SIGINT', () => stop('SIGINT', 0));
      running.finished.catch((error: unknown) => {
        running.log.error({ err: error }, 'the process cannot go on');
        stop('failure', 1);
      });
    },
    (error: unknown) => {
      const log = createLog(part, 'info');
      log.fatal(error instanceof Error ? `${error.name}: ${error.message}` : 'the start failed');
      process.exit(1);
    },
  );
}
