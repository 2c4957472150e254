/**
 * Judging the time of events. Either clock may be off, the API's own or the database server's, so nothing is refused or
 * left out for its time unless both agree that it should be.
 */
import type { Store } from './store';

const hour = 60 * 60 * 1000;
const day = 24 * hour;

/** How far ahead of our clocks the gateway's may be, in milliseconds. */
const tolerance = hour;

/** The instant a record passes its age (R12). @param days active-data retention, in days of 24 hours */
export function passesAgeAt(at: Date, days: number): Date {
  return new Date(at.getTime() + days * day);
}

/** The two clocks. */
export interface Clocks {
  /** By both, this has not happened yet: more than an hour ahead of the later one. */
  isAhead(at: Date): Promise<boolean>;
  /** By both, this is more than so many days ago (R12). */
  isAged(at: Date, days: number): Promise<boolean>;
}

/**
 * The clocks of one request. The database's is asked once at most, and only where our own would throw something away:
 * hardly ever, and then freshly.
 */
export function clocksAt(store: Store, own: Date): Clocks {
  let asked: Promise<Date> | undefined;
  const database = () => (asked ??= store.databaseTime());
  const both = async (judge: (now: Date) => boolean) => judge(own) && judge(await database());
  return {
    isAhead: (at) => both((now) => at.getTime() > now.getTime() + tolerance),
    isAged: (at, days) => both((now) => now > passesAgeAt(at, days)),
  };
}

/** How long the database's clock is remembered, in milliseconds. */
const remembrance = 5000;
const remembered = new WeakMap<Store, { readonly time: number; readonly read: number }>();

/**
 * The database's clock, as remembered for some seconds: for what the database itself will count from. It may be as much
 * as one answer's way behind.
 */
export async function receiptTime(store: Store): Promise<Date> {
  const known = remembered.get(store);
  if (known !== undefined && performance.now() - known.read < remembrance) {
    return new Date(known.time + performance.now() - known.read);
  }
  const read = performance.now();
  const time = await store.databaseTime();
  remembered.set(store, { time: time.getTime(), read });
  return time;
}
