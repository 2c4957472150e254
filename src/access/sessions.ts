/**
 * Sessions: who is signed in, fast enough to ask on every request, and ended within a second everywhere.
 *
 * 1. What opens one is 256 random bits that only the browser has; stored is their hash. A session that is begun, also for a
 *    person who proves anew who they are, has a token of its own: none from before can be foisted on anybody.
 * 2. It ends when it was not used for a while, at the latest after a set time, and when anybody who may ends it: then its
 *    document goes, and with it what the processes remember.
 * 3. Use is written down at most once a minute, after the request, and never keeps one waiting.
 */
import { createHmac, hash, randomBytes } from 'node:crypto';
import type { ClientSession } from 'mongoose';
import { protect, reveal, type Opened } from '../data';
import { native, remember, type ChangeFeed } from '../database';
import type { Cipher, Vault } from '../vault';
import type { Principal } from './principal';
import type { SessionDocument, SessionModels } from './session-models';

const collection = 'sessions';

/** How long sessions last, in milliseconds. */
export interface SessionLimits {
  /** Without use. */
  readonly idle: number;
  /** In all. */
  readonly lifetime: number;
}

/** Where a session is used from. */
export interface Visitor {
  readonly address?: string;
  readonly userAgent?: string;
}

/** What a session is begun with. */
export interface NewSession extends Visitor, Pick<SessionDocument, 'user' | 'role' | 'provider'> {
  readonly account?: string;
  readonly providerSession?: string;
  readonly idToken: string;
  readonly authenticatedAt: Date;
}

/** A session as its person is shown it. */
export type ShownSession = Omit<Opened<SessionDocument>, 'hash' | 'idToken' | 'providerSession'>;

/** The sessions of this deployment. What changes any takes the transaction it belongs to. */
export interface Sessions {
  readonly limits: SessionLimits;
  /** Whose session a token opens, at once where it is remembered; nobody's where it has ended. Notes that it was used. */
  find(token: string, visitor: Visitor): Promise<Principal | undefined>;
  /** Whether a token opened a session before: looking it up once more is no try at one. */
  knows(token: string): boolean;
  /** Begins one. @returns the token, which is nowhere else, and the session's id */
  begin(session: ClientSession, begun: NewSession): Promise<{ readonly token: string; readonly id: string }>;
  /** Ends sessions, those of somebody alone where it says whose. @returns those that there were */
  end(session: ClientSession, which: Which): Promise<readonly SessionDocument[]>;
  /** Forgets what is remembered of sessions: once a transaction that ended them is through. */
  forget(ended: readonly Pick<SessionDocument, '_id'>[]): void;
  /** Sessions that have not ended, the last used first; one whose key is gone shows no address. */
  list(user: string): Promise<ShownSession[]>;
  /** What the provider wants to be shown when a session's person signs out; nothing where it cannot be opened. */
  idTokenOf(ended: SessionDocument): Promise<string | undefined>;
  /** What a provider's own session is found by. */
  providerSessionIndex(provider: string, providerSession: string): Promise<string>;
}

/** Which sessions, always by one index. */
export type Which =
  | { readonly id: string; readonly user: string }
  | { readonly user: string; readonly but?: string }
  /** All but so many, of which the last used stay. */
  | { readonly user: string; readonly keep: number }
  | { readonly providerSession: string; readonly of?: string };

export interface SessionsOptions {
  readonly models: SessionModels;
  readonly vault: Vault;
  readonly feed: ChangeFeed;
  readonly limits: SessionLimits;
  readonly clock: () => Date;
  readonly log: { warn(meta: object, message: string): void };
}

/** How long an ended session may go on unseen, in milliseconds. */
const lag = 1000;
/** Use is written down this often at most, in milliseconds, or four times before a session would end for want of it. */
const noteEvery = 60_000;
/** More sessions of one person are not listed, nor ended at a time. */
const mostOfOne = 1000;
const longestUserAgent = 300;
const tokenShape = /^[A-Za-z0-9_-]{43}$/;

interface Known {
  readonly id: string;
  readonly principal: Principal;
  readonly endsAt: number;
  usedAt: number;
}

/** What stands in for a token where it is stored: with 256 bits of chance in it, a plain hash is enough. */
function hashOfToken(token: string): string {
  return hash('sha256', token);
}

/** What a page of a session shows when it changes something: nobody can make it who does not have the session. */
export function csrfTokenOf(token: string): string {
  return createHmac('sha256', token).update('csrf').digest('base64url');
}

