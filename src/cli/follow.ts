/** Following a workflow that goes on without the command that follows it. */
import { setTimeout as pause } from 'node:timers/promises';

/** Between two looks at how far it is, in milliseconds. */
const lookEvery = 1000;

/** Waits for the end, and says how far it is whenever that has changed. Whoever ends the command ends nothing else. */
export async function follow<T>(
  outcome: Promise<T>,
  lineOf: () => Promise<string>,
  tell: (text: string) => void,
): Promise<T> {
  const ended = new AbortController();
  const watching = watch(lineOf, tell, ended.signal);
  try {
    return await outcome;
  } finally {
    ended.abort();
    await watching;
  }
}

async function watch(lineOf: () => Promise<string>, tell: (text: string) => void, signal: AbortSignal): Promise<void> {
  const isOver = () => signal.aborted;
  let said = '';
  while (!isOver()) {
    const line = await lineOf().catch(() => 'Temporal does not answer');
    if (line !== said && !isOver()) tell(`  ${line}`);
    said = line;
    await pause(lookEvery, undefined, { signal }).catch(() => undefined);
  }
}
