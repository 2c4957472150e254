/**
 * Remembering what was read of documents until they change. While a change feed is current, nothing is read again; while it is
 * not, what was read counts for as long as a change may take to be told, and then is read anew.
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
  /** How many keys are remembered at most. @default 10000 */
  readonly most?: number;
}

/** What is remembered of a collection. */
export interface Memory<V> {
  /** What belongs to a key: at once where it is remembered. Fails where it has to be read and cannot be. */
  get(key: string): V | undefined | Promise<V | undefined>;
  /** Forgets what was read of a document, or everything: for whoever changed it, and does not want to wait to be told. */
  forget(id?: string): void;
}

interface Remembered<V> {
  readonly value: V | undefined;
  readonly readAt: number;
}

/** Begins to remember. */
export function remember<V>({ feed, collection, read, idOf, lag, most = 10_000 }: MemoryOptions<V>): Memory<V> {
  const remembered = new Map<string, Remembered<V>>();
  /** The keys by which the values of a document are remembered. */
  const keys = new Map<string, Set<string>>();
  const reading = new Map<string, Promise<V | undefined>>();
  let generation = 0;
  feed.on(collection, (id) => forget(typeof id === 'string' ? id : undefined));

  function forget(id?: string): void {
    // What is being read now may have been read before the change.
    generation += 1;
    reading.clear();
    if (id === undefined) {
      remembered.clear();
      keys.clear();
      return;
    }
    for (const key of keys.get(id) ?? []) remembered.delete(key);
    keys.delete(id);
  }

  function drop(key: string): void {
    const value = remembered.get(key)?.value;
    remembered.delete(key);
    if (value === undefined) return;
    const id = idOf(value);
    const all = keys.get(id);
    all?.delete(key);
    if (all?.size === 0) keys.delete(id);
  }

  function keep(key: string, entry: Remembered<V>): void {
    drop(key);
    const oldest = remembered.size >= most ? remembered.keys().next() : undefined;
    if (oldest?.done === false) drop(oldest.value);
    remembered.set(key, entry);
    if (entry.value === undefined) return;
    const id = idOf(entry.value);
    keys.set(id, (keys.get(id) ?? new Set()).add(key));
  }

  async function readAnew(key: string): Promise<V | undefined> {
    // The age counts from before the question, so that it is never older than it looks.
    const readAt = performance.now();
    const asked = generation;
    const value = await read(key);
    if (asked === generation) keep(key, { value, readAt });
    return value;
  }

  return {
    get(key) {
      const known = remembered.get(key);
      if (known !== undefined) {
        const isRecent = performance.now() - known.readAt <= lag;
        // Of what there was not, no change tells: a document may have come since.
        if (isRecent || (known.value !== undefined && feed.isCurrent(lag))) return known.value;
      }
      // One question to the database answers all who ask the same at that moment.
      const underWay = reading.get(key);
      if (underWay !== undefined) return underWay;
      const started = readAnew(key).finally(() => {
        if (reading.get(key) === started) reading.delete(key);
      });
      reading.set(key, started);
      return started;
    },
    forget,
  };
}
