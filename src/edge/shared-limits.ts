/**
 * Limits that hold over all processes together. Each counts in memory and, twice a second, tells the others by one bulk write what
 * they do not know, and reads by one question what they have counted.
 *
 * 1. No request waits for the database, and nothing is written because of one.
 * 2. Each process writes its own sum, not what was added: a write that is repeated counts once.
 * 3. While the database is away each process goes by its own count.
 * 4. Who is counted is stored as a keyed hash, and goes within minutes.
 *
 * `rate-limiter-flexible` was looked at first: its MongoDB store asks the database on every request, and its limiters in memory know of
 * no other machine's. What is left to do for both is this file.
 */
import { randomBytes } from 'node:crypto';
import { Schema, type Connection, type Model, type mongo } from 'mongoose';
import { native } from '../database';
import type { Vault } from '../vault';
import { Limit, type LimitPolicy, type Tally } from './limit';

/** What was counted of somebody in a window. */
export interface RateLimitDocument {
  /** `HASH:LIMIT:WINDOW`. */
  readonly _id: string;
  /** By process. */
  readonly counts: Readonly<Record<string, number>>;
  readonly until: Date;
}

const schema = new Schema<RateLimitDocument>(
  {
    _id: { type: String, required: true },
    counts: { type: Schema.Types.Mixed, required: true },
    until: { type: Date, required: true },
  },
  { collection: 'rateLimits', versionKey: false, minimize: false, strict: 'throw' },
);
schema.index({ until: 1 }, { expireAfterSeconds: 0 });

const modelName = 'RateLimit';

/** The counts of a database. Call it before the database is prepared, so that its indexes are made. Safe to repeat. */
export function registerRateLimits(connection: Connection): Model<RateLimitDocument> {
  const known = connection.models[modelName] as Model<RateLimitDocument> | undefined;
  return known ?? connection.model<RateLimitDocument>(modelName, schema);
}

/** Limits that are shared. */
export interface SharedLimits {
  /** The limits that were asked for, by the names their policies have. */
  get(name: string): Limit | undefined;
  /** Tells and asks the others at once, for tests; otherwise it happens twice a second. */
  exchange(): Promise<void>;
  stop(): Promise<void>;
}

export interface SharedLimitsOptions {
  readonly connection: Connection;
  readonly vault: Vault;
  readonly policies: readonly LimitPolicy[];
  readonly log: { warn(meta: object, message: string): void };
  /** Milliseconds since 1970. @default the machine's */
  readonly now?: () => number;
}

/** How often counts are exchanged, in milliseconds. */
const every = 500;
/** So many somebodies of a limit are told of at once: those with the most. */
const mostTold = 1000;
/** How long counts are kept beyond the two windows in which they matter, in milliseconds. */
const margin = 60_000;

export function shareLimits({ connection, vault, policies, log, now = Date.now }: SharedLimitsOptions): SharedLimits {
  const limits = new Map(policies.map((policy): [string, Limit] => [policy.name, new Limit(policy)]));
  const counts = native(registerRateLimits(connection));
  const ours = `p${randomBytes(6).toString('hex')}`;
  let failed = false;
  let underWay = Promise.resolve();
  const timer = setInterval(() => {
    underWay = underWay.then(exchangeOrWait);
  }, every);
  timer.unref();

  async function exchangeOrWait(): Promise<void> {
    try {
      for (const limit of limits.values()) await exchange(limit);
      failed = false;
    } catch (error) {
      if (!failed) log.warn({ err: error }, 'rate limits are not shared for now; each process counts alone');
      failed = true;
    }
  }

  async function exchange(limit: Limit): Promise<void> {
    const at = now();
    const watched = limit.watched(mostTold, at);
    if (watched.length === 0) return;
    const { name, window } = limit.policy;
    const lookups = await vault.systemCipher('lookups');
    const byId = new Map(
      watched.map((tally): [string, Tally] => {
        return [`${lookups.index('rateLimits', `${name}/${tally.subject}`)}:${name}:${tally.window}`, tally];
      }),
    );
    const news = [...byId].filter(([, { isNews }]) => isNews);
    if (news.length > 0) await tell(limit, news, window);
    const found = await counts.find<RateLimitDocument>({ _id: { $in: [...byId.keys()] } }).toArray();
    for (const document of found) {
      const tally = byId.get(document._id);
      const others = Object.entries(document.counts).filter(([process]) => process !== ours);
      if (tally !== undefined)
        limit.heard(
          tally,
          others.reduce((sum, [, count]) => sum + count, 0),
        );
    }
  }

  async function tell(limit: Limit, news: readonly (readonly [string, Tally])[], window: number): Promise<void> {
    const writes = news.map(([_id, { count, window: number }]): mongo.AnyBulkWriteOperation<RateLimitDocument> => ({
      updateOne: {
        filter: { _id },
        update: {
          $set: { [`counts.${ours}`]: count },
          $setOnInsert: { until: new Date((number + 2) * window + margin) },
        },
        upsert: true,
      },
    }));
    try {
      await counts.bulkWrite(writes, { ordered: false, writeConcern: { w: 1 } });
    } catch (error) {
      // Two processes made the same document at once: it is told again in half a second.
      if (isTaken(error)) return;
      throw error;
    }
    for (const [, tally] of news) limit.told(tally);
  }

  return {
    get: (name) => limits.get(name),
    async exchange() {
      underWay = underWay.then(exchangeOrWait);
      await underWay;
    },
    async stop() {
      clearInterval(timer);
      await underWay;
    },
  };
}

const duplicateKey = 11000;

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === duplicateKey;
}
