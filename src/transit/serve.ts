/**
 * Serving HTTP with a certificate of our own, which may be renewed without a restart, or plainly: on loopback, or to a proxy
 * that speaks TLS (R21).
 */
import { unwatchFile, watchFile } from 'node:fs';
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import { endOf, flawOfPair, type PemPair } from './certificates';

/** How clients reach a server: with its own certificate, through a proxy that has one, or on this machine only. */
export type ServerTls = OwnCertificate | { readonly kind: 'proxy' } | { readonly kind: 'off' };

/** A certificate that can be read again. */
export interface OwnCertificate {
  readonly kind: 'own';
  /** @throws it cannot be read */
  readonly read: () => PemPair;
  /** Files it is read from. */
  readonly files: readonly string[];
}

/** Is told what became of certificates while the server runs. */
export interface CertificateListener {
  readonly renewed: (end: Date) => void;
  /** The one before stays in use. */
  readonly refused: (reason: string) => void;
  /** It has ended, or ends within two weeks. */
  readonly ending: (end: Date) => void;
}

export interface SecuredServer {
  readonly server: Server;
  /** Reads the certificate again; for signals. */
  readonly renew: () => void;
  /** Ends watching; the server is closed by itself. */
  readonly release: () => void;
}

/** How often files are looked at, in milliseconds. Looking works where they are links that are swapped, as in Kubernetes. */
const watchInterval = 5000;
const leastVersion = 'TLSv1.2';
const day = 24 * 60 * 60 * 1000;
const noticeBeforeEnd = 14 * day;

/** Creates the server; it does not listen yet. @throws the certificate cannot be read or does not fit its key */
export function createSecuredServer(
  tls: ServerTls,
  options: ServerOptions,
  app: RequestListener,
  listener: CertificateListener,
): SecuredServer {
  if (tls.kind !== 'own') return { server: createServer(options, app), renew: nothing, release: nothing };
  let inUse = checked(tls);
  const server = createSecureServer({ ...options, ...inUse, minVersion: leastVersion }, app);
  const warn = () => {
    const end = endOf(inUse.cert);
    if (end.getTime() - Date.now() < noticeBeforeEnd) listener.ending(end);
  };
  const renew = () => {
    try {
      const next = checked(tls);
      if (next.cert === inUse.cert && next.key === inUse.key) return;
      replace(server, next);
      inUse = next;
      listener.renewed(endOf(next.cert));
    } catch (error) {
      listener.refused(error instanceof Error ? error.message : 'it cannot be read');
    }
  };
  for (const file of tls.files) watchFile(file, { interval: watchInterval, persistent: false }, renew);
  const daily = setInterval(warn, day).unref();
  warn();
  return {
    server,
    renew,
    release() {
      for (const file of tls.files) unwatchFile(file, renew);
      clearInterval(daily);
    },
  };
}

const nothing = () => undefined;

/** Connections under way go on with the certificate they began with. */
function replace(server: SecureServer, { cert, key }: PemPair): void {
  server.setSecureContext({ cert, key, minVersion: leastVersion });
}

/** Of two files that are replaced one after the other, the first alone does not fit: then nothing changes until the second. */
function checked(tls: OwnCertificate): PemPair {
  const pair = tls.read();
  const flaw = flawOfPair(pair);
  if (flaw !== undefined) throw new Error(`the ${flaw.part === 'cert' ? 'certificate' : 'key'} ${flaw.detail}`);
  return pair;
}
