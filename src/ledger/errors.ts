/** What can be wrong with the ledger. Told apart by name. */

/**
 * - `missing`: there is no ledger, and the database or the key store knows that there was one
 * - `truncated`: it ends before what the database or the key store has seen of it
 * - `altered`: a line is not what was written, or not where it was written
 * - `foreign`: it is another region's (R25)
 * - `unsafe-storage`: its object storage would let one line overwrite another
 */
export type LedgerFinding = 'missing' | 'truncated' | 'altered' | 'foreign' | 'unsafe-storage';

const findings: Readonly<Record<LedgerFinding, string>> = {
  missing: 'is missing',
  truncated: 'is truncated',
  altered: 'was altered',
  foreign: "is another region's",
  'unsafe-storage': 'is not safe where it lies',
};

/** The ledger cannot be relied on, so nobody can tell whether an erased account lives again (R23). See docs/restore.md. */
export class LedgerError extends Error {
  override readonly name = 'LedgerError';

  /** @param ledger where it lies */
  constructor(
    readonly finding: LedgerFinding,
    ledger: string,
    detail: string,
  ) {
    super(`the ledger of erasures ${findings[finding]} (${ledger}): ${detail}. docs/restore.md says what to do`);
  }
}
