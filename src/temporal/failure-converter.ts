/**
 * How failures travel (R21): message and stack inside a payload, which the codec encrypts. A module of its own, because the
 * workflows' bundle takes it in by path.
 */
import { DefaultFailureConverter } from '@temporalio/common';

/** What a failure is called, and whether it may be retried, stays readable; what it says does not. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
