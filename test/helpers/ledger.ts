/** A ledger of a test's own, in a file. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Store } from '../../src/data';
import { openAgainst, openLedgerAt, type Ledger } from '../../src/ledger';

export interface TestLedger {
  readonly ledger: Ledger;
  readonly path: string;
  remove(): Promise<void>;
}

/** A ledger beside a store. */
export async function openTestLedger(store: Store): Promise<TestLedger> {
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-ledger-'));
  const path = join(folder, 'ledger.ndjson');
  const ledger = openLedgerAt({ path }, store.vault);
  await openAgainst({ store, ledger });
  return { ledger, path, remove: () => rm(folder, { recursive: true, force: true }) };
}
