/** What `verify.mjs` offers to other programs. */

/** What was found of a certificate. */
export interface Checked {
  /** 0: everything holds; 1: something does not; 2: it could not be checked. */
  readonly code: 0 | 1 | 2;
  /** The same in plain words, without control characters. */
  readonly lines: readonly string[];
  /** Why it is refused; stable. */
  readonly reason?: string;
  /** What is certified, by a certificate that holds. */
  readonly verified?: Verified;
}

export interface Verified {
  readonly certificate: Readonly<Record<string, unknown>>;
  readonly kid: string;
  readonly addenda: readonly Readonly<Record<string, unknown>>[];
  readonly statement: Readonly<Record<string, unknown>>;
}

/** Checks a certificate against public keys, both as JSON texts. */
export function check(certificate: string, keys: string): Promise<Checked>;
