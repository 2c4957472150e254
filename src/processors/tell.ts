/** One look at a request: ask the processor how far it is, or tell it (again), and record what came of it. */
import type { ProcessorDocument, ProcessorRequestDocument, RequestStatus, Store } from '../data';
import { native } from '../database';
import { exchange, type Exchanged } from './addresses';
import { discoverCertificate, openDsrUrl } from './discovery';
import { CertificateRefusedError, NotAuthenticError, ProcessorAnswerError, TargetRefusedError } from './errors';
import { accountOf } from './identity';
import { keepable, readAcknowledgement, readStatus, requestBody, verifySignature, type Said } from './opendsr';
import {
  findProcessor,
  findRequest,
  isEnded,
  recordAnswer,
  recordAttempt,
  recordExpectation,
  recordFailure,
} from './record';
import { secretOf } from './secret';
import { callbackUrlOf, type ProcessorSettings } from './settings';
import { digestOf, readAnswer, signedMessage } from './webhook';

/** What a request has come to. Times are instants, in text. */
export interface Look {
  readonly status: RequestStatus;
  /** Whether nothing more has to be done. */
  readonly ended: boolean;
  /** When the erasure was that has to be told. */
  readonly at: string;
  readonly expectedBy?: string;
  /** Why this look came to nothing. */
  readonly error?: string;
  /** How long the processor asks to be left alone, in milliseconds. */
  readonly retryAfter?: number;
}

export interface Telling {
  readonly store: Store;
  readonly settings: ProcessorSettings;
  readonly now: Date;
}

/**
 * Looks at a request: a processor that has it is asked how far it is, and one that does not, or should be done by now, is
 * told. What the processor does wrong is part of the answer; only our own troubles are errors.
 *
 * @throws {Error} there is no such request
 */
export async function tellProcessor(telling: Telling, id: string): Promise<Look> {
  const { store } = telling;
  const request = await findRequest(store, id);
  if (request === null) throw new Error(`there is no request ${id} to a processor`);
  if (isEnded(request.status)) return lookAt(request);
  const processor = await findProcessor(store, request.processor);
  try {
    await (request.kind === 'opendsr'
      ? tellOpenDsr(telling, processor, request)
      : tellWebhook(telling, processor, request));
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    await recordFailure(store, id, reason);
    const { retryAfter } = error instanceof ProcessorAnswerError ? error : {};
    return {
      ...lookAt((await findRequest(store, id)) ?? request),
      error: reason,
      ...(retryAfter === undefined ? {} : { retryAfter }),
    };
  }
  return lookAt((await findRequest(store, id)) ?? request);
}

function lookAt({ status, at, expectedBy }: ProcessorRequestDocument): Look {
  return {
    status,
    ended: isEnded(status),
    at: at.toISOString(),
    ...(expectedBy === undefined ? {} : { expectedBy: expectedBy.toISOString() }),
  };
}

/** What is the processor's to mend, in words that name nobody; nothing for what is ours. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof TargetRefusedError) return `its address ${error.message}`;
  if (error instanceof NotAuthenticError) return `its answer ${error.message}`;
  if (error instanceof CertificateRefusedError) return `its certificate ${error.message}`;
  return error instanceof ProcessorAnswerError ? error.message : undefined;
}

async function tellOpenDsr(telling: Telling, processor: ProcessorDocument, request: ProcessorRequestDocument) {
  const { store, settings, now } = telling;
  // What was sent may have arrived, whatever came back: who may have the request is asked for its state first.
  const asked =
    request.attempts > 0 ? await askStatus(telling, processor, request).catch(unlessExpected(request, now)) : undefined;
  if (asked !== undefined && (isEnded(asked.status) || asked.expectedBy > now)) return;
  const account = await accountOf(store, request);
  if (account === undefined) return;
  if (settings.publicUrl === undefined) throw new ProcessorAnswerError('ABLAUF_PUBLIC_URL is not set');
  const body = requestBody({
    id: request._id,
    account,
    at: request.at,
    region: store.region,
    callbackUrl: callbackUrlOf(settings.publicUrl, request._id),
  });
  await recordAttempt(store, request._id, now);
  const answer = await exchange(openDsrUrl(processor.url, 'requests'), settings, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body,
  });
  assertWell(answer, now);
  const said = await authenticated(telling, processor, answer, () =>
    readAcknowledgement(answer.body, request._id, body),
  );
  await settle(telling, processor, request, 'response', answer, said);
}

/** A processor that is not expected to be at work yet, or no more, is told whether or not it can be asked. */
function unlessExpected({ status, expectedBy }: ProcessorRequestDocument, now: Date) {
  return (error: unknown): undefined => {
    const atWork = status !== 'open' && expectedBy !== undefined && expectedBy > now;
    if (atWork || reasonOf(error) === undefined) throw error;
  };
}

