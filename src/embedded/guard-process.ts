// The guard: a process of its own that is told over its standard input which processes its parent started. When the pipe
// closes, the parent is gone — however it went — and what it left behind is ended.
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ProcessIdentity, signalGroup, stillRuns } from './identity';

/** How long what was left behind may take to stop by itself. */
const patienceMs = 3_000;

const guarded = new Map<number, ProcessIdentity>();

function learn(line: string): void {
  const message = JSON.parse(line) as { add?: ProcessIdentity; remove?: number };
  if (message.add !== undefined) {
    guarded.set(message.add.pid, message.add);
  }
  if (message.remove !== undefined) {
    guarded.delete(message.remove);
  }
}

async function endAll(): Promise<void> {
  const left = (): ProcessIdentity[] => [...guarded.values()].filter(stillRuns);
  for (const { pid } of left()) {
    signalGroup(pid, 'SIGTERM');
  }
  const end = Date.now() + patienceMs;
  while (left().length > 0 && Date.now() < end) {
    await sleep(50);
  }
  for (const { pid } of left()) {
    signalGroup(pid, 'SIGKILL');
  }
  process.exit(0);
}

// A terminal that closes, or Ctrl-C in it, must not end the guard before its parent.
process.on('SIGINT', () => undefined);
process.on('SIGHUP', () => undefined);
createInterface({ input: process.stdin })
  .on('line', learn)
  .on('close', () => void endAll());
