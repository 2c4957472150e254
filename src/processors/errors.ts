/** What can go wrong between us and a processor, by name. None of it stops an erasure. */

/** An address that must not be called: not public, not encrypted, or none at all. Nothing was sent. */
export class TargetRefusedError extends Error {
  override readonly name = 'TargetRefusedError';
}

/** A processor did not answer, or not as it has to. It may have the request all the same. */
export class ProcessorAnswerError extends Error {
  override readonly name = 'ProcessorAnswerError';
  /** @param retryAfter how long it asks to be left alone, in milliseconds */
  constructor(
    message: string,
    readonly retryAfter?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A certificate that proves nothing of its processor. */
export class CertificateRefusedError extends Error {
  override readonly name = 'CertificateRefusedError';
}

/** Something that claims to come from a processor and cannot be shown to. */
export class NotAuthenticError extends Error {
  override readonly name = 'NotAuthenticError';
}
