/** How a request has to come: over TLS (R21), and to the region it is meant for (R25). Asked before anything of it is read. */
import { meansSite } from '../lifecycle';
import { isLoopback } from '../transit';
import { proxiesAt } from './address';
import type { ApiDependencies } from './dependencies';
import { wrongRegion } from './failures';
import { Problem } from './problems';
import type { Reply } from './reply';
import type { Incoming } from './route';

/** Two years, as the lists that browsers carry with them want it. */
const strictTransport = 'max-age=63072000';
/** What whoever runs the process asks directly, and what tells nobody anything. */
export const probes: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/**
 * Turns away what came to the proxy in front without TLS, and what its sender means for another region (`Ablauf-Region`).
 * With TLS, tells browsers never to come without.
 *
 * Where the proxies are declared, what came past them came without TLS, whatever it says of itself: it is turned away too, but for
 * what comes from this machine.
 */
export function arrival({
  tls = 'off',
  region,
  trustedProxies = [],
}: Pick<ApiDependencies, 'tls' | 'region' | 'trustedProxies'>) {
  const isProxy = proxiesAt(trustedProxies);
  return (request: Incoming, response: Reply, next: () => void): void => {
    if (tls !== 'off') response.setHeader('Strict-Transport-Security', strictTransport);
    if (tls === 'proxy' && !cameSecurely(request)) {
      const detail = 'come over TLS; what this request carried may have been read on its way';
      throw new Problem('forbidden', detail).because('transport');
    }
    const meant = request.headers['ablauf-region'];
    if (meant !== undefined && !meansSite(meant.toString(), region)) throw wrongRegion();
    next();
  };

  function cameSecurely(request: Incoming): boolean {
    const peer = request.socket.remoteAddress;
    if (trustedProxies.length > 0 && !isProxy(peer)) return isLocal(peer) || probes.has(request.path);
    // The first is what the client spoke; proxies behind the one with the certificate may add theirs.
    const spoken = request.headers['x-forwarded-proto']?.toString().split(',')[0]?.trim().toLowerCase();
    return spoken === undefined || spoken === 'https';
  }
}

function isLocal(peer: string | undefined): boolean {
  return peer !== undefined && isLoopback(peer.replace(/^::ffff:/i, ''));
}
