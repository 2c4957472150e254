import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmbeddedServerError } from './errors';
import { guardProcess } from './guard';
import { signalGroup } from './identity';
import { LogFile } from './log-file';

/** How a process ended, in words such as `exit code 1` or `SIGKILL`. */
export type ChildExit = string;

/** A started process. */
export interface Child {
  pid: number;
  /** Settles when the process has ended; it never rejects. */
  exited: Promise<ChildExit>;
  /** Its last lines of output, oldest first. */
  lastLines(): string[];
  /** Asks the process to stop, and ends it if it has not within `stopTimeoutMs`. Resolves once it is gone. */
  stop(): Promise<void>;
}

/** What to start, and what becomes of its output. */
export interface ChildOptions {
  command: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd?: string;
  /** The path of a log file to write its output to. */
  log?: string | undefined;
  /** Told each line of its output. */
  onLine?: ((line: string) => void) | undefined;
  /** In milliseconds. @default 5000 */
  stopTimeoutMs?: number;
}

const keptLines = 30;

/**
 * Starts a process in a group of its own — Ctrl-C in the terminal does not reach it before its parent has decided on an
 * order — and has the guard end it should this process die.
 *
 * @throws EmbeddedServerError `start-failed` if it cannot be started
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const child = spawn(options.command, options.args, {
    env: options.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
    windowsHide: true,
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => {
      reject(new EmbeddedServerError('start-failed', `${options.command} cannot be started: ${error.message}`));
    });
  });
  const pid = child.pid ?? 0;
  const release = guardProcess(pid);
  const lines: string[] = [];
  const log = options.log === undefined ? undefined : new LogFile(options.log);
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      log?.write(`${line}\n`);
      lines.push(line);
      if (lines.length > keptLines) {
        lines.shift();
      }
      options.onLine?.(line);
    });
  }
  const exited = new Promise<ChildExit>((resolve) => {
    let ended = false;
    const end = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (ended) {
        return;
      }
      ended = true;
      release();
      resolve(signal ?? `exit code ${code ?? 'unknown'}`);
    };
    // "close" comes after the last line was read; a grandchild that keeps the pipe open must not hold it back for ever
    child.once('close', end);
    child.once('exit', (code, signal) => void sleep(500, undefined, { ref: false }).then(() => end(code, signal)));
  });
  void exited.then(() => setImmediate(() => log?.close()));
  return {
    pid,
    exited,
    lastLines: () => [...lines],
    stop: () => stopChild(pid, exited, options.stopTimeoutMs ?? 5_000),
  };
}

async function stopChild(pid: number, exited: Promise<ChildExit>, timeoutMs: number): Promise<void> {
  const gone = (waitMs: number): Promise<boolean> =>
    Promise.race([exited.then(() => true), sleep(waitMs, false, { ref: false })]);
  // A process that has ended is not signalled: its number may be another's by now.
  if (await gone(0)) {
    return;
  }
  signalGroup(pid, 'SIGTERM');
  if (!(await gone(timeoutMs))) {
    signalGroup(pid, 'SIGKILL');
    await exited;
  }
}

/**
 * Waits until a started process answers. A process that ends first, or does not answer in time, is a failure that quotes
 * its last lines; in every case of failure it is stopped.
 *
 * @throws EmbeddedServerError `start-failed`, or `stopped` by the signal
 */
export async function untilReady(
  child: Child,
  title: string,
  probe: () => Promise<boolean>,
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<void> {
  let exit: ChildExit | undefined;
  void child.exited.then((how) => {
    exit = how;
  });
  const end = Date.now() + options.timeoutMs;
  let reason: unknown;
  while (Date.now() < end && exit === undefined && !options.signal?.aborted) {
    try {
      if (await probe()) {
        return;
      }
    } catch (error) {
      reason = error;
    }
    await Promise.race([sleep(50), child.exited]);
  }
  await child.stop();
  if (options.signal?.aborted) {
    throw new EmbeddedServerError('stopped', `The start of ${title} was stopped`);
  }
  const what = exit === undefined ? `did not answer within ${options.timeoutMs / 1000} s` : `ended with ${exit}`;
  const said = child.lastLines().slice(-5).join(' | ');
  throw new EmbeddedServerError('start-failed', `${title} ${what}${said === '' ? '' : `. Its last lines: ${said}`}`, {
    cause: reason,
  });
}

/** The part of an environment a server needs. Our secrets, and settings meant for other programs of its family, stay out. */
export function serverEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = ['PATH', 'Path', 'HOME', 'USERPROFILE', 'SystemRoot', 'TMPDIR', 'TEMP', 'TMP', 'LANG', 'LC_ALL', 'TZ'];
  return Object.fromEntries(kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
