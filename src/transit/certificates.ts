/** Certificates and their keys, as PEM. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** A certificate, with those that lead to its authority after it, and its private key. */
export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

/** How a server is told from another, and how it knows us. Node's own authorities are believed where `ca` is absent. */
export interface ClientTls {
  /** Authorities to believe instead, one after another. */
  readonly ca?: string;
  /** Our own certificate, with its {@link key}. */
  readonly cert?: string;
  readonly key?: string;
}

/** What is wrong with a certificate and key, or `undefined`. Says nothing of the key. */
export function flawOfPair({
  cert,
  key,
}: PemPair): { readonly part: keyof PemPair; readonly detail: string } | undefined {
  const certificate = flawOfCertificate(cert);
  if (certificate !== undefined) return { part: 'cert', detail: certificate };
  try {
    createPrivateKey(key);
  } catch {
    return { part: 'key', detail: 'is no private key in PEM, or needs a passphrase' };
  }
  try {
    createSecureContext({ cert, key });
  } catch {
    return { part: 'key', detail: 'does not belong to the certificate' };
  }
  return undefined;
}

/** What is wrong with certificates in PEM, or `undefined`. */
export function flawOfCertificate(pem: string): string | undefined {
  try {
    new X509Certificate(pem);
    return undefined;
  } catch {
    return 'is no certificate in PEM';
  }
}

/** When a certificate ends. */
export function endOf(cert: string): Date {
  return new Date(new X509Certificate(cert).validTo);
}