/** What the status endpoint says; nothing where it does not know the request. */
async function askStatus(telling: Telling, processor: ProcessorDocument, request: ProcessorRequestDocument) {
  const { settings, now } = telling;
  const answer = await exchange(openDsrUrl(processor.url, `requests/${request._id}`), settings, {
    method: 'GET',
    headers: { accept: 'application/json' },
  });
  if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) return undefined;
  assertWell(answer, now);
  const said = await authenticated(telling, processor, answer, () => readStatus(answer.body, request._id));
  return settle(telling, processor, request, 'status', answer, said);
}

interface Signed extends Said {
  readonly signature: string;
}

async function settle(
  { store, now }: Telling,
  processor: ProcessorDocument,
  request: ProcessorRequestDocument,
  via: 'response' | 'status',
  { body }: Exchanged,
  said: Signed,
): Promise<Said> {
  const kept = keepable(body, await accountOf(store, request));
  if (await recordAnswer(store, processor, request._id, { at: now, via, ...said, ...kept })) return said;
  return { ...said, expectedBy: await recordExpectation(store, request, said.expectedBy) };
}

/**
 * Believes an answer only once its signature is verified. A processor whose published certificate was renewed is asked
 * for the new one, and the change is audited.
 */
async function authenticated(
  telling: Telling,
  processor: ProcessorDocument,
  { headers, body }: Exchanged,
  read: () => Said,
): Promise<Signed> {
  const { store, settings, now } = telling;
  const { domain, certificate } = processor;
  if (domain === undefined || certificate === undefined) throw new NotAuthenticError('cannot be verified');
  try {
    return { signature: verifySignature({ domain, certificate }, headers, body, now), ...read() };
  } catch (error) {
    if (!(error instanceof NotAuthenticError) || processor.certificateFrom !== 'discovery') throw error;
    const renewed = await discoverCertificate({ url: processor.url, domain }, settings, now);
    if (renewed === certificate) throw error;
    const signature = verifySignature({ domain, certificate: renewed }, headers, body, now);
    await store.transaction(async (session) => {
      await native(store.processors).updateOne({ _id: processor._id }, { $set: { certificate: renewed } }, { session });
      const actor = { type: 'system', id: processor._id } as const;
      const details = { processor: processor._id };
      await store.audit.append(session, { at: now, actor, action: 'processor.certificate-renewed', details });
    });
    return { signature, ...read() };
  }
}

async function tellWebhook(telling: Telling, processor: ProcessorDocument, request: ProcessorRequestDocument) {
  const { store, settings, now } = telling;
  const account = await accountOf(store, request);
  const secret = await secretOf(store, processor);
  if (account === undefined || secret === undefined) return;
  const { publicUrl } = settings;
  const { headers, body } = signedMessage(
    secret,
    {
      id: request._id,
      account,
      at: request.at,
      ...(publicUrl === undefined ? {} : { callbackUrl: callbackUrlOf(publicUrl, request._id) }),
    },
    now,
  );
  await recordAttempt(store, request._id, now);
  const answer = await exchange(processor.url, settings, { method: 'POST', headers, body });
  assertWell(answer, now);
  const status = readAnswer(answer.body);
  await recordAnswer(store, processor, request._id, { at: now, via: 'response', status, ...digestOf(answer.body) });
}

const longestPause = 24 * 60 * 60 * 1000;

/** @throws {ProcessorAnswerError} the answer's status is no success */
function assertWell({ status, headers }: Exchanged, now: Date): void {
  if (status >= 200 && status < 300) return;
  throw new ProcessorAnswerError(`HTTP ${status}`, pauseOf(headers['retry-after'], now));
}

function pauseOf(header: string | undefined, now: Date): number | undefined {
  if (header === undefined) return undefined;
  const pause = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now.getTime();
  return Number.isFinite(pause) && pause > 0 ? Math.min(pause, longestPause) : undefined;
}
