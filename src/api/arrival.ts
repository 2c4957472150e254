/** How a request has to come: over TLS (R21), and to the region it is meant for (R25). Asked before anything of it is read. */
import { meansSite } from '../lifecycle';
import type { ApiDependencies } from './dependencies';
import { wrongRegion } from './failures';
import { Problem } from './problems';
import type { Reply } from './reply';
import type { Incoming } from './route';

/** Two years, as the lists that browsers carry with them want it. */
const strictTransport = 'max-age=63072000';

/**
 * Turns away what came to the proxy in front without TLS, and what its sender means for another region (`Ablauf-Region`).
 * With TLS, tells browsers never to come without.
 */
export function arrival({ tls = 'off', region }: Pick<ApiDependencies, 'tls' | 'region'>) {
  return (request: Incoming, response: Reply, next: () => void): void => {
    if (tls !== 'off') response.setHeader('Strict-Transport-Security', strictTransport);
    // The first is what the client spoke; proxies behind the one with the certificate may add theirs.
    const spoken = request.headers['x-forwarded-proto']?.toString().split(',')[0]?.trim().toLowerCase();
    if (tls === 'proxy' && spoken !== undefined && spoken !== 'https') {
      const detail = 'come over TLS; what this request carried may have been read on its way';
      throw new Problem('forbidden', detail).because('transport');
    }
    const meant = request.headers['ablauf-region'];
    if (meant !== undefined && !meansSite(meant.toString(), region)) throw wrongRegion();
    next();
  };
}
