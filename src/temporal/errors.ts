/** How a message to an account's workflow can end, other than by being carried out. Three kinds, told apart by name. */
import type { Refusal } from '../lifecycle';

/** The answer was no. Nothing changed. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  constructor(readonly refusal: Refusal) {
    super(refusal.detail);
  }
}

/** Temporal cannot be reached, and nothing was sent: nothing happened. */
export class TemporalUnavailableError extends Error {
  override readonly name = 'TemporalUnavailableError';
}

/** The message was sent and no answer came in time. It may still be carried out; repeating it with the same id is safe. */
export class OutcomeUnknownError extends Error {
  override readonly name = 'OutcomeUnknownError';
}

/** There is no running workflow for an account that ought to have one. */
export class CourseMissingError extends Error {
  override readonly name = 'CourseMissingError';
}
