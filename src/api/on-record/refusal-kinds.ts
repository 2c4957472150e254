/** Refusals told apart by kind and counted, within bounds; see `refusals.ts`. */
import ipaddr from 'ipaddr.js';
import type { NewAuditEntry } from '../../audit';
import { bySystem, type Actor } from '../../lifecycle';
import { Distinct } from './distinct';
import type { RefusalReason, Refused } from './refusal-reasons';

/** What bounds the entries refusals leave. */
export interface Bounds {
  /** Of one kind that are entered at once. */
  readonly few: number;
  /** Over all kinds that are entered at once, in a window. */
  readonly atOnce: number;
  /** Kinds that get an entry of their own when a window ends: those with the most refusals. */
  readonly summed: number;
  /** Kinds that are told apart at all. */
  readonly kinds: number;
}

/** Refusals of one kind. */
interface Kind {
  /** Since the kind began. */
  entered: number;
  /** What was counted and is not entered yet. */
  count: number;
  from: Date;
  to: Date;
  last: Refused;
  /** Windows that ended since the last one. */
  age: number;
}

/** Refusals beyond the kinds that have entries of their own. */
interface Rest {
  count: number;
  from: Date;
  to: Date;
  isOfKnown: boolean;
  readonly kinds: Distinct;
  readonly addresses: Distinct;
  readonly reasons: Map<RefusalReason, number>;
}

/** A kind begins anew, with a few that are entered at once, after so many windows without a refusal. */
const forgottenAfter = 10;
const action = 'auth.refused';
const public_: Actor = { type: 'system', id: 'public' };

/** Refusals that share bounds. */
export class RefusalKinds {
  readonly #bounds: Bounds;
  readonly #kinds = new Map<string, Kind>();
  #rest: Rest | undefined;
  #left: number;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#left = bounds.atOnce;
  }

  /** Counts a refusal. @returns the entry to be made of it at once, if any */
  count(refused: Refused, now: Date, hasRoom: boolean): NewAuditEntry | undefined {
    const key = keyOf(refused);
    const known = this.#kinds.get(key);
    if (known === undefined && this.#kinds.size >= this.#bounds.kinds) {
      this.#addToRest(key, { last: refused, count: 1, from: now, to: now });
      return undefined;
    }
    const kind = known ?? { entered: 0, count: 0, from: now, to: now, last: refused, age: 0 };
    this.#kinds.set(key, kind);
    kind.age = 0;
    if (kind.entered < this.#bounds.few && this.#left > 0 && hasRoom) {
      kind.entered += 1;
      this.#left -= 1;
      return entryOf(refused, now);
    }
    if (kind.count === 0) kind.from = now;
    kind.count += 1;
    kind.to = now;
    kind.last = refused;
    return undefined;
  }

  /** The entries of what was counted, as far as there is room for them; beyond it counting goes on. */
  *endWindow(hasRoom: () => boolean): Generator<NewAuditEntry> {
    this.#left = this.#bounds.atOnce;
    const counted = [...this.#kinds].filter(([, { count }]) => count > 0).sort(([, a], [, b]) => b.count - a.count);
    for (const [at, [key, kind]] of counted.entries()) {
      if (!hasRoom()) break;
      if (at < this.#bounds.summed) yield kind.count === 1 ? entryOf(kind.last, kind.to) : sumOf(kind);
      else this.#addToRest(key, kind);
      kind.count = 0;
    }
    if (this.#rest !== undefined && hasRoom()) {
      yield entryOfRest(this.#rest);
      this.#rest = undefined;
    }
    // A crowd that has gone makes room for those who come.
    const oldest = this.#kinds.size > this.#bounds.kinds / 2 ? 1 : forgottenAfter;
    for (const [key, kind] of this.#kinds) {
      kind.age += 1;
      if (kind.age > oldest && kind.count === 0) this.#kinds.delete(key);
    }
  }

  #addToRest(key: string, { last, count, from, to }: Pick<Kind, 'last' | 'count' | 'from' | 'to'>): void {
    const rest = (this.#rest ??= {
      count: 0,
      from,
      to,
      isOfKnown: last.actor !== undefined,
      kinds: new Distinct(),
      addresses: new Distinct(),
      reasons: new Map<RefusalReason, number>(),
    });
    rest.count += count;
    if (from < rest.from) rest.from = from;
    if (to > rest.to) rest.to = to;
    rest.kinds.add(key);
    rest.addresses.add(networkOf(last.address));
    rest.reasons.set(last.reason, (rest.reasons.get(last.reason) ?? 0) + count);
  }
}

/** Of somebody known by what they tried, since there are only so many calls; of a stranger by where they come from. */
function keyOf({ reason, actor, address, method, route = '' }: Refused): string {
  return actor === undefined ? `${reason} ${networkOf(address)}` : `${reason} ${actor.id} ${method} ${route}`;
}

/** Who has one address of IPv6 has the whole network of it. */
function networkOf(address: string | undefined): string {
  if (address === undefined || !ipaddr.isValid(address)) return 'unknown';
  const parsed = ipaddr.parse(address);
  return parsed instanceof ipaddr.IPv6 ? `${parsed.parts.slice(0, 4).map(String).join(':')}/64` : address;
}

function entryOf(refused: Refused, at: Date): NewAuditEntry {
  const { account, requestId } = refused;
  return {
    at,
    actor: actorOf(refused),
    action,
    details: { ...whatOf(refused) },
    ...(account === undefined ? {} : { account }),
    requestId,
  };
}

/** Many of a kind. They may have been about several accounts, unless a customer is refused: that is about its own. */
function sumOf({ last, count, from, to }: Kind): NewAuditEntry {
  const account = last.actor?.role === 'customer' ? last.account : undefined;
  return {
    at: to,
    actor: actorOf(last),
    action,
    details: { ...whatOf(last), count, from, to },
    ...(account === undefined ? {} : { account }),
  };
}

function entryOfRest({ count, from, to, isOfKnown, kinds, addresses, reasons }: Rest): NewAuditEntry {
  const details = {
    reasons: Object.fromEntries(reasons),
    count,
    from,
    to,
    kinds: kinds.size,
    addresses: addresses.size,
  };
  return { at: to, actor: isOfKnown ? bySystem : public_, action, details };
}

function actorOf({ actor, address }: Refused): Actor {
  return actor ?? { ...public_, ...(address === undefined ? {} : { address }) };
}

function whatOf({ reason, cause, method, route }: Refused) {
  return {
    reason,
    ...(cause === undefined ? {} : { cause }),
    method,
    ...(route === undefined ? {} : { path: route }),
  };
}
