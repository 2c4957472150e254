/** Speaking to Temporal over TLS, and by which right (R21). */
import type { TLSConfig } from '@temporalio/client';
import type { ClientTls } from '../transit';

/** How a connection to Temporal is secured; plain where nothing is said. */
export interface TemporalSecurity {
  readonly tls?: ClientTls & {
    /** The name in its certificate, where it is not the address's. */
    readonly serverName?: string;
  };
  /** For Temporal Cloud. */
  readonly apiKey?: string;
}

/** The options both kinds of connection take, the client's and the worker's. */
export function securityOptions({ tls, apiKey }: TemporalSecurity): { tls?: TLSConfig; apiKey?: string } {
  if (tls === undefined) return {};
  const { ca, cert, key, serverName } = tls;
  return {
    tls: {
      ...(serverName === undefined ? {} : { serverNameOverride: serverName }),
      ...(ca === undefined ? {} : { serverRootCACertificate: Buffer.from(ca) }),
      ...(cert === undefined || key === undefined
        ? {}
        : { clientCertPair: { crt: Buffer.from(cert), key: Buffer.from(key) } }),
    },
    ...(apiKey === undefined ? {} : { apiKey }),
  };
}
