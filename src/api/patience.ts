/** Answering in time: a client hears within seconds that something is away, rather than waiting for it. */
import { outcomeUnknown, unavailable, type Progress } from './failures';

/** How long a client waits at most, in milliseconds. */
export const standardPatience = 4800;
/** Between two looks at whether a long request still makes progress, in milliseconds. */
const lookAgain = 1000;

/**
 * The work's outcome, or a problem once the time is up. The time it takes a client to send its body is its own, and does not count.
 *
 * @param stillWell asked when the time is up, for work that may take long as long as all is well
 * @throws {Problem} `unavailable` where nothing was begun, else `outcome-unknown`
 */
export function inTime<T>(
  work: Promise<T>,
  progress: Progress,
  patience: number,
  stillWell: () => boolean = () => false,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer = setTimeout(giveUp, patience);
    function giveUp(): void {
      const left = progress.received === undefined ? 0 : progress.received + patience - performance.now();
      if (progress.receiving === true || left > 0 || stillWell()) {
        timer = setTimeout(giveUp, left > 0 ? left : lookAgain);
        return;
      }
      progress.abandoned = true;
      reject(progress.sent || progress.writing ? outcomeUnknown() : unavailable());
    }
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error instanceof Error ? error : new Error('unknown failure', { cause: error }));
      },
    );
  });
}
