/** Cookies: the session's, and one for each sign-in that is under way. */
import { hash } from 'node:crypto';
import type { Site } from './site';

/** On plain HTTP browsers refuse the prefix that binds a cookie to one host and to TLS; there it goes without. */
function prefixed({ secure }: Site, name: string): string {
  return secure ? `__Host-${name}` : name;
}

/** The name of the session's cookie. */
export function sessionCookie(site: Site): string {
  return prefixed(site, 'ablauf_session');
}

/** The name of the cookie of a sign-in, by its state: each tab of a browser has its own. */
export function pendingCookie(site: Site, state: string): string {
  return `${pendingPrefix(site)}${hash('sha256', state, 'base64url').slice(0, 16)}`;
}

function pendingPrefix(site: Site): string {
  return prefixed(site, 'ablauf_signin_');
}

/** The names of the cookies of sign-ins a browser has under way, the oldest first, as browsers send them. */
export function pendingCookies(site: Site, header: string | undefined): string[] {
  const prefix = pendingPrefix(site);
  return pairsOf(header)
    .map(([name]) => name)
    .filter((name) => name.startsWith(prefix));
}

/** The value of a cookie a browser sent. */
export function cookieValue(header: string | undefined, name: string): string | undefined {
  if (header?.includes(name) !== true) return undefined;
  return pairsOf(header).find(([given]) => given === name)?.[1];
}

function pairsOf(header = ''): [name: string, value: string][] {
  return header.split(';').flatMap((pair): [string, string][] => {
    const at = pair.indexOf('=');
    return at === -1 ? [] : [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()]];
  });
}

/**
 * A cookie for pages of ours alone, which no script reads.
 *
 * @param seconds how long the browser keeps it; until it is closed where nothing is said
 */
export function setCookie({ secure }: Site, name: string, value: string, seconds?: number): string {
  return [
    `${name}=${value}`,
    'Path=/',
    'HttpOnly',
    // Not `Strict`: the way back from the provider is one from another site.
    'SameSite=Lax',
    ...(secure ? ['Secure'] : []),
    ...(seconds === undefined ? [] : [`Max-Age=${Math.max(0, Math.floor(seconds))}`]),
  ].join('; ');
}

/** What has a browser drop a cookie. */
export function dropCookie(site: Site, name: string): string {
  return setCookie(site, name, '', 0);
}
