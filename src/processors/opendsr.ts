/**
 * OpenDSR 2.0 as its Controller speaks it: what is asked, what a processor answers, and whether it was the processor that
 * did. The specification: https://github.com/opengdpr/OpenDSR
 */
import { hash, verify, type X509Certificate } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import type { RequestStatus } from '../data';
import { assertSpeaksFor, readCertificates } from './certificates';
import { CertificateRefusedError, NotAuthenticError, ProcessorAnswerError } from './errors';

const apiVersion = '2.0';

/** One erasure, as a processor is asked for it. */
export interface ErasureRequest {
  readonly id: string;
  readonly account: string;
  readonly at: Date;
  readonly region: string;
  readonly callbackUrl: string;
}

/** The body of a request. The same request has the same body, however often it is sent. */
export function requestBody({ id, account, at, region, callbackUrl }: ErasureRequest): string {
  return JSON.stringify({
    regulation: region.startsWith('us-') ? 'ccpa' : 'gdpr',
    subject_request_id: id,
    subject_request_type: 'erasure',
    submitted_time: at.toISOString(),
    subject_identities: [{ identity_type: 'controller_customer_id', identity_value: account, identity_format: 'raw' }],
    api_version: apiVersion,
    status_callback_urls: [callbackUrl],
  });
}

const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const common = { controller_id: z.string(), subject_request_id: z.string(), expected_completion_time: instant };
const statuses = {
  pending: 'received',
  in_progress: 'in_progress',
  completed: 'completed',
  cancelled: 'cancelled',
} as const;
const requestStatus = z.enum(['pending', 'in_progress', 'completed', 'cancelled']);
const results = { results_url: z.string().optional(), results_count: z.number().optional() };

const acknowledgementSchema = z.looseObject({ ...common, received_time: instant, encoded_request: z.base64() });
const statusShape = { ...common, request_status: requestStatus, api_version: z.string().optional(), ...results };
const statusSchema = z.looseObject(statusShape);
const callbackSchema = z.looseObject({ ...statusShape, status_callback_url: z.string() });
const discoverySchema = z.looseObject({
  api_version: z.string(),
  supported_identities: z.array(z.looseObject({ identity_type: z.string(), identity_format: z.string() })),
  supported_subject_request_types: z.array(z.string()),
  processor_certificate: z.string(),
});

/** What a processor says of a request. */
export interface Said {
  readonly status: RequestStatus;
  readonly expectedBy: Date;
}

/**
 * Reads the answer to a request.
 *
 * @throws {ProcessorAnswerError} it is not what OpenDSR has to be answered with, or about another request
 */
export function readAcknowledgement(body: Buffer, id: string, sent: string): Said {
  const answer = parse(acknowledgementSchema, body);
  assertAbout(answer.subject_request_id, id);
  if (!Buffer.from(answer.encoded_request, 'base64').equals(Buffer.from(sent))) {
    throw new ProcessorAnswerError('the answer repeats another request than was sent');
  }
  return { status: 'received', expectedBy: answer.expected_completion_time };
}

/** Reads what the status endpoint answers. @throws {ProcessorAnswerError} as {@link readAcknowledgement} */
export function readStatus(body: Buffer, id: string): Said {
  const answer = parse(statusSchema, body);
  assertAbout(answer.subject_request_id, id);
  return { status: statuses[answer.request_status], expectedBy: answer.expected_completion_time };
}

/** Reads a status callback. @throws {ProcessorAnswerError} as {@link readAcknowledgement}, or it was sent to somebody else */
export function readCallback(body: Buffer, id: string, callbackUrl: string): Said {
  const callback = parse(callbackSchema, body);
  assertAbout(callback.subject_request_id, id);
  if (callback.status_callback_url !== callbackUrl) {
    throw new ProcessorAnswerError('status_callback_url is not where this was sent');
  }
  return { status: statuses[callback.request_status], expectedBy: callback.expected_completion_time };
}

