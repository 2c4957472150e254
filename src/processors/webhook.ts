/** The signed webhook, in the form of Standard Webhooks: what is sent, and what comes back. */
import { hash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { z } from 'zod';
import type { RequestStatus } from '../data';
import { NotAuthenticError, ProcessorAnswerError } from './errors';

/** A new secret. */
export function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/** Whether a text can be a secret: 24 to 64 bytes in base64, as Standard Webhooks has it. */
export function isSecret(text: string): boolean {
  const [, encoded] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  if (encoded === undefined) return false;
  const bytes = Buffer.from(encoded, 'base64');
  return bytes.toString('base64') === encoded && bytes.length >= 24 && bytes.length <= 64;
}

/** One erasure, as a webhook is told of it. */
export interface ErasureMessage {
  readonly id: string;
  readonly account: string;
  readonly at: Date;
  /** Where it can say how far it is; absent where this deployment has no public address. */
  readonly callbackUrl?: string;
}

/** A message and its headers. The same request keeps its `webhook-id`, so that a repeat is known as one. */
export function signedMessage(secret: string, message: ErasureMessage, now: Date) {
  const { id, account, at, callbackUrl } = message;
  const body = JSON.stringify({
    type: 'erasure.requested',
    timestamp: at.toISOString(),
    data: { request: id, account, ...(callbackUrl === undefined ? {} : { callbackUrl }) },
  });
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, now, body),
  };
  return { body, headers };
}

const statuses = {
  received: 'received',
  in_progress: 'in_progress',
  completed: 'completed',
  cancelled: 'cancelled',
} as const;
const statusSchema = z.enum(['received', 'in_progress', 'completed', 'cancelled']);
const callbackSchema = z.looseObject({ request: z.string(), status: statusSchema });
const answerSchema = z.looseObject({ status: statusSchema });

/** What the answer to a message says. An answer that says nothing of the kind means that it was received. */
export function readAnswer(body: Buffer): RequestStatus {
  try {
    const parsed = answerSchema.safeParse(JSON.parse(body.toString()));
    return parsed.success ? statuses[parsed.data.status] : 'received';
  } catch {
    return 'received';
  }
}

/**
 * Makes sure that a callback was signed with the secret, within five minutes of now.
 *
 * @returns the signature
 * @throws {NotAuthenticError} it was not
 */
export function verifyCallback(secret: string, headers: IncomingHttpHeaders, body: Buffer): string {
  const given: Record<string, string> = {};
  for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
    const value = headers[name];
    if (typeof value === 'string') given[name] = value;
  }
  try {
    new Webhook(secret).verify(body, given, { jsonParse: false });
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    throw new NotAuthenticError('is not signed with the secret, or not lately', { cause: error });
  }
  return given['webhook-signature'] ?? '';
}

/** Reads a callback. @throws {ProcessorAnswerError} it is none, or about another request */
export function readWebhookCallback(body: Buffer, id: string): RequestStatus {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch (error) {
    throw new ProcessorAnswerError('the callback is not JSON', undefined, { cause: error });
  }
  const parsed = callbackSchema.safeParse(value);
  if (!parsed.success) throw new ProcessorAnswerError('the callback has no request and status');
  if (parsed.data.request !== id) throw new ProcessorAnswerError('the callback is about another request');
  return statuses[parsed.data.status];
}

/** What is kept of what a webhook said: its digest. A shared secret proves nothing to others. */
export function digestOf(body: Buffer): { readonly sha256: string } {
  return { sha256: hash('sha256', body) };
}
