/** Opening the ledger of erasures as it is configured, and saying what is found (R23). */
import type { Logger } from 'pino';
import type { Config } from './config';
import type { Store } from './data';
import { outsideOf, type ArchiveStorage } from './exports';
import { LedgerError, openAgainst, openLedgerAt, watchLedger, type Ledger, type LedgerWatch } from './ledger';

/** The ledger, and the watch that compares it with the databases. */
export interface OpenedLedger {
  readonly ledger: Ledger;
  readonly watch: LedgerWatch;
}

/**
 * Opens the ledger and begins to compare.
 *
 * @param behind is called when the database is found to have been restored
 * @throws {LedgerError} it cannot be relied on
 */
export async function openConfiguredLedger(
  { ledger: { place, rebuild } }: Config,
  store: Store,
  archives: ArchiveStorage,
  log: Logger,
  behind: () => void = () => undefined,
): Promise<OpenedLedger> {
  const ledger = openLedgerAt(place, store.vault);
  if (rebuild) {
    log.warn({ alert: 'ledger-rebuilt' }, 'ABLAUF_LEDGER_REBUILD: the ledger is taken as it is; take it away again');
  }
  await openAgainst({ store, ledger, rebuild });
  const watch = watchLedger({
    store,
    ledger,
    outside: outsideOf(archives),
    hooks: {
      behind(erasures) {
        log.error(
          { alert: 'database-restored', erasures },
          'the database is behind the ledger of erasures: nobody is served until they are done again',
        );
        behind();
      },
      restored: (comparison) =>
        log.error(
          { alert: 'erased-again', ...comparison },
          'the database is in step with the ledger of erasures again',
        ),
      failed: (error) =>
        log.error(
          { alert: error instanceof LedgerError ? `ledger-${error.finding}` : 'ledger-unread', err: error },
          'the ledger of erasures could not be compared',
        ),
    },
  });
  return { ledger, watch };
}