/** Where a processor's certificate is. @throws {ProcessorAnswerError} it cannot be asked for what we need */
export function readDiscovery(body: Buffer): { readonly certificateUrl: string } {
  const found = parse(discoverySchema, body);
  if (!/^2(\.|$)/.test(found.api_version)) throw new ProcessorAnswerError('its OpenDSR is not of version 2');
  if (!found.supported_subject_request_types.includes('erasure')) {
    throw new ProcessorAnswerError('it does not support erasure');
  }
  const knowsAccounts = found.supported_identities.some(
    ({ identity_type: type, identity_format: format }) => type === 'controller_customer_id' && format === 'raw',
  );
  if (!knowsAccounts) throw new ProcessorAnswerError('it does not support raw controller_customer_id identities');
  return { certificateUrl: found.processor_certificate };
}

/** Whom a signature has to be from. */
export interface Signer {
  readonly domain: string;
  /** In PEM. */
  readonly certificate: string;
}

/**
 * Makes sure that a body was signed by a processor, before anything in it is believed.
 *
 * @returns the signature, in base64
 * @throws {NotAuthenticError} the headers are missing, name another domain, or the signature is not the body's
 */
export function verifySignature(signer: Signer, headers: IncomingHttpHeaders, body: Buffer, at: Date): string {
  const domain = headerOf(headers, 'processor-domain');
  const signature = headerOf(headers, 'signature')?.replace(/\s+/g, '');
  if (domain === undefined || signature === undefined) throw new NotAuthenticError('is not signed');
  if (domain.toLowerCase() !== signer.domain.toLowerCase()) throw new NotAuthenticError('names another domain');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(signature)) throw new NotAuthenticError('is not signed in base64');
  const certificate = certificateOf(signer, at);
  if (!verify('sha256', body, certificate.publicKey, Buffer.from(signature, 'base64'))) {
    throw new NotAuthenticError('carries a signature that is not of this body and certificate');
  }
  return signature;
}

function certificateOf({ certificate, domain }: Signer, at: Date): X509Certificate {
  try {
    const { leaf } = readCertificates(certificate);
    assertSpeaksFor(leaf, domain, at);
    return leaf;
  } catch (error) {
    if (!(error instanceof CertificateRefusedError)) throw error;
    throw new NotAuthenticError(`is signed with a certificate that ${error.message}`, { cause: error });
  }
}

/** The names before version 2 are to be honoured too (section 10.1). */
function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[`x-opendsr-${name}`] ?? headers[`x-opengdpr-${name}`];
  return typeof value === 'string' ? value : undefined;
}

const known: ReadonlySet<string> = new Set(Object.keys(callbackSchema.shape));

/**
 * What can be kept of signed bytes. An answer to a request repeats it and must not be stored, says the specification, and
 * no certificate may name its account: the digest stays, and with it the signature can be verified as well. Where the account
 * is known no more, nobody can tell, and the digest is all that is kept.
 */
export function keepable(
  body: Buffer,
  account: string | undefined,
): { readonly sha256: string; readonly body?: string } {
  const sha256 = hash('sha256', body);
  const members = Object.entries(z.record(z.string(), z.unknown()).parse(JSON.parse(body.toString())));
  const names = (value: unknown): boolean => account === undefined || JSON.stringify(value).includes(account);
  const plain = members.every(([name, value]) => known.has(name) && typeof value !== 'object' && !names(value));
  return plain ? { sha256, body: body.toString('base64') } : { sha256 };
}

function parse<S extends z.ZodType>(schema: S, body: Buffer): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw new ProcessorAnswerError('the answer is not JSON', undefined, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ProcessorAnswerError(`${issue?.path.join('.') ?? 'the answer'} is not as OpenDSR has it`);
}

function assertAbout(named: string, id: string): void {
  if (named !== id) throw new ProcessorAnswerError('the answer is about another request');
}
