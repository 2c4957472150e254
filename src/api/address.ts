/** The address a request comes from (R27). */
import ipaddr from 'ipaddr.js';
import type { Incoming } from './route';

/**
 * The address a request comes from, in its shortest form, an IPv4 address also where it came mapped into IPv6.
 *
 * What proxies say counts from the declared ones alone: Express walks `X-Forwarded-For` from the right, as far as it trusts who
 * said it. Nothing where a trusted proxy said something that is no address.
 */
export function addressOf(request: Incoming): string | undefined {
  const text = request.ip;
  if (text === undefined || !ipaddr.isValid(text)) return undefined;
  return ipaddr.process(text).toString();
}
