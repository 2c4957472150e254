/**
 * What makes a write safe to repeat: the first request with a key reserves it, and its answer is kept for a day.
 *
 * 1. The same key with another request is refused.
 * 2. A finished request is answered again, word for word, but for secrets.
 * 3. An unfinished one runs again under the same update id, draft and account id, which is safe: the account's
 *    workflow knows the message, and what is written here is written together with its answer.
 * 4. Answers are kept encrypted (R21), under the key of the account they concern, and then they are gone with it; under the
 *    deployment's where there is none.
 */
import { hash, randomUUID } from 'node:crypto';
import { mongo, Schema, type ClientSession, type Connection, type Model } from 'mongoose';
import { protect, reveal, type Sealed } from '../data';
import { native } from '../database';
import { KeyDestroyedError, KeyMissingError, type Cipher, type Vault } from '../vault';
import { Problem } from './problems';

/** An answer as it is kept. */
export interface KeptAnswer {
  readonly status: number;
  /** JSON text; absent for an answer without a body. */
  readonly body?: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface IdempotencyDocument extends Partial<Omit<KeptAnswer, 'body'>> {
  /** SHA-256 of who asked and the key. */
  readonly _id: string;
  /** A blind index of the key, method, path, query and body. */
  readonly fingerprint: string;
  readonly body?: Sealed<string>;
  /** Whose key the body is encrypted under. */
  readonly under?: Owner;
  /** The account it concerns: the key goes with it. An erased one by its tombstone's id. */
  readonly account?: string;
  readonly reserved: Reserved;
  readonly at: Date;
}

type Owner = 'account' | 'deployment';

/** What a repeat must use again. */
export interface Reserved {
  readonly updateId: string;
  readonly draftId: string;
  /** The id of the account to be created, where none was given. */
  readonly newAccount: string;
}

/** One try at a request. */
export interface Attempt extends Reserved {
  /** An earlier try may have had its effect already. */
  readonly repeated: boolean;
  /**
   * Keeps the answer, in the transaction of the effect where there is one: then the effect happens once however many
   * tries run side by side. @throws {AnsweredError} another try was first; the transaction ends without effect
   */
  keep(answer: KeptAnswer, session?: ClientSession): Promise<void>;
}

/** The request has been answered by another try. */
export class AnsweredError extends Error {
  override readonly name = 'AnsweredError';
}

const keptSeconds = 24 * 60 * 60;
const schema = new Schema<IdempotencyDocument>(
  {
    _id: { type: String, required: true },
    fingerprint: { type: String, required: true },
    account: String,
    reserved: { type: Schema.Types.Mixed, required: true },
    status: Number,
    body: Schema.Types.Mixed,
    under: String,
    headers: Schema.Types.Mixed,
    at: { type: Date, required: true },
  },
  { collection: 'idempotencyKeys', versionKey: false, minimize: false, strict: 'throw' },
);
schema.index({ at: 1 }, { expireAfterSeconds: keptSeconds });
// An account's keys go with it.
schema.index({ account: 1 }, { sparse: true });

const modelName = 'IdempotencyKey';

/** The keys of a database. Call it before the database is prepared, so that its indexes are made. Safe to repeat. */
export function registerIdempotency(connection: Connection): Model<IdempotencyDocument> {
  const known = connection.models[modelName] as Model<IdempotencyDocument> | undefined;
  return known ?? connection.model<IdempotencyDocument>(modelName, schema);
}

/** Where answers are kept, and the keys they are encrypted with. */
export interface IdempotencyStore {
  readonly model: Model<IdempotencyDocument>;
  readonly vault: Vault;
}

/** What a request with a key says of itself. */
export interface KeyedRequest {
  readonly principal: string;
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly query: unknown;
  readonly body: unknown;
  readonly account?: string;
  readonly fresh: Reserved;
  readonly now: Date;
}

export type Reservation = { readonly attempt: Attempt } | { readonly answered: KeptAnswer };

/** A try without a key: nothing is kept. */
export function unkeyed(reserved: Reserved): Attempt {
  return { ...reserved, repeated: false, keep: () => Promise.resolve() };
}

/** Ids for a first try. @param newAccount made only where a request needs it */
export function freshIds(newAccount: string): Reserved {
  return { updateId: randomUUID(), draftId: randomUUID(), newAccount };
}

/** Reserves a key, or says what became of the request it was reserved for. @throws {Problem} it belongs to another request */
export async function reserve({ model, vault }: IdempotencyStore, request: KeyedRequest): Promise<Reservation> {
  const keys = native(model);
  const _id = hash('sha256', `${request.principal}\n${request.key}`);
  const { key, method, path, query, body: asked, account: owner } = request;
  const secrets = await vault.systemCipher('secrets');
  const described = [key, method, path, canonicalJson(query), canonicalJson(asked)].join('\n');
  const fingerprint = secrets.index('idempotency', described);
  const attempt = (reserved: Reserved, repeated: boolean): Attempt => ({
    ...reserved,
    repeated,
    async keep({ body, ...answer }, session) {
      const kept = body === undefined ? {} : await sealed(vault, _id, owner, body);
      const { matchedCount } = await keys.updateOne(
        { _id, fingerprint, status: { $exists: false } },
        { $set: { ...answer, ...kept } },
        session === undefined ? {} : { session },
      );
      if (matchedCount === 0 && session !== undefined) throw new AnsweredError('another try was first');
    },
  });
  const account = owner === undefined ? undefined : await nameOf(vault, owner);
  for (;;) {
    const { fresh, now } = request;
    try {
      await keys.insertOne({
        _id,
        fingerprint,
        ...(account === undefined ? {} : { account }),
        reserved: fresh,
        at: now,
      });
      return { attempt: attempt(fresh, false) };
    } catch (error) {
      if (!(error instanceof mongo.MongoServerError) || error.code !== 11000) throw error;
    }
    const found = await keys.findOne<IdempotencyDocument>({ _id });
    // Its day ended between the two questions: the key is free again.
    if (found === null) continue;
    if (found.fingerprint !== fingerprint) {
      throw new Problem('conflict', 'this Idempotency-Key belongs to another request');
    }
    const { status, headers = {} } = found;
    if (status !== undefined) return { answered: { status, headers, ...(await opened(vault, found)) } };
    return { attempt: attempt(found.reserved, true) };
  }
}

type Body = Pick<IdempotencyDocument, '_id' | 'body'>;
const collection = 'idempotencyKeys';

/** What is kept of a body, under the account's key where there is one: an account that was never made has none. */
async function sealed(vault: Vault, _id: string, account: string | undefined, body: string) {
  const own = account === undefined ? undefined : await vault.cipherOf(account).catch(withoutKey);
  const under: Owner = own === undefined ? 'deployment' : 'account';
  const { body: bytes } = protect<Body>(own ?? (await vault.systemCipher('secrets')), collection, { _id, body });
  return { ...(bytes === undefined ? {} : { body: bytes }), under };
}

/** What an account is called in what is stored: once it is erased nothing says its id (R22), also not who still asks for it. */
async function nameOf(vault: Vault, account: string): Promise<string> {
  try {
    await vault.cipherOf(account);
  } catch (error) {
    if (error instanceof KeyDestroyedError) return `~${vault.pseudonymOf(account)}`;
    withoutKey(error);
  }
  return account;
}

function withoutKey(error: unknown): undefined {
  if (!(error instanceof KeyMissingError) && !(error instanceof KeyDestroyedError)) throw error;
}

/** @throws {KeyDestroyedError} the account it concerns is erased */
async function opened(vault: Vault, found: IdempotencyDocument): Promise<Pick<KeptAnswer, 'body'>> {
  const { _id, account, body: kept, under } = found;
  if (kept === undefined) return {};
  const isOwn = under === 'account' && account !== undefined;
  const cipher: Cipher = await (isOwn ? vault.cipherOf(account) : vault.systemCipher('secrets'));
  const { body } = reveal<Body>(cipher, collection, { _id, body: kept });
  return body === undefined ? {} : { body };
}

/** JSON with the members of each object in one order. The body has passed a schema, so it is not deep. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
