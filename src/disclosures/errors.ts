/** The ways the register says no. Each ends its transaction without effect. */

/** There is an entry of this name already. */
export class ProviderExistsError extends Error {
  override readonly name = 'ProviderExistsError';
}

/** There is no such entry, or it was removed. */
export class ProviderMissingError extends Error {
  override readonly name = 'ProviderMissingError';
}

/** The register is full; see `mostProviders`. */
export class RegisterFullError extends Error {
  override readonly name = 'RegisterFullError';
}

/** The entry is at another version than the caller saw. */
export class ProviderChangedError extends Error {
  override readonly name = 'ProviderChangedError';
}
