/** Callbacks of processors: verified before they are read, recorded before anybody is told. */
import type { IncomingHttpHeaders } from 'node:http';
import type { ProcessorDocument, Store } from '../data';
import { NotAuthenticError } from './errors';
import { accountOf } from './identity';
import { keepable, readCallback, verifySignature } from './opendsr';
import { findProcessor, findRequest, recordAnswer } from './record';
import { secretOf } from './secret';
import { callbackUrlOf, type ProcessorSettings } from './settings';
import { digestOf, readWebhookCallback, verifyCallback } from './webhook';

/** A request as it came, of which nothing is believed yet. */
export interface Signed {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * Takes in a callback.
 *
 * @returns whether it was news; nothing where there is no such request
 * @throws {NotAuthenticError} it is not signed by the processor it should be from
 * @throws {ProcessorAnswerError} it is, and says nothing that makes sense of this request
 */
export async function receiveCallback(
  { store, settings }: { readonly store: Store; readonly settings: ProcessorSettings },
  id: string,
  signed: Signed,
  now: Date,
): Promise<boolean | undefined> {
  const request = await findRequest(store, id);
  if (request === null) return undefined;
  const processor = await findProcessor(store, request.processor);
  const answer =
    request.kind === 'opendsr'
      ? openDsrAnswer(processor, { id, account: await accountOf(store, request) }, signed, settings, now)
      : webhookAnswer(await secretOf(store, processor), id, signed);
  return recordAnswer(store, processor, id, { at: now, via: 'callback', ...answer });
}

function openDsrAnswer(
  { domain, certificate }: ProcessorDocument,
  { id, account }: { readonly id: string; readonly account: string | undefined },
  { headers, body }: Signed,
  { publicUrl }: ProcessorSettings,
  now: Date,
) {
  if (domain === undefined || certificate === undefined || publicUrl === undefined) {
    throw new NotAuthenticError('cannot be verified');
  }
  const signature = verifySignature({ domain, certificate }, headers, body, now);
  return { signature, ...readCallback(body, id, callbackUrlOf(publicUrl, id)), ...keepable(body, account) };
}

function webhookAnswer(secret: string | undefined, id: string, { headers, body }: Signed) {
  if (secret === undefined) throw new NotAuthenticError('cannot be verified');
  const signature = verifyCallback(secret, headers, body);
  return { signature, status: readWebhookCallback(body, id), ...digestOf(body) };
}
