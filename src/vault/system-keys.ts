/** The deployment's own keys. */

/** What encrypts for the deployment rather than for an account. */
export type SystemKey =
  /** What an erased account is called; see `Vault.pseudonymOf`. */
  | 'pseudonyms'
  /** Blind indexes over all accounts, such as a mail address's. */
  | 'lookups'
  /** Temporal's payloads. */
  | 'payloads'
  /** What the audit log says of staff; lasts as long as the log. */
  | 'staff'
  /** Secrets of the deployment's own: of processors and the like. */
  | 'secrets'
  /** Signs checkpoints, certificates and the ledger. */
  | 'signing';

/**
 * The key that is re-wrapped before all others. Every process needs it to start: one that does not have the new master key
 * does not start any more; and the master key it is wrapped under says that the rotation to it has begun.
 */
export const rotationMark = 'system/pseudonyms';

/** The ids of all, in the order in which they are re-wrapped. */
export const systemKeyIds: readonly string[] = [
  rotationMark,
  'system/signing',
  'system/payloads',
  'system/lookups',
  'system/secrets',
  'system/staff',
];
