/** What our processes have in common: a log, a start that says what is missing, and a stop that finishes its work. */
import pino, { type DestinationStream, type Logger } from 'pino';

/**
 * A structured log. What could be a secret or a customer's content is taken out, whoever logs it.
 *
 * @param destination standard output where none is given
 */
export function createLog(part: string, level: string, destination?: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { part },
      serializers: { err: shownError },
      redact: {
        paths: ['*.authorization', '*.cookie', '*.key', '*.password', 'authorization', 'key'],
        censor: '[taken out]',
      },
    },
    destination,
  );
}

const longestMessage = 500;
const longestStack = 4000;

/** What the log shows of an error: never its other members, since a failed bulk write carries the documents themselves. */
function shownError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code } = error as { code?: unknown };
  return {
    ...nameAndMessageOf(error),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    stack: framesOf(error),
    ...(error.cause instanceof Error ? { cause: nameAndMessageOf(error.cause) } : {}),
  };
}

function nameAndMessageOf({ name, message }: Error): { type: string; message: string } {
  return { type: name, message: message.slice(0, longestMessage) };
}

/** A stack begins with the message, which may be long: only where it happened is of use here. */
function framesOf({ stack = '' }: Error): string {
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  return frames.join('\n').slice(0, longestStack);
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
