/** Why somebody is refused, in the words the audit log uses (R19). */
import type { Actor } from '../../lifecycle';

export const refusalReasons = [
  'unknown-key',
  'revoked-key',
  'expired-key',
  'session-ended',
  'sign-in',
  'csrf',
  'role',
  'scope',
  'step-up',
  'approval',
  'other-account',
  'standing',
  'address',
  'rate-limit',
  'transport',
] as const;
/**
 * Why somebody is refused. `role` is also whatever else they may not do; `other-account` is a customer asking for what is not
 * its own, which it is told does not exist; `standing` is R15; `transport` is coming without TLS.
 *
 * There is none for a request that shows nothing at all: nothing was tried, and every signed-out browser sends them.
 */
export type RefusalReason = (typeof refusalReasons)[number];

/** What is known of a refusal where it is decided; see `Problem.because`. */
export interface Refusal {
  readonly reason: RefusalReason;
  /** More exactly, as one word of the code's own: what a client sent, or a provider answered, may be a secret. */
  readonly cause?: string;
  /** Whose credentials were shown, where that is known although they were not taken. */
  readonly actor?: Actor;
  /** The account of a customer's credentials that were not taken. */
  readonly account?: string;
}

/** A refusal as it is put on record. */
export interface Refused extends Refusal {
  /** Where it came from. */
  readonly address?: string;
  readonly method: string;
  /** The declared path, where there is one. The path itself may hold what no log should. */
  readonly route?: string;
  readonly requestId: string;
}
