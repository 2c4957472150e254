/**
 * Putting refusals on record (R19), so that nobody can hide in them or fill the log with them.
 *
 * 1. Nobody is refused later, or otherwise, because it cannot be written down.
 * 2. The first few of a kind are entered at once: its reason, and who tried what, or from where. What follows becomes one entry
 *    a minute.
 * 3. However many kinds there are, entries a minute and memory are bounded. What is beyond becomes one entry that says how many.
 * 4. Whoever has shown nothing counts apart: no stranger's flood hides what somebody known was refused.
 */
import { writeLate, type LateEntriesOptions } from './late-entries';
import { RefusalKinds, type Bounds } from './refusal-kinds';
import type { Refused } from './refusal-reasons';

/** Where refusals go. */
export interface Refusals {
  /** Takes a refusal down. Of somebody known it settles once that is on record, within moments in any case. Never fails. */
  enter(refused: Refused): Promise<void>;
  /** Enters what was counted, as far as the database takes it within five seconds, and ends. */
  stop(): Promise<void>;
}

export interface RefusalsOptions extends LateEntriesOptions {
  readonly clock: () => Date;
  /** How long refusals are counted before they become one entry, in milliseconds. @default a minute */
  readonly window?: number;
}

const ofKnown: Bounds = { few: 3, atOnce: 300, summed: 40, kinds: 4000 };
const ofStrangers: Bounds = { few: 5, atOnce: 40, summed: 20, kinds: 1000 };
/** How long a stop waits for what is still to be written, in milliseconds. */
const stopPatience = 5000;
const minute = 60_000;

/** Begins to put refusals on record. */
export function keepRefusals({ clock, window = minute, ...options }: RefusalsOptions): Refusals {
  const entries = writeLate(options);
  const known = new RefusalKinds(ofKnown);
  const strangers = new RefusalKinds(ofStrangers);
  const timer = setInterval(() => endWindow(), window);
  timer.unref();

  function endWindow(hasRoom = () => entries.hasRoom): void {
    for (const kinds of [known, strangers]) {
      for (const entry of kinds.endWindow(hasRoom)) void entries.add(entry);
    }
  }

  return {
    async enter(refused) {
      const isKnown = refused.actor !== undefined;
      const entry = (isKnown ? known : strangers).count(refused, clock(), entries.hasRoom);
      if (entry === undefined) return;
      const written = entries.add(entry);
      if (isKnown) await written;
    },
    async stop() {
      clearInterval(timer);
      // There will be no other time, and it is not many.
      endWindow(() => true);
      await entries.stop(stopPatience);
    },
  };
}
