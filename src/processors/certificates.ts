/**
 * The certificates processors sign with. One an administrator gives is trusted because an administrator gave it. One that
 * was read where the processor publishes it has to lead to an authority everybody knows, as OpenDSR wants it.
 */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { rootCertificates } from 'node:tls';
import { CertificateRefusedError } from './errors';

const block = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
const leastRsaBits = 2048;
const longestChain = 8;

/**
 * The certificate a text of PEM begins with, and those that vouch for it.
 *
 * @throws {CertificateRefusedError} there is none, or it cannot sign as FIPS 186-4 has it
 */
export function readCertificates(pem: string): { leaf: X509Certificate; chain: readonly X509Certificate[] } {
  const blocks = pem.match(block) ?? [];
  if (blocks.length > longestChain) throw new CertificateRefusedError('holds too many certificates');
  let certificates: X509Certificate[];
  try {
    certificates = blocks.map((text) => new X509Certificate(text));
  } catch (error) {
    throw new CertificateRefusedError('is not an X.509 certificate in PEM', { cause: error });
  }
  const [leaf, ...chain] = certificates;
  if (leaf === undefined) throw new CertificateRefusedError('is not an X.509 certificate in PEM');
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = leaf.publicKey;
  if (type !== 'rsa' && type !== 'ec') throw new CertificateRefusedError('holds neither an RSA nor an ECDSA key');
  if (type === 'rsa' && (details?.modulusLength ?? 0) < leastRsaBits) {
    throw new CertificateRefusedError(`holds an RSA key shorter than ${leastRsaBits} bits`);
  }
  return { leaf, chain };
}

/**
 * Makes sure that a certificate speaks for a domain at a moment.
 *
 * @throws {CertificateRefusedError} it is another's, or its time is not now
 */
export function assertSpeaksFor(certificate: X509Certificate, domain: string, at: Date): void {
  const named = isIP(domain) === 0 ? certificate.checkHost(domain) : certificate.checkIP(domain);
  if (named === undefined) throw new CertificateRefusedError(`was not issued for ${domain}`);
  if (at < new Date(certificate.validFrom)) throw new CertificateRefusedError('is not valid yet');
  if (at > new Date(certificate.validTo)) throw new CertificateRefusedError('has expired');
}

/**
 * Makes sure that a certificate leads to an authority.
 *
 * @param authorities in PEM; those everybody knows where none are given
 * @throws {CertificateRefusedError} it does not
 */
export function assertTrusted(
  leaf: X509Certificate,
  chain: readonly X509Certificate[],
  at: Date,
  authorities: readonly string[] = rootCertificates,
): void {
  const roots = authorities.map((text) => new X509Certificate(text));
  let current = leaf;
  for (let steps = 0; steps <= longestChain; steps += 1) {
    const subject = current;
    if (roots.some((root) => vouches(root, subject, at))) return;
    const next = chain.find((candidate) => candidate !== subject && vouches(candidate, subject, at));
    if (next === undefined) break;
    current = next;
  }
  throw new CertificateRefusedError('was not issued by a known authority');
}

function vouches(issuer: X509Certificate, subject: X509Certificate, at: Date): boolean {
  const inTime = at >= new Date(issuer.validFrom) && at <= new Date(issuer.validTo);
  return issuer.ca && inTime && subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
}
