/** Real TLS for tests: certificates of an authority of their own, and TLS in front of servers that do not speak it. */
import { connect, type AddressInfo, type Socket } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { newIdentity, type Identity } from './processor';

/** An authority, what it issued, and what it should not have. */
export interface Certificates {
  readonly authority: Identity;
  readonly server: Identity;
  readonly client: Identity;
  /** Issued by the same authority, and over since yesterday. */
  readonly expired: Identity;
  /** An authority nobody here knows, and what it issued. */
  readonly stranger: { readonly authority: Identity; readonly client: Identity };
}

const day = 24 * 60 * 60 * 1000;

/** All of them for `localhost`. */
export async function makeCertificates(): Promise<Certificates> {
  const keyType = 'ec';
  const authority = await newIdentity({ authority: true, keyType });
  const other = await newIdentity({ authority: true, name: 'a stranger', keyType });
  const from = new Date(Date.now() - 3 * day);
  return {
    authority,
    server: await newIdentity({ issuer: authority, keyType }),
    client: await newIdentity({ issuer: authority, name: 'ablauf', keyType }),
    expired: await newIdentity({ issuer: authority, from, until: new Date(Date.now() - day), keyType }),
    stranger: { authority: other, client: await newIdentity({ issuer: other, name: 'ablauf', keyType }) },
  };
}

/** A TLS server that hands on what it decrypts. */
export interface TlsFront {
  readonly port: number;
  /** Handshakes that succeeded. */
  readonly accepted: () => number;
  /** The names clients called it by, and the protocols they agreed on. */
  readonly seen: {
    readonly servername: string | false | null;
    readonly alpn: string | false | null;
    readonly client: string;
  }[];
  close(): Promise<void>;
}

/** Puts TLS in front of a server on this machine. */
export async function tlsInFrontOf(port: number, identity: Identity, options: TlsOptions = {}): Promise<TlsFront> {
  const seen: TlsFront['seen'] = [];
  const server = createServer({ ...options, cert: identity.certificate, key: identity.key }, (socket) => {
    seen.push({
      servername: socket.servername,
      alpn: socket.alpnProtocol,
      client: nameIn(socket.getPeerX509Certificate()?.subject),
    });
    const behind = connect(port, '127.0.0.1');
    for (const [end, other] of [[socket, behind] as const, [behind, socket] as const]) {
      end.on('error', () => other.destroy());
      end.on('close', () => other.destroy());
      end.pipe(other);
    }
  });
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    accepted: () => seen.length,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

function nameIn(subject = ''): string {
  return /^CN=(.*)$/m.exec(subject)?.[1] ?? '';
}
