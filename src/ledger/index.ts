/** The ledger of erasures: which accounts are erased, kept where no restore of a database reaches. */
export { addMissing, compareWithLedger, type Comparison } from './compare';
export { LedgerError } from './errors';
export type { ErasureEntry } from './line';
export type { Ledger, Position } from './ledger';
export { openLedgerAt, type LedgerPlace } from './open';
export { openAgainst, watchLedger, type LedgerWatch } from './watch';