export function createSessions({ models, vault, feed, limits, clock, log }: SessionsOptions): Sessions {
  const sessions = native(models.sessions);
  const known = remember<Known>({ feed, collection: models.sessions.collection.name, read, idOf: ({ id }) => id, lag });
  const noteAfter = Math.min(noteEvery, limits.idle / 4);

  async function read(hashed: string): Promise<Known | undefined> {
    const found = await sessions.findOne<SessionDocument>({ hash: hashed });
    if (found === null) return undefined;
    return {
      id: found._id,
      principal: principalOf(found),
      endsAt: found.endsAt.getTime(),
      usedAt: found.usedAt.getTime(),
    };
  }

  function cipherFor({ account }: Pick<NewSession, 'account'>): Promise<Cipher> {
    return account === undefined ? vault.systemCipher('staff') : vault.cipherOf(account);
  }

  function untilOf(usedAt: number, endsAt: number): Date {
    return new Date(Math.min(usedAt + limits.idle, endsAt));
  }

  async function note({ id, principal, usedAt, endsAt }: Known, visitor: Visitor): Promise<void> {
    try {
      const { account } = principal;
      const cipher = await cipherFor(account === undefined ? {} : { account });
      const seen = protect<Partial<SessionDocument> & { _id: string }>(cipher, collection, {
        _id: id,
        ...shortened(visitor),
      });
      const { _id, ...from } = seen;
      const $set = { usedAt: new Date(usedAt), until: untilOf(usedAt, endsAt), ...from };
      await sessions.updateOne({ _id }, { $set });
    } catch (error) {
      log.warn({ err: error }, 'that a session was used could not be written down');
    }
  }

  return {
    limits,
    async find(token, visitor) {
      if (!tokenShape.test(token)) return undefined;
      const remembered = known.get(hashOfToken(token));
      const found = remembered instanceof Promise ? await remembered : remembered;
      if (found === undefined) return undefined;
      const now = clock().getTime();
      if (now >= untilOf(found.usedAt, found.endsAt).getTime()) return undefined;
      if (now - found.usedAt >= noteAfter) {
        found.usedAt = now;
        void note(found, visitor);
      }
      return found.principal;
    },
    knows: (token) => tokenShape.test(token) && known.knows(hashOfToken(token)),
    async begin(session, { address, userAgent, idToken, ...begun }) {
      const token = randomBytes(32).toString('base64url');
      const id = `ses_${randomBytes(12).toString('hex')}`;
      const now = clock();
      const endsAt = new Date(now.getTime() + limits.lifetime);
      const document: Opened<SessionDocument> = {
        _id: id,
        ...begun,
        hash: hashOfToken(token),
        idToken,
        usedAt: now,
        ...shortened({
          ...(address === undefined ? {} : { address }),
          ...(userAgent === undefined ? {} : { userAgent }),
        }),
        endsAt,
        until: untilOf(now.getTime(), endsAt.getTime()),
      };
      await sessions.insertOne(protect<SessionDocument>(await cipherFor(begun), collection, document), { session });
      return { token, id };
    },
    async end(session, which) {
      const found = await sessions.find<SessionDocument>(filterOf(which), { session, limit: mostOfOne }).toArray();
      const meant =
        'keep' in which ? lastUsedFirst(found).slice(which.keep) : found.filter((one) => isMeant(which, one));
      if (meant.length > 0) await sessions.deleteMany({ _id: { $in: meant.map(({ _id }) => _id) } }, { session });
      return meant;
    },
    forget(ended) {
      for (const { _id } of ended) known.forget(_id);
    },
    async list(user) {
      const found = await sessions.find<SessionDocument>({ user }, { limit: mostOfOne }).toArray();
      const now = clock();
      const living = found.filter(({ until }) => until > now);
      const accounts = [...new Set(living.flatMap(({ account = [] }) => account))];
      const own = await vault.ciphersOf(accounts);
      const staff = await vault.systemCipher('staff');
      return lastUsedFirst(living).map((document) =>
        shownOf(document, document.account === undefined ? staff : own.get(document.account)),
      );
    },
    async idTokenOf(ended) {
      try {
        return reveal(await cipherFor(ended), collection, ended).idToken;
      } catch (error) {
        // Its person is signed out here in any case.
        log.warn({ err: error }, 'what a session was begun with cannot be opened');
        return undefined;
      }
    },
    async providerSessionIndex(provider, providerSession) {
      return (await vault.systemCipher('lookups')).index('provider-session', `${provider}\n${providerSession}`);
    },
  };
}

function filterOf(which: Which): Readonly<Record<string, string>> {
  if ('id' in which) return { _id: which.id };
  return 'user' in which ? { user: which.user } : { providerSession: which.providerSession };
}

function lastUsedFirst<S extends Pick<SessionDocument, 'usedAt'>>(sessions: readonly S[]): S[] {
  return [...sessions].sort((one, other) => other.usedAt.getTime() - one.usedAt.getTime());
}

function isMeant(which: Which, { _id: id, user }: Pick<SessionDocument, '_id' | 'user'>): boolean {
  if ('providerSession' in which) return which.of === undefined || which.of === user;
  return which.user === user && !('but' in which && which.but === id);
}

function shortened({ address, userAgent }: Visitor): Visitor {
  return {
    ...(address === undefined ? {} : { address }),
    ...(userAgent === undefined ? {} : { userAgent: userAgent.slice(0, longestUserAgent) }),
  };
}

function shownOf(document: SessionDocument, cipher: Cipher | undefined): ShownSession {
  const { hash: _hash, idToken: _idToken, providerSession: _session, ...shown } = document;
  const { address, userAgent, ...plain } = shown;
  if (cipher === undefined) return plain;
  const sealed = { ...(address === undefined ? {} : { address }), ...(userAgent === undefined ? {} : { userAgent }) };
  return reveal(cipher, collection, { ...plain, ...sealed });
}

function principalOf({ _id, user, role, account, provider, authenticatedAt }: SessionDocument): Principal {
  return {
    actor: { type: 'user', id: user, role },
    role,
    ...(account === undefined ? {} : { account }),
    shown: { by: 'session', session: _id, provider, authenticatedAt },
  };
}
