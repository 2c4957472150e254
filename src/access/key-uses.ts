/**
 * When keys were last used: noted in memory by each request, and written by the side, so that no request waits for it and no
 * key is written more than once a minute, however many processes it is used at. In a collection of its own: keys are
 * remembered until they change.
 */
import { mongo, Schema, type Connection, type Model } from 'mongoose';
import type { Store } from '../data';
import { native } from '../database';

/** When a key was last used. */
export interface KeyUseDocument {
  /** The key's id. */
  readonly _id: string;
  /** The account of a customer's key. */
  readonly account?: string;
  readonly at: Date;
}

const schema = new Schema<KeyUseDocument>(
  { _id: { type: String, required: true }, account: String, at: { type: Date, required: true } },
  { collection: 'keyUses', versionKey: false, minimize: false, strict: 'throw' },
);
// They go with their account.
schema.index({ account: 1 }, { sparse: true });

const modelName = 'KeyUse';

/** The uses of a database. Call it before the database is prepared, so that its indexes are made. Safe to repeat. */
export function registerKeyUses(connection: Connection): Model<KeyUseDocument> {
  const known = connection.models[modelName] as Model<KeyUseDocument> | undefined;
  return known ?? connection.model<KeyUseDocument>(modelName, schema);
}

/** What notes the uses of keys in a process. */
export interface KeyUses {
  /** Notes that a key was used. Costs a look into memory. */
  note(id: string, account: string | undefined, at: number): void;
  /** Writes what is due now, rather than in a while. */
  flush(): Promise<void>;
  /** Writes what is due, and ends. */
  stop(): Promise<void>;
}

export interface KeyUsesOptions {
  readonly store: Pick<Store, 'connection' | 'gates' | 'transaction'>;
  readonly log: { warn(meta: object, message: string): void };
}

/** A key is written at most this often, in milliseconds. */
const leastBetween = 60_000;
/** How often a process looks what is due, in milliseconds. */
const interval = 10_000;
/** How many keys are read and written at once. */
const atOnce = 500;
/** How many keys a process notes; what is beyond them is noted when these are written. */
const most = 50_000;

interface Noted {
  readonly account: string | undefined;
  at: number;
}

/** Begins to note uses, and to write them. */
export function noteKeyUses({ store, log }: KeyUsesOptions): KeyUses {
  const uses = native(registerKeyUses(store.connection));
  const noted = new Map<string, Noted>();
  /** When those were written that need not be looked at yet, by anybody. */
  const written = new Map<string, number>();
  let flushing: Promise<void> | undefined;
  let failed = false;

  async function write(ids: readonly string[]): Promise<void> {
    const found = await uses.find<KeyUseDocument>({ _id: { $in: [...ids] } }).toArray();
    const known = new Map(found.map(({ _id, at }) => [_id, at]));
    const updates: mongo.AnyBulkWriteOperation<KeyUseDocument>[] = [];
    const taken: (readonly [string, number])[] = [];
    for (const id of ids) {
      const use = noted.get(id);
      if (use === undefined) continue;
      const before = known.get(id);
      // Another process has written it meanwhile: this use waits until its minute is over.
      if (before !== undefined && use.at - before.getTime() < leastBetween) written.set(id, before.getTime());
      else taken.push([id, use.at]);
      if (before === undefined) await begin(id, use);
      else if (!written.has(id)) {
        // Under the condition that nobody else writes it at this very moment.
        updates.push({ updateOne: { filter: { _id: id, at: before }, update: { $set: { at: new Date(use.at) } } } });
      }
    }
    if (updates.length > 0) await uses.bulkWrite(updates, { ordered: false });
    for (const [id, at] of taken) {
      written.set(id, at);
      if (noted.get(id)?.at === at) noted.delete(id);
    }
  }

  /** The first use of a key. An account that is being erased gets no document any more: it would outlive the account. */
  async function begin(_id: string, { account, at }: Noted): Promise<void> {
    try {
      await store.transaction(async (session) => {
        if (account !== undefined) {
          const gate = await native(store.gates).findOne({ _id: account }, { session });
          if (gate?.open !== true) return;
          await native(store.gates).updateOne({ _id: account }, { $inc: { passed: 1 } }, { session });
        }
        if ((await uses.findOne({ _id }, { session })) !== null) return;
        const owner = account === undefined ? {} : { account };
        await uses.insertOne({ _id, ...owner, at: new Date(at) }, { session });
      });
    } catch (error) {
      // Another process was first.
      if (!(error instanceof mongo.MongoServerError) || error.code !== 11000) throw error;
    }
  }

  async function flushAll(): Promise<void> {
    for (const [id, at] of written) if (Date.now() - at >= leastBetween) written.delete(id);
    const due = [...noted.keys()].filter((id) => !written.has(id));
    try {
      for (let start = 0; start < due.length; start += atOnce) await write(due.slice(start, start + atOnce));
      failed = false;
    } catch (error) {
      if (!failed) log.warn({ err: error }, 'when keys were last used cannot be written for now');
      failed = true;
    }
  }

  function flush(): Promise<void> {
    return (flushing ??= flushAll().finally(() => (flushing = undefined)));
  }

  const timer = setInterval(() => void flush(), interval).unref();
  return {
    note(id, account, at) {
      const known = noted.get(id);
      if (known !== undefined) known.at = at;
      else if (noted.size < most) noted.set(id, { account, at });
    },
    flush,
    async stop() {
      clearInterval(timer);
      await flushing;
      await flush();
    },
  };
}
