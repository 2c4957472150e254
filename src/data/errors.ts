/** What can go wrong with stored data, by name. Names travel through Temporal as the failure's type. */

/** Another step holds this number: two histories of one account contradict each other. Stop; do not repeat. */
export class SequenceConflictError extends Error {
  override readonly name = 'SequenceConflictError';
}

/** A step came before its predecessor was recorded. Its predecessor may still be under way: worth repeating. */
export class SequenceGapError extends Error {
  override readonly name = 'SequenceGapError';
}

/** The account has changed since the version the caller saw (`If-Match`). */
export class VersionMismatchError extends Error {
  override readonly name = 'VersionMismatchError';
}

/** An account, or an erased account's tombstone, already has this id (R8: ids are never reused). */
export class AccountExistsError extends Error {
  override readonly name = 'AccountExistsError';
}

/** The account, or what was to become it, is not there. */
export class AccountMissingError extends Error {
  override readonly name = 'AccountMissingError';
}

/** Something belongs to another region's database (R25). */
export class WrongRegionError extends Error {
  override readonly name = 'WrongRegionError';
}

/** The database belongs with another key store: nothing in it could be read with the keys at hand. */
export class WrongKeyStoreError extends Error {
  override readonly name = 'WrongKeyStoreError';
}

/** A hold or another state stands against erasing. Nothing was deleted after it did. */
export class ErasureBlockedError extends Error {
  override readonly name = 'ErasureBlockedError';
}

/** By the erasing side's own clock the deadline has not passed. Nothing was deleted; ask again shortly. */
export class ErasureNotDueError extends Error {
  override readonly name = 'ErasureNotDueError';
}

/** The search after an erasure found something left. Erase again, then search again. */
export class ErasureIncompleteError extends Error {
  override readonly name = 'ErasureIncompleteError';
}

/** A key that was destroyed is still found in the key store. Its account is erased, but that is not final yet. */
export class KeyRemainsError extends Error {
  override readonly name = 'KeyRemainsError';
}

/** The database holds what the data map does not declare: it would escape export, holds and erasure. */
export class UndeclaredDataError extends Error {
  override readonly name = 'UndeclaredDataError';

  /** @param places `collection` or `collection.field`, each followed by what is wrong with it where that is not plain */
  constructor(readonly places: readonly string[]) {
    super(
      `the database holds what src/data/map.ts does not declare: ${places.join(', ')}. ` +
        'Declare it there, so that it is held, exported and erased like the rest, or remove it',
    );
  }
}

/** A document that the law obliges to keep does not say which day the law counts from. It stays where it was. */
export class StatutoryDateError extends Error {
  override readonly name = 'StatutoryDateError';
}

/** Temporal's clock and the database server's differ too much to trust either with an erasure. Nothing was deleted. */
export class ClocksDisagreeError extends Error {
  override readonly name = 'ClocksDisagreeError';
}

/** A certificate cannot be signed: the audit log does not prove the entry it is about. */
export class CertificatePendingError extends Error {
  override readonly name = 'CertificatePendingError';
}

/** Too many erasures fell due within a day: this one waits for an administrator. Nothing was deleted. */
export class ErasureHeldBackError extends Error {
  override readonly name = 'ErasureHeldBackError';
}

/** What is about to be done is not what the plan in force says. Nothing more was deleted. */
export class PlanDeviationError extends Error {
  override readonly name = 'PlanDeviationError';
}

/** Another process has put a new version of a key in use, and this one has not heard of it yet. Worth repeating. */
export class KeyNotHeardOfError extends Error {
  override readonly name = 'KeyNotHeardOfError';
}
