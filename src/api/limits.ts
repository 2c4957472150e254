/** How often somebody may ask (429), and saying so on the way (draft-ietf-httpapi-ratelimit-headers). See `docs/limits.md`. */
import ipaddr from 'ipaddr.js';
import type { Principal } from '../access';
import type { LimitPolicy, SharedLimits, Verdict } from '../edge';
import { addressOf } from './address';
import { Problem } from './problems';
import type { RefusalReason } from './on-record/refusal-reasons';
import type { Reply } from './reply';
import type { Incoming } from './route';

/** How much is allowed, each 0 where there is no limit. */
export interface LimitSettings {
  /** Requests a second of one key, or one person. */
  readonly key: number;
  /** Requests a second from one address that show nothing. */
  readonly address: number;
  /** Wrong credentials a minute from one address. */
  readonly attempts: number;
}

const second = 1000;
/** Requests are limited on average over ten seconds, so that a moment's rush passes. */
const requestWindow = 10 * second;
const attemptWindow = 60 * second;

/** What the settings come to. */
export function limitPolicies({ key, address, attempts }: LimitSettings): LimitPolicy[] {
  return [
    { name: 'key', most: (key * requestWindow) / second, window: requestWindow },
    { name: 'address', most: (address * requestWindow) / second, window: requestWindow },
    { name: 'attempts', most: attempts, window: attemptWindow },
  ].filter(({ most }) => most > 0);
}

/** The limits as requests meet them. */
export interface RequestLimits {
  /** Counts a request of somebody known. @throws {Problem} `rate-limited` */
  countKey(principal: Principal, response: Reply): void;
  /** Counts a request that shows nothing. @throws {Problem} `rate-limited` */
  countAddress(request: Incoming, response: Reply): void;
  /**
   * Whether credentials may be looked up for where a request comes from: not after too many wrong ones. What is known without looking
   * it up goes on, so that nobody shuts out those who share an address with them.
   *
   * @throws {Problem} `rate-limited`
   */
  assertMayTry(request: Incoming, isKnown?: () => boolean): void;
  /** Its credentials were right. */
  forgive(request: Incoming): void;
  /** Counts what was refused for its credentials. */
  countAttempt(reason: RefusalReason | undefined, request: Incoming): void;
}

/** What is a try at something somebody does not have. What is known to have been right once is none. */
const attempts: ReadonlySet<RefusalReason> = new Set(['unknown-key', 'session-ended', 'sign-in']);

/** @param shared nothing where there are no limits */
export function requestLimits(shared: SharedLimits | undefined, clock: () => Date): RequestLimits {
  const key = shared?.get('key');
  const address = shared?.get('address');
  const attempt = shared?.get('attempts');
  const now = () => clock().getTime();
  /** Requests whose credentials were counted before they were looked up. */
  const counted = new WeakSet<Incoming>();

  return {
    countKey({ actor }, response) {
      if (key !== undefined) meet(key.policy, key.take(actor.id, now()), response);
    },
    countAddress(request, response) {
      if (address !== undefined) meet(address.policy, address.take(originOf(request), now()), response);
    },
    assertMayTry(request, isKnown) {
      if (attempt === undefined) return;
      const origin = originOf(request);
      const verdict = attempt.look(origin, now());
      if (isKnown === undefined) {
        if (!verdict.allowed) throw tooMany(attempt.policy, verdict);
        return;
      }
      // While there is room, what turns out wrong is counted then. Later it is counted first, so that no crowd slips through at once.
      if (verdict.remaining > attempt.policy.most / 2 || isKnown()) return;
      const taken = attempt.take(origin, now());
      if (!taken.allowed) throw tooMany(attempt.policy, taken);
      counted.add(request);
    },
    forgive(request) {
      if (counted.delete(request)) attempt?.giveBack(originOf(request), now());
    },
    countAttempt(reason, request) {
      if (attempt === undefined || reason === undefined || !attempts.has(reason) || counted.has(request)) return;
      attempt.take(originOf(request), now());
    },
  };
}

/**
 * Where a request comes from, as far as one origin is told from another: an IPv4 address, or the /64 that one customer of a provider has
 * to himself. Those of whom nobody can tell are one.
 */
function originOf(request: Incoming): string {
  const address = addressOf(request);
  if (address === undefined) return 'unknown';
  if (!address.includes(':')) return address;
  const network = ipaddr.parse(address).toByteArray().slice(0, 8);
  return Buffer.from(network).toString('hex');
}

/** Tells how much is left. @throws {Problem} `rate-limited`, where nothing is */
function meet(policy: LimitPolicy, verdict: Verdict, response: Reply): void {
  if (!verdict.allowed) throw tooMany(policy, verdict);
  const headers = headersOf(policy, verdict);
  for (const name of headerNames) response.setHeader(name, headers[name]);
}

const headerNames = ['RateLimit-Policy', 'RateLimit'] as const;

function headersOf({ name, most, window }: LimitPolicy, { remaining, seconds }: Verdict) {
  return {
    'RateLimit-Policy': `"${name}";q=${most};w=${window / second}`,
    RateLimit: `"${name}";r=${remaining};t=${seconds}`,
  } as const;
}

function tooMany(policy: LimitPolicy, verdict: Verdict): Problem {
  const { seconds } = verdict;
  const detail = `too many ${policy.name === 'attempts' ? 'wrong credentials' : 'requests'}; wait ${seconds} seconds`;
  return new Problem('rate-limited', detail, {}, { ...headersOf(policy, verdict), 'Retry-After': String(seconds) });
}
