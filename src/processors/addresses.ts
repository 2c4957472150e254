/**
 * Calling addresses somebody else chose, without being made to call our own (server-side request forgery).
 *
 * 1. Only https. Plain http goes to this very machine alone, and only where private targets are allowed.
 * 2. The name is resolved once, for the connection; every address it has must be public. The connection goes to what was
 *    judged, so that a name which changes its mind in between changes nothing.
 * 3. Redirects are not followed, no proxy is used, and an answer has a size and a time.
 */
import { lookup as resolve } from 'node:dns';
import { request as requestPlainly, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as requestSecurely } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { ProcessorAnswerError, TargetRefusedError } from './errors';

export interface TargetRules {
  /**
   * Whether private and loopback addresses may be called (`ABLAUF_ALLOW_PRIVATE_TARGETS`): for development, and for
   * deployments whose processors stand in their own network.
   */
  readonly allowPrivate: boolean;
  /** Who may vouch for servers and for what they sign with, in PEM. @default the authorities everybody knows */
  readonly authorities?: readonly string[];
}

const never4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8], // this network
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // carriers' own
  ['127.0.0.0', 8],
  ['169.254.0.0', 16], // link-local, and the metadata of clouds
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
/** Parts of the public range that lead elsewhere: tunnels to IPv4 addresses, and documentation. */
const never6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const notPublic = new BlockList();
for (const [net, prefix] of never4) notPublic.addSubnet(net, prefix, 'ipv4');
for (const [net, prefix] of never6) notPublic.addSubnet(net, prefix, 'ipv6');
const global6 = new BlockList();
global6.addSubnet('2000::', 3, 'ipv6');
const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether an IP address lies in the public internet. What is no address does not. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !notPublic.check(address, 'ipv4');
  // What is not global unicast is local, mapped, or nobody's yet.
  return family === 6 && global6.check(address, 'ipv6') && !notPublic.check(address, 'ipv6');
}

function isLoopback(address: string): boolean {
  return loopback.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/**
 * Reads an address somebody wants to be called at.
 *
 * @throws {TargetRefusedError} it may not be called, as far as can be told without resolving its name
 */
export function readTarget(text: string, { allowPrivate }: TargetRules): URL {
  if (!URL.canParse(text)) throw new TargetRefusedError('is not a URL');
  const url = new URL(text);
  const plain = url.protocol === 'http:' && allowPrivate;
  if (url.protocol !== 'https:' && !plain) throw new TargetRefusedError('must begin with https://');
  if (url.username !== '' || url.password !== '') throw new TargetRefusedError('must not hold a name or password');
  if (url.hash !== '') throw new TargetRefusedError('must not hold a fragment');
  const host = hostOf(url);
  if (isIP(host) !== 0) judge([host], url.protocol, { allowPrivate });
  else if (plain && host !== 'localhost') throw new TargetRefusedError('must begin with https://');
  return url;
}

/** Why {@link readTarget} would not take an address, or `undefined` where it would. */
export function flawOfTarget(text: string, rules: TargetRules): string | undefined {
  try {
    readTarget(text, rules);
    return undefined;
  } catch (error) {
    if (error instanceof TargetRefusedError) return error.message;
    throw error;
  }
}

/** @throws {TargetRefusedError} one of the addresses must not be called */
function judge(addresses: readonly string[], protocol: string, { allowPrivate }: TargetRules): void {
  if (!allowPrivate && !addresses.every(isPublicAddress)) {
    throw new TargetRefusedError('leads to an address that is not public');
  }
  if (protocol === 'http:' && !addresses.every(isLoopback)) {
    throw new TargetRefusedError('must begin with https://, unless it leads to this machine itself');
  }
}

/** The host of a URL, an IPv6 address without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** One question to a processor. */
export interface Exchange {
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** How long it may take altogether, in milliseconds. @default 10000 */
  readonly patience?: number;
}

/** What came back, whatever its status. */
export interface Exchanged {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const standardPatience = 10_000;
/** An answer of OpenDSR repeats the request and little else. */
const longestAnswer = 64 * 1024;

/**
 * Asks an address that somebody else chose.
 *
 * @throws {TargetRefusedError} it leads where nothing may be sent; nothing was
 * @throws {ProcessorAnswerError} no answer, one too large, or a redirect
 */
export async function exchange(target: string, rules: TargetRules, asked: Exchange): Promise<Exchanged> {
  const url = readTarget(target, rules);
  const signal = AbortSignal.timeout(asked.patience ?? standardPatience);
  try {
    return await ask(url, rules, asked, signal);
  } catch (error) {
    if (error instanceof TargetRefusedError || error instanceof ProcessorAnswerError) throw error;
    const reason = signal.aborted ? 'no answer in time' : `no answer (${codeOf(error)})`;
    throw new ProcessorAnswerError(reason, undefined, { cause: error });
  }
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown';
}

function ask(url: URL, rules: TargetRules, asked: Exchange, signal: AbortSignal): Promise<Exchanged> {
  const { method, headers = {}, body } = asked;
  const request = url.protocol === 'https:' ? requestSecurely : requestPlainly;
  return new Promise((done, failed) => {
    const sent = request(url, {
      method,
      headers: { 'user-agent': 'ablauf', ...headers },
      // No agent of the process: it might keep connections, or go through a proxy.
      agent: false,
      ...(rules.authorities === undefined ? {} : { ca: [...rules.authorities] }),
      lookup: judgingLookup(url.protocol, rules),
      signal,
    });
    sent.on('error', failed);
    sent.on('response', (response) => {
      read(response).then(done, (error: unknown) => {
        sent.destroy();
        failed(error instanceof Error ? error : new Error('the answer cannot be read'));
      });
    });
    sent.end(body);
  });
}

async function read(response: IncomingMessage): Promise<Exchanged> {
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400) throw new ProcessorAnswerError(`answered with a redirect (HTTP ${status})`);
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > longestAnswer) throw new ProcessorAnswerError('the answer is too large');
    parts.push(part);
  }
  return { status, headers: response.headers, body: Buffer.concat(parts) };
}

/** Resolves a name for one connection, and lets it go nowhere but to what was judged. */
function judgingLookup(protocol: string, rules: TargetRules): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      try {
        judge(
          addresses.map(({ address }) => address),
          protocol,
          rules,
        );
      } catch (refusal) {
        callback(refusal as NodeJS.ErrnoException, []);
        return;
      }
      const [first] = addresses;
      if (options.all === true || first === undefined) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}
