/** Keeping a process from serving what the ledger knows as erased: at its start, and for as long as it runs (R23). */
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../database';
import type { Store } from '../data';
import { compareWithLedger, type Comparison, type ComparisonOptions } from './compare';
import { LedgerError } from './errors';
import type { Ledger } from './ledger';
import { positionIn } from './positions';

/** What a watch tells along the way. */
export interface WatchHooks {
  /** The database is behind the ledger: it was restored from before so many erasures. */
  readonly behind: (erasures: number) => void;
  /** A comparison ended that found something to do. */
  readonly restored: (comparison: Comparison) => void;
  /** The ledger cannot be relied on any more, or could not be compared. It is tried again. */
  readonly failed: (error: unknown) => void;
}

export interface WatchOptions extends Omit<ComparisonOptions, 'behind'> {
  readonly hooks: WatchHooks;
  /** Between two comparisons, in milliseconds. @default a minute */
  readonly every?: number;
}

/** A watch that runs. */
export interface LedgerWatch {
  /** Why nobody is to be served, in words for everybody; nothing while all is well. */
  closed(): string | undefined;
  /** Settles once the database was found, or put, in step with the ledger for the first time. */
  readonly open: Promise<void>;
  /** Settles when the watch has stopped. */
  stop(): Promise<void>;
}

const minute = 60_000;
const firstPause = 500;

/** Makes sure that there is a ledger to go by, before anything is begun. */
export interface OpeningOptions {
  readonly store: Store;
  readonly ledger: Ledger;
  /** The operator says that lines are lost for good: they are written anew, from what the database has. */
  readonly rebuild?: boolean;
}

/**
 * Opens the ledger against what the databases know of it. See docs/restore.md for what stops here, and the way out.
 *
 * @throws {LedgerError}
 */
export async function openAgainst({ store, ledger, rebuild = false }: OpeningOptions): Promise<void> {
  const kept = [positionIn(store.connection), positionIn(store.vault.keyStore.connection)];
  // What was issued before there was a ledger gets its line, too.
  await native(store.certificates).updateMany({ ledger: { $exists: false } }, { $set: { ledger: 0 } });
  if (!rebuild) {
    const positions = (await Promise.all(kept.map((position) => position.read()))).filter((one) => one !== undefined);
    const told = await native(store.certificates).findOne({ ledger: { $gt: 0 } }, { projection: { _id: 1 } });
    await ledger.open({ positions, expected: told !== null });
    return;
  }
  await ledger.open({ positions: [], expected: false });
  let last;
  for await (const { position } of ledger.after(undefined)) last = position;
  if (last === undefined) throw new LedgerError('missing', ledger.name, 'it cannot be begun');
  await native(store.certificates).updateMany({ ledger: { $gt: last.seq } }, { $set: { ledger: 0 } });
  for (const position of kept) {
    const known = await position.read();
    if (known !== undefined && known.seq >= last.seq) await position.write(last);
  }
}

/** Compares at once, and then again and again. */
export function watchLedger({ hooks, every = minute, ...options }: WatchOptions): LedgerWatch {
  const stopping = new AbortController();
  let why: string | undefined = 'the database is being compared with the ledger of erasures';
  let opened: () => void = () => undefined;
  const open = new Promise<void>((resolve) => {
    opened = resolve;
  });

  async function compare(): Promise<void> {
    const found = { behind: false };
    const comparison = await compareWithLedger({
      ...options,
      behind(erasures) {
        if (!found.behind) hooks.behind(erasures);
        found.behind = true;
        why = 'the database was restored from before accounts were erased: they are being erased again';
      },
    });
    if (found.behind || comparison.keys > 0) hooks.restored(comparison);
    why = undefined;
    opened();
  }

  async function run(): Promise<void> {
    for (let pause = firstPause; !stopping.signal.aborted;) {
      try {
        await compare();
        pause = every;
      } catch (error) {
        hooks.failed(error);
        // A process that is open stays so: what was compared before holds, and erasures wait for the ledger.
        pause = why === undefined ? every : Math.min(2 * pause, every);
      }
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  const running = run();
  return {
    closed: () => why,
    open,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
