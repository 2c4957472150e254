/** The ledger of erasures: which accounts are erased, kept where no restore of a database reaches. */
export { LedgerError, type LedgerFinding } from './errors';
export type { ErasureEntry, Line } from './line';
export type { Known, Ledger, PlacedLine, Position } from './ledger';
export { openLedgerAt, type LedgerPlace } from './open';
