/**
 * Following what changes in the database, so that what a process remembers is forgotten within moments everywhere: one
 * change stream a process, and a statement of how far it has come.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from 'mongoose';

/** What is told of a document that changed: its id, or nothing where any may have. */
type Changed = (id?: unknown) => void;

/** The changes of a database, as they come. */
export interface ChangeFeed {
  /** Calls back for each change in a collection, and without an id where some may have been missed. */
  on(collection: string, changed: Changed): void;
  /** Whether everything acknowledged more than so many milliseconds ago has been told. While it has not, read instead. */
  isCurrent(within: number): boolean;
  /** Waits until everything acknowledged before the call has been told, or the time is up; says whether it has. */
  caughtUp(patience: number): Promise<boolean>;
  stop(): Promise<void>;
}

export interface ChangeFeedOptions {
  /** Those that may be listened to: others change thousands of times a second, and are not sent. */
  readonly collections: readonly string[];
  readonly log: { warn(meta: object, message: string): void };
}

/** How long the server waits for something to tell, in milliseconds. It answers at once when there is. */
const longestWait = 250;
/** Between two attempts to open the stream, in milliseconds. */
const retryEvery = 500;
/** How often a caller that waits looks, in milliseconds. */
const lookEvery = 20;

/** Follows collections of a database until told to stop. It recovers by itself, and says then that anything may have changed. */
export function followChanges(connection: Connection, { collections, log }: ChangeFeedOptions): ChangeFeed {
  const listeners = new Map(collections.map((collection): [string, Changed[]] => [collection, []]));
  const pipeline = [
    {
      $match: {
        $or: [{ 'ns.coll': { $in: collections } }, { operationType: { $in: ['dropDatabase', 'invalidate'] } }],
      },
    },
    { $project: { operationType: 1, ns: 1, documentKey: 1 } },
  ];
  const stopping = new AbortController();
  const isStopping = () => stopping.signal.aborted;
  /** Everything acknowledged before this moment, by `performance.now()`, has been told. */
  let toldUntil = -Infinity;

  function tell(collection: string, id: unknown): void {
    for (const changed of listeners.get(collection) ?? []) changed(id);
  }

  function tellAnything(): void {
    for (const all of listeners.values()) for (const changed of all) changed();
  }

  async function follow(): Promise<void> {
    const stream = connection.getClient().db(connection.name).watch(pipeline, { maxAwaitTimeMS: longestWait });
    const close = () => void stream.close().catch(() => undefined);
    stopping.signal.addEventListener('abort', close, { once: true });
    try {
      for (let opened = false; !stopping.signal.aborted;) {
        const asked = performance.now();
        const change = (await stream.tryNext()) as Change | null;
        // The stream begins with its first answer: what changed before that was told to nobody.
        if (!opened) tellAnything();
        opened = true;
        if (change === null) toldUntil = asked;
        else if (change.ns === undefined || change.documentKey === undefined) tellAnything();
        else tell(change.ns.coll, change.documentKey._id);
      }
    } finally {
      stopping.signal.removeEventListener('abort', close);
      close();
    }
  }

  async function run(): Promise<void> {
    let failed = false;
    while (!isStopping()) {
      try {
        await follow();
      } catch (error) {
        if (isStopping()) return;
        if (!failed)
          log.warn({ err: error }, 'changes cannot be followed for now; what they concern is read each time');
        failed = true;
      }
      await pause(retryEvery, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
    }
  }

  const running = run();
  return {
    on(collection, changed) {
      const known = listeners.get(collection);
      if (known === undefined) throw new Error(`${collection} is not followed`);
      known.push(changed);
    },
    isCurrent: (within) => performance.now() - toldUntil <= within,
    async caughtUp(patience) {
      const from = performance.now();
      while (toldUntil < from && performance.now() - from < patience) await pause(lookEvery);
      return toldUntil >= from;
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

interface Change {
  readonly ns?: { readonly coll: string };
  readonly documentKey?: { readonly _id: unknown };
}
