/**
 * Counting in memory how often somebody does something, within a window that slides: what was counted in the window before weighs as
 * much of it as still lies within reach. Nothing is awaited and nothing stored; see `shared-limits.ts` for what other processes count.
 */

/** How much is too much. */
export interface LimitPolicy {
  /** As headers call it. */
  readonly name: string;
  /** So many in a window, over all processes. */
  readonly most: number;
  /** In milliseconds. */
  readonly window: number;
}

/** What became of one try. */
export interface Verdict {
  readonly allowed: boolean;
  /** How many are left, at least. */
  readonly remaining: number;
  /** In how many seconds there are more: all of them, or where none is left, one. */
  readonly seconds: number;
}

/** What one process has counted of somebody in a window, to be told to others. */
export interface Tally {
  readonly subject: string;
  /** The window's number. */
  readonly window: number;
  readonly count: number;
  /** Others do not know of all of it. */
  readonly isNews: boolean;
}

interface Count {
  window: number;
  own: number;
  ownBefore: number;
  /** What other processes have counted, as far as it is known. */
  others: number;
  othersBefore: number;
  /** What others were told of `own`. */
  told: number;
}

/** How many somebodies are told apart. Beyond that the oldest are forgotten. */
const mostSubjects = 100_000;
/** Who comes nowhere near a limit is not worth telling others: so much of it one process keeps to itself. */
const keptShare = 1 / 50;

/** One limit. */
export class Limit {
  readonly policy: LimitPolicy;
  readonly #counts = new Map<string, Count>();
  /** Who has done enough in this window for it to matter to others. */
  readonly #watched = new Set<string>();
  readonly #worthTelling: number;
  #swept = 0;

  constructor(policy: LimitPolicy) {
    this.policy = policy;
    this.#worthTelling = Math.max(1, Math.floor(policy.most * keptShare));
  }

  /** Counts one, unless that is too much. What is refused is not counted: who stops for a while may go on. */
  take(subject: string, now: number): Verdict {
    const count = this.#countOf(subject, now);
    const used = this.#used(count, now);
    if (used + 1 > this.policy.most) return this.#refused(count, now);
    count.own += 1;
    if (count.own >= this.#worthTelling) this.#watched.add(subject);
    return { allowed: true, remaining: Math.floor(this.policy.most - used - 1), seconds: this.#secondsLeft(now) };
  }

  /** Takes back one that was counted. */
  giveBack(subject: string, now: number): void {
    const count = this.#countOf(subject, now);
    count.own = Math.max(0, count.own - 1);
  }

  /** Whether one more would be too much; counts nothing. */
  look(subject: string, now: number): Verdict {
    const found = this.#counts.get(subject);
    if (found === undefined) return { allowed: true, remaining: this.policy.most, seconds: this.#secondsLeft(now) };
    const count = this.#countOf(subject, now);
    const used = this.#used(count, now);
    if (used + 1 > this.policy.most) return this.#refused(count, now);
    return { allowed: true, remaining: Math.floor(this.policy.most - used), seconds: this.#secondsLeft(now) };
  }

  /** Of whom others are to be told and asked: those with the most, at most so many. */
  watched(most: number, now: number): Tally[] {
    const window = this.#windowAt(now);
    const tallies: Tally[] = [];
    for (const subject of this.#watched) {
      const count = this.#counts.get(subject);
      if (count?.window !== window) this.#watched.delete(subject);
      else tallies.push({ subject, window, count: count.own, isNews: count.own > count.told });
    }
    return tallies.sort((a, b) => b.count - a.count).slice(0, most);
  }

  /** Others were told of this. */
  told({ subject, window, count: told }: Tally): void {
    const count = this.#counts.get(subject);
    if (count?.window === window) count.told = Math.max(count.told, told);
  }

  /** Others said what they have counted in the same window. */
  heard({ subject, window }: Tally, others: number): void {
    const count = this.#counts.get(subject);
    if (count?.window === window) count.others = Math.max(count.others, others);
    else if (count?.window === window + 1) count.othersBefore = Math.max(count.othersBefore, others);
  }

  #windowAt(now: number): number {
    return Math.floor(now / this.policy.window);
  }

  #secondsLeft(now: number): number {
    return Math.ceil((this.policy.window - (now % this.policy.window)) / 1000);
  }

  #countOf(subject: string, now: number): Count {
    const window = this.#windowAt(now);
    const known = this.#counts.get(subject);
    if (known === undefined) {
      this.#makeRoom(window);
      const count = { window, own: 0, ownBefore: 0, others: 0, othersBefore: 0, told: 0 };
      this.#counts.set(subject, count);
      return count;
    }
    if (known.window !== window) {
      const isNext = known.window === window - 1;
      known.ownBefore = isNext ? known.own : 0;
      known.othersBefore = isNext ? known.others : 0;
      known.own = known.others = known.told = 0;
      known.window = window;
    }
    return known;
  }

  #makeRoom(window: number): void {
    if (this.#swept !== window) {
      this.#swept = window;
      for (const [subject, { window: last }] of this.#counts) if (last < window - 1) this.#counts.delete(subject);
    }
    const oldest = this.#counts.size >= mostSubjects ? this.#counts.keys().next() : undefined;
    if (oldest?.done === false) this.#counts.delete(oldest.value);
  }

  /** How much of the window before lies within reach still. */
  #weight(now: number): number {
    return 1 - (now % this.policy.window) / this.policy.window;
  }

  #used({ own, others, ownBefore, othersBefore }: Count, now: number): number {
    return own + others + (ownBefore + othersBefore) * this.#weight(now);
  }

  #refused({ own, others, ownBefore, othersBefore }: Count, now: number): Verdict {
    const { most, window } = this.policy;
    const room = most - 1 - own - others;
    const before = ownBefore + othersBefore;
    // Until enough of the window before is out of reach; and where this one is full, of this one once it is the one before.
    const wait =
      room >= 0
        ? (this.#weight(now) - room / before) * window
        : (this.#weight(now) + Math.max(0, 1 - (most - 1) / (own + others))) * window;
    return { allowed: false, remaining: 0, seconds: Math.max(1, Math.ceil(wait / 1000)) };
  }
}
