import { effectiveSettings, type Store } from '../data';
import type { Settings } from '../lifecycle';

/** How long another process's change of the defaults may go unseen by reads, in milliseconds. Commands look it up afresh. */
const maxAge = 250;

/** The settings in force, for reads: asking anew each time would double the cost of reading an account. */
export interface SettingsCache {
  current(): Promise<Settings> | Settings;
  /** After a change made here: the read that follows sees it. */
  invalidate(): void;
}

export function createSettingsCache(store: Store, configured: Settings): SettingsCache {
  let known: { readonly settings: Settings; readonly readAt: number } | undefined;
  let generation = 0;
  return {
    current() {
      if (known !== undefined && performance.now() - known.readAt < maxAge) return known.settings;
      const asked = generation;
      const readAt = performance.now();
      return effectiveSettings(store, configured).then((settings) => {
        if (asked === generation) known = { settings, readAt };
        return settings;
      });
    },
    invalidate() {
      generation += 1;
      known = undefined;
    },
  };
}
