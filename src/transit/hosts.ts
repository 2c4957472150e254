/** Whom an address names, and whether what is sent there leaves this machine (R21). */
import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * Whether what is sent to a host stays on this machine. A name other than `localhost` does not count, wherever it leads today.
 *
 * @param host a name or an address, in brackets or not; a path is a socket of this machine
 */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (bare === 'localhost' || bare.startsWith('/')) return true;
  const version = isIP(bare);
  return version !== 0 && loopback.check(bare, version === 6 ? 'ipv6' : 'ipv4');
}

/**
 * The host a request would reach in the clear, though nobody allowed that; `undefined` where all is well.
 *
 * @param plain hosts that may be spoken to without TLS, with whatever is below them: a bucket is, in some storages
 */
export function forbiddenHostOf(
  { protocol, hostname }: { readonly protocol: string; readonly hostname: string },
  plain: readonly string[],
): string | undefined {
  const host = hostname.toLowerCase();
  if (protocol === 'https:' || isLoopback(host)) return undefined;
  return plain.some((allowed) => host === allowed || host.endsWith(`.${allowed}`)) ? undefined : host;
}

/** The host of `HOST:PORT`, without brackets. */
export function hostOfAddress(address: string): string {
  return address
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
}

/** The hosts a MongoDB URI names, in order, without ports; sockets as their paths. */
export function mongodbHosts(uri: string): string[] {
  const [, hosts = ''] = /^mongodb(?:\+srv)?:\/\/(?:[^@/]*@)?([^/?]*)/.exec(uri) ?? [];
  return hosts
    .split(',')
    .filter((host) => host !== '')
    .map((host) => hostOfAddress(decoded(host)));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Whether a MongoDB URI asks for TLS: with `tls=true`, or by beginning with `mongodb+srv://`. */
export function speaksTls(uri: string): boolean {
  const values = mongodbOptions(uri)
    .filter(([name]) => name === 'tls' || name === 'ssl')
    .map(([, value]) => value);
  if (values.length > 0) return values.every((value) => value === 'true');
  return uri.startsWith('mongodb+srv://');
}

/** What makes TLS prove nothing: whoever sits in between could answer. */
const insecure = new Set(['tlsinsecure', 'tlsallowinvalidcertificates', 'tlsallowinvalidhostnames']);

/** The option of a MongoDB URI that would accept any server's certificate, or `undefined`. */
export function insecureOptionOf(uri: string): string | undefined {
  return mongodbOptions(uri).find(([name, value]) => insecure.has(name) && value !== 'false')?.[0];
}

/** A URI's options; their names do not care for case. */
function mongodbOptions(uri: string): [name: string, value: string][] {
  const at = uri.indexOf('?');
  if (at === -1) return [];
  return [...new URLSearchParams(uri.slice(at + 1))].map(([name, value]) => [name.toLowerCase(), value.toLowerCase()]);
}
