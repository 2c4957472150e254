/** From whatever went wrong to the problem a client is told. What is not listed is internal, and told without detail. */
import { mongo, MongooseError } from 'mongoose';
import { ZodError } from 'zod';
import { UnreadableBodyError, WrongRegionError } from '../data';
import type { Refusal } from '../lifecycle';
import { flawsOf } from '../lifecycle/schemas';
import { OutcomeUnknownError, RefusedError, TemporalUnavailableError } from '../temporal';
import { KeyDestroyedError, MasterKeyAwayError, MasterKeyRefusedError } from '../vault';
import { invalid, Problem, type ProblemCode } from './problems';

/** How far a request came before something went wrong. */
export interface Progress {
  /** A message was sent, so its effect may come even if we cannot tell. */
  sent: boolean;
  /** A transaction is under way: whether it counts is known once it ends, and not before. */
  writing: boolean;
  /** The body is under way. */
  receiving?: boolean;
  /** When it had arrived, by `performance.now()`. */
  received?: number;
  /** Nobody waits for the answer any more: nothing may be sent. */
  abandoned: boolean;
}

export function problemOf(error: unknown, progress: Progress): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof RefusedError) return refusalProblem(error.refusal);
  if (error instanceof TemporalUnavailableError) return unavailable();
  if (error instanceof OutcomeUnknownError) return outcomeUnknown();
  if (error instanceof ZodError) return invalid(flawsOf(error));
  if (error instanceof UnreadableBodyError) return invalid([{ path: '', detail: error.message }]);
  if (error instanceof WrongRegionError) return wrongRegion();
  // Its key goes once its tombstone stands: whoever read it just before finds it gone now.
  if (error instanceof KeyDestroyedError) return erased();
  if (error instanceof MasterKeyAwayError || error instanceof MasterKeyRefusedError)
    return progress.sent ? outcomeUnknown() : unavailable();
  if (isDatabaseAway(error)) return progress.sent || isCommitUnknown(error) ? outcomeUnknown() : unavailable();
  return bodyProblem(error) ?? new Problem('internal');
}

/** A decision that was no, as the problem of the same name. */
export function refusalProblem({ code, detail, state, allowed, errors }: Refusal): Problem {
  if (code === 'validation') return errors === undefined ? new Problem(code, detail) : invalid(errors);
  return new Problem(code, detail, code === 'conflict' ? { state, allowed } : {});
}

export function erased(): Problem {
  return new Problem('account-erased', 'the account is erased and never comes back');
}

export function unavailable(): Problem {
  return new Problem(
    'unavailable',
    'something this needs cannot be reached; nothing happened',
    {},
    { 'Retry-After': '1' },
  );
}

export function outcomeUnknown(): Problem {
  return new Problem('outcome-unknown', 'no answer came in time; ask again with the same Idempotency-Key');
}

export function wrongRegion(): Problem {
  return new Problem('wrong-region', 'this belongs to another region');
}

const awayErrors = [
  mongo.MongoNetworkError,
  mongo.MongoServerSelectionError,
  mongo.MongoNotConnectedError,
  mongo.MongoTopologyClosedError,
  mongo.MongoExpiredSessionError,
  mongo.MongoWriteConcernError,
];
/** The server steps down, shuts down, or gave up waiting. */
const awayCodes = new Set([50, 91, 189, 10107, 11600, 11602, 13435, 13436]);

function isDatabaseAway(error: unknown): boolean {
  if (awayErrors.some((type) => error instanceof type)) return true;
  if (error instanceof mongo.MongoServerError) {
    const transient = error.hasErrorLabel('TransientTransactionError') || error.hasErrorLabel('RetryableWriteError');
    return transient || awayCodes.has(Number(error.code));
  }
  // Without buffering, mongoose says so itself while it is not connected.
  return (
    error instanceof MongooseError && /before initial connection|connection.*(closed|disconnected)/i.test(error.message)
  );
}

function isCommitUnknown(error: unknown): boolean {
  return error instanceof mongo.MongoError && error.hasErrorLabel('UnknownTransactionCommitResult');
}

const bodyCodes: Readonly<Record<number, ProblemCode>> = {
  400: 'validation',
  413: 'payload-too-large',
  415: 'unsupported-media-type',
};
const bodyDetails: Readonly<Record<string, string>> = {
  'entity.parse.failed': 'the body is not JSON',
  'entity.too.large': 'the body is too large',
  'encoding.unsupported': 'the encoding of the body is not known',
  'charset.unsupported': 'the character set of the body is not known',
  'request.aborted': 'the body ended early',
  'request.size.invalid': 'the body is not as long as announced',
};

/** What Express and its body parser throw: errors with a status of their own. */
function bodyProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return undefined;
  const code = bodyCodes[error.status];
  if (code === undefined) return undefined;
  const type = 'type' in error ? String(error.type) : '';
  const detail = bodyDetails[type] ?? 'the request cannot be read';
  return code === 'validation' ? invalid([{ path: '', detail }]) : new Problem(code, detail);
}
