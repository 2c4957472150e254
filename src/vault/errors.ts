/** What can go wrong with keys. Told apart by name. */

/** The master key is missing, too short, or not the one the keys are wrapped under. Nothing is opened or written. */
export class MasterKeyError extends Error {
  override readonly name = 'MasterKeyError';
}

/**
 * Whoever holds the master key does not let us use it: it is disabled, we have no permission, nobody knows us. Says nothing of any
 * key; once it is mended everything opens as before.
 */
export class MasterKeyRefusedError extends Error {
  override readonly name = 'MasterKeyRefusedError';
}

/**
 * Whoever holds the master key does not answer, or not now. Says nothing of any key: it may be asked again, and what is
 * encrypted stays as it is.
 */
export class MasterKeyAwayError extends Error {
  override readonly name = 'MasterKeyAwayError';
}

/** A rotation leads to a master key that this process was not given, neither as the one in use nor as the next one. */
export class RotationKeyError extends Error {
  override readonly name = 'RotationKeyError';
}

/** There is no such key, and never was as far as the key store knows. */
export class KeyMissingError extends Error {
  override readonly name = 'KeyMissingError';
}

/** The key was destroyed: what it encrypted cannot be read again, by anybody. */
export class KeyDestroyedError extends Error {
  override readonly name = 'KeyDestroyedError';
}

/** The key store belongs to another region (R25). */
export class VaultRegionError extends Error {
  override readonly name = 'VaultRegionError';
}

/**
 * A value does not open: it was altered, or moved from another place, or encrypted under another key. Says nothing of what
 * it holds.
 */
export class UnreadableValueError extends Error {
  override readonly name = 'UnreadableValueError';
}
