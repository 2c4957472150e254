// Not `instanceof`: an error made by Node.js is of another realm where tests run.
import { isNativeError } from 'node:util/types';

/**
 * What can go wrong before an embedded server answers, by name:
 *
 * - `offline`: `ABLAUF_OFFLINE=1` and the server is neither installed nor in the cache
 * - `unsupported-platform`: no pinned build exists for this operating system and processor
 * - `python-missing`, `pip-missing`: the package registry was the last source left, and its client is not there
 * - `unreachable`: no source could deliver the server
 * - `checksum-mismatch`: what was found or delivered is not what was pinned; it was not run
 * - `not-executable`: a path the user named cannot be run
 * - `port-busy`: something else listens on the port
 * - `data-mismatch`: the data folder was written by another kind of server
 * - `locked`: another process works on the data folder
 * - `start-failed`: the server ended, or did not answer in time
 * - `stopped`: the caller's abort signal ended the start
 */
export type EmbeddedServerErrorCode =
  | 'offline'
  | 'unsupported-platform'
  | 'python-missing'
  | 'pip-missing'
  | 'unreachable'
  | 'checksum-mismatch'
  | 'not-executable'
  | 'port-busy'
  | 'data-mismatch'
  | 'locked'
  | 'start-failed'
  | 'stopped';

/** A failure whose message is one line a developer can act on; `code` is stable, the message is not. */
export class EmbeddedServerError extends Error {
  constructor(
    readonly code: EmbeddedServerErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'EmbeddedServerError';
  }
}

/** The code Node.js gave an error, such as `EEXIST`. */
export function systemCode(error: unknown): string | undefined {
  return isNativeError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The text of whatever was thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = isNativeError(error) ? error.message : String(error);
  return text.trim().split(/\s*\n\s*/)[0] ?? '';
}
