/**
 * Remembering what was read of documents until they change.
 *
 * 1. While a change feed is current, what was read counts until a change is told, but no longer than a minute: nothing is believed
 *    for ever because a stream said nothing.
 * 2. While it is not, what was read counts for as long as a change may take to be told, and then is read anew.
 * 3. What was being read while something changed is given to who asked for it before, and not remembered.
 * 4. What there was not is remembered apart: whoever asks for thousands of things there are not displaces nothing there is.
 */
import type { ChangeFeed } from './changes';

export interface MemoryOptions<V> {
  readonly feed: ChangeFeed;
  readonly collection: string;
  /** Reads what belongs to a key; nothing where there is nothing. */
  readonly read: (key: string) => Promise<V | undefined>;
  /** The id of the document a value was read from. */
  readonly idOf: (value: V) => string;
  /** How long after it was acknowledged a change may go unseen, in milliseconds. */
  readonly lag: number;
  /** How many keys are remembered at most, and how many there was nothing for. @default 10000 */
  readonly most?: number;
}

/** What is remembered of a collection. */
export interface Memory<V> {
  /** What belongs to a key: at once where it is remembered. Fails where it has to be read and cannot be. */
  get(key: string): V | undefined | Promise<V | undefined>;
  /** Whether there was something when it was read last, however long ago: nothing is said of what there is now. */
  knows(key: string): boolean;
  /** Forgets what was read of a document, or everything: for whoever changed it, and does not want to wait to be told. */
  forget(id?: string): void;
}

interface Remembered<V> {
  readonly value: V;
  readonly readAt: number;
}

interface Reading<V> {
  readonly value: Promise<V | undefined>;
  readonly readAt: number;
}

/** How long anything counts, in milliseconds. */
const longest = 60_000;

/** Begins to remember. */
export function remember<V>({ feed, collection, read, idOf, lag, most = 10_000 }: MemoryOptions<V>): Memory<V> {
  const remembered = new Map<string, Remembered<V>>();
  /** The keys by which the values of a document are remembered. */
  const keys = new Map<string, Set<string>>();
  /** What there was not, and when. */
  const missing = new Map<string, number>();
  const reading = new Map<string, Reading<V>>();
  let generation = 0;
  feed.on(collection, (id) => forget(typeof id === 'string' ? id : undefined));

  function forget(id?: string): void {
    // What is being read now may have been read before the change.
    generation += 1;
    reading.clear();
    if (id === undefined) {
      remembered.clear();
      keys.clear();
      missing.clear();
      return;
    }
    for (const key of keys.get(id) ?? []) remembered.delete(key);
    keys.delete(id);
  }

  function drop(key: string): void {
    const known = remembered.get(key);
    if (known === undefined) return;
    remembered.delete(key);
    const id = idOf(known.value);
    const all = keys.get(id);
    all?.delete(key);
    if (all?.size === 0) keys.delete(id);
  }

  function keep(key: string, value: V | undefined, readAt: number): void {
    drop(key);
    missing.delete(key);
    if (value === undefined) {
      makeRoom(missing, (oldest) => missing.delete(oldest));
      missing.set(key, readAt);
      return;
    }
    makeRoom(remembered, drop);
    remembered.set(key, { value, readAt });
    const id = idOf(value);
    keys.set(id, (keys.get(id) ?? new Set()).add(key));
  }

  function makeRoom(map: ReadonlyMap<string, unknown>, remove: (key: string) => void): void {
    const oldest = map.size >= most ? map.keys().next() : undefined;
    if (oldest?.done === false) remove(oldest.value);
  }

  async function readAnew(key: string, readAt: number): Promise<V | undefined> {
    const asked = generation;
    const value = await read(key);
    if (asked === generation) keep(key, value, readAt);
    return value;
  }

  function counts({ readAt }: Remembered<V>): boolean {
    const age = performance.now() - readAt;
    return age <= lag || (age <= longest && feed.isCurrent(lag));
  }

  return {
    knows: (key) => remembered.has(key),
    get(key) {
      const known = remembered.get(key);
      if (known !== undefined) {
        if (counts(known)) return known.value;
      } else {
        // Of what there was not, no change tells: a document may have come since.
        const missed = missing.get(key);
        if (missed !== undefined && performance.now() - missed <= lag) return undefined;
      }
      // One question to the database answers all who ask the same at that moment; not who comes when its answer is long due.
      const readAt = performance.now();
      const underWay = reading.get(key);
      if (underWay !== undefined && readAt - underWay.readAt <= lag) return underWay.value;
      // The age counts from before the question, so that nothing is older than it looks.
      const value = readAnew(key, readAt).finally(() => {
        if (reading.get(key)?.value === value) reading.delete(key);
      });
      reading.set(key, { value, readAt });
      return value;
    },
    forget,
  };
}
