/** Where browsers find us, and what follows for cookies: which a page of another origin must be no way to use. */
import { isLoopback } from '../../transit';
import type { ApiDependencies } from '../dependencies';

/** This deployment as a browser sees it. */
export interface Site {
  /** `https://HOST`. */
  readonly origin: string;
  /** Over TLS; plainly on this machine alone. */
  readonly secure: boolean;
}

/**
 * The site a request was sent to: the public one, or where none is named, whatever name of this machine the browser used.
 * Nothing where that is no name of this machine: a foreign name may lead here, and its pages would share our cookies.
 */
export function siteOf(
  { tls = 'off', signIn }: Pick<ApiDependencies, 'tls' | 'signIn'>,
  { host }: { readonly host?: string | undefined },
): Site | undefined {
  if (signIn?.publicUrl !== undefined) {
    const { origin, protocol } = new URL(signIn.publicUrl);
    return { origin, secure: protocol === 'https:' };
  }
  const secure = tls !== 'off';
  const text = `${secure ? 'https' : 'http'}://${host ?? ''}`;
  if (host === undefined || !URL.canParse(text)) return undefined;
  const { origin, hostname } = new URL(text);
  return isLoopback(hostname) && origin === text ? { origin, secure } : undefined;
}
