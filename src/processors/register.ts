/** Preparing a processor to be registered: its address, its domain, and what it signs or is signed with. */
import { readTarget, hostOf } from './addresses';
import { assertSpeaksFor, readCertificates } from './certificates';
import { discoverCertificate } from './discovery';
import type { Opened, ProcessorDocument } from '../data';
import { TargetRefusedError } from './errors';
import type { ProcessorSettings } from './settings';
import { newSecret } from './webhook';

/** What an administrator says of a processor. */
export interface NewProcessor {
  readonly kind: ProcessorDocument['kind'];
  readonly url: string;
  readonly domain?: string | undefined;
  /** In PEM. */
  readonly certificate?: string | undefined;
  readonly secret?: string | undefined;
}

/** OpenDSR tells its results by callback, and this deployment has not said where it can be reached. */
export class PublicUrlMissingError extends Error {
  override readonly name = 'PublicUrlMissingError';
}

/** Two questions have to be answered while an administrator waits, in milliseconds. */
const patience = 2000;

/**
 * The part of a processor's document that follows from what is said of it.
 *
 * @throws {TargetRefusedError} the address may not be called, or is not the domain's
 * @throws {CertificateRefusedError} the certificate proves nothing of the domain
 * @throws {ProcessorAnswerError} the processor does not publish what it signs with
 * @throws {PublicUrlMissingError}
 */
export async function prepareProcessor(
  given: NewProcessor,
  settings: ProcessorSettings,
  now: Date,
): Promise<Pick<Opened<ProcessorDocument>, 'url' | 'domain' | 'certificate' | 'certificateFrom' | 'secret'>> {
  const url = readTarget(given.url, settings);
  if (given.kind === 'webhook') return { url: url.href, secret: given.secret ?? newSecret() };
  if (settings.publicUrl === undefined) {
    throw new PublicUrlMissingError('ABLAUF_PUBLIC_URL is not set: an OpenDSR processor would not know whom to answer');
  }
  if (url.search !== '') throw new TargetRefusedError('must not hold a query');
  const domain = hostOf(url).toLowerCase();
  if (given.domain !== undefined && given.domain.toLowerCase() !== domain) {
    throw new TargetRefusedError('does not lie in the domain');
  }
  if (given.certificate === undefined) {
    const certificate = await discoverCertificate({ url: url.href, domain }, settings, now, patience);
    return { url: url.href, domain, certificate, certificateFrom: 'discovery' };
  }
  const { leaf } = readCertificates(given.certificate);
  assertSpeaksFor(leaf, domain, now);
  return { url: url.href, domain, certificate: leaf.toString(), certificateFrom: 'given' };
}
