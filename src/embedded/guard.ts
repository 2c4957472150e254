import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { extname } from 'node:path';
import process from 'node:process';
import { type ProcessIdentity, identify } from './identity';

/** A guard that dies this often in a row cannot run here at all. */
const maxRestarts = 5;

const guarded = new Map<number, ProcessIdentity>();
let guard: ChildProcess | undefined;
let restarts = 0;

/**
 * Has a process ended once this one is gone, even if this one is killed with no chance to act. The result takes that
 * back, for when the process has ended by itself.
 *
 * A separate process watches: no signal handler runs on `kill -9`, but the pipe to the watcher closes. It ends by itself
 * when nothing is left to watch.
 */
export function guardProcess(pid: number): () => void {
  const identity = identify(pid);
  if (identity === undefined) {
    return () => undefined;
  }
  guarded.set(pid, identity);
  if (guard === undefined) {
    startGuard();
  } else {
    tell({ add: identity });
  }
  return () => {
    if (guarded.delete(pid)) {
      tell({ remove: pid });
      if (guarded.size === 0) {
        guard?.stdin?.end();
        guard = undefined;
      }
    }
  };
}

function startGuard(): void {
  const started = spawn(process.execPath, guardArguments(), {
    // a session of its own: Ctrl-C in the terminal must not reach it
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    windowsHide: true,
  });
  guard = started;
  started.on('error', () => undefined);
  started.stdin.on('error', () => undefined); // it died: its exit tells
  started.on('exit', () => {
    if (guard !== started) {
      return;
    }
    guard = undefined;
    restarts += 1;
    if (guarded.size > 0 && restarts <= maxRestarts) {
      startGuard();
    }
  });
  // Neither keeps this process alive.
  started.unref();
  if (started.stdin instanceof Socket) {
    started.stdin.unref();
  }
  for (const identity of guarded.values()) {
    tell({ add: identity });
  }
}

/** From source the guard runs through tsx, from a build as it is. */
function guardArguments(): string[] {
  const script = require.resolve('./guard-process');
  return extname(script) === '.ts' ? ['--require', require.resolve('tsx/cjs'), script] : [script];
}

function tell(message: { add: ProcessIdentity } | { remove: number }): void {
  guard?.stdin?.write(`${JSON.stringify(message)}\n`);
}
