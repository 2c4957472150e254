import { heartbeat } from '@temporalio/activity';

const beat = 2000;

/**
 * Heartbeats while something runs, with the last it told: counting and searching a large account take longer than a
 * worker may be silent.
 */
export async function beating<T>(work: (tell: (progress: unknown) => void) => Promise<T>): Promise<T> {
  let latest: unknown;
  const timer = setInterval(() => heartbeat(latest), beat);
  try {
    return await work((progress) => {
      latest = progress;
      heartbeat(progress);
    });
  } finally {
    clearInterval(timer);
  }
}
