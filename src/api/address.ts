/** The address a request comes from, and whom to believe of it (R27). */
import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { matcherOf, readNetwork } from '../access';
import type { Incoming } from './route';

/** Tells whether an address is that of a proxy in front. @throws {Error} one of the networks is none */
export function proxiesAt(networks: readonly string[]): (address: string | undefined) => boolean {
  const holds = matcherOf(
    networks.map((written) => {
      const read = readNetwork(written);
      if ('flaw' in read) throw new Error(`the trusted proxy ${written} ${read.flaw}`);
      return read.network;
    }),
  );
  return (address) => address !== undefined && holds(address);
}

/**
 * The address a request comes from, in its shortest form, an IPv4 address also where it came mapped into IPv6.
 *
 * What proxies say counts from the declared ones alone: Express walks `X-Forwarded-For` from the right, as far as it trusts who
 * said it. Nothing where a trusted proxy said something that is no address.
 */
export function addressOf(request: Incoming): string | undefined {
  const text = request.ip;
  // As a rule: one that is accepted here can be written in one way only.
  if (text === undefined || isIPv4(text)) return text;
  if (!ipaddr.isValid(text) || text.includes('%') || !text.includes(':')) return undefined;
  return ipaddr.process(text).toString();
}
