/**
 * Telling who a key belongs to, fast enough to ask on every request: what was read of a key is remembered until it changes, so
 * that a revocation takes effect within a second everywhere (R19) and at once where it was made.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Model } from 'mongoose';
import { native, remember, type ChangeFeed } from '../database';
import type { Actor } from '../lifecycle';
import { hashOf, isWellFormed } from './key-format';
import type { KeyUses } from './key-uses';
import type { ApiKeyDocument } from './keys';
import { scopes, type Principal } from './principal';

/** The keys this deployment knows. */
export interface Keyring {
  /** Who a key belongs to, or belonged to; nobody if it is unknown. Fails where the database is needed and away. */
  find(key: string): Promise<Principal | EndedKey | undefined>;
  /** Whether a key was found before, and is none that could be guessed: looking it up once more is no try at one. */
  knows(key: string): boolean;
  /** Forgets what is remembered of a key, by its id: for whoever changed it. */
  forget(id: string): void;
}

/** A key that opens nothing any more, and whose it was. */
export interface EndedKey {
  readonly ended: 'revoked' | 'expired';
  readonly actor: Actor;
  readonly account?: string;
}

export interface KeyringOptions {
  readonly model: Model<ApiKeyDocument>;
  readonly feed: ChangeFeed;
  /** The first administrator's key, from the configuration. It works without the database and is never stored. */
  readonly adminKey: string;
  readonly clock: () => Date;
  /** Is told of each use of a stored key. @default nobody is */
  readonly uses?: Pick<KeyUses, 'note'>;
}

/** How long a revocation may go unseen, in milliseconds. */
const lag = 1000;
/** A first administrator's key of fewer characters may be a word somebody chose: trying it counts as guessing. */
const leastUnguessable = 24;
const bootstrap: Principal = {
  actor: { type: 'key', id: 'bootstrap', role: 'admin' },
  role: 'admin',
  shown: { by: 'key', scopes },
};

interface Known {
  readonly id: string;
  readonly principal: Principal;
  readonly isRevoked: boolean;
  readonly expiresAt: number;
}

export function createKeyring({ model, feed, adminKey, clock, uses }: KeyringOptions): Keyring {
  const adminHash = Buffer.from(hashOf(adminKey));
  const isGuessable = adminKey.length < leastUnguessable;
  const known = remember<Known>({ feed, collection: model.collection.name, read, idOf: ({ id }) => id, lag });

  async function read(hash: string): Promise<Known | undefined> {
    const found = await native(model).findOne<ApiKeyDocument>({ hash });
    if (found === null) return undefined;
    return {
      id: found._id,
      principal: principalOf(found),
      isRevoked: found.revokedAt !== undefined,
      expiresAt: found.expiresAt?.getTime() ?? Infinity,
    };
  }

  return {
    async find(key) {
      const hash = hashOf(key);
      // What is compared, here and by the database, is a hash of 256 random bits or of the whole secret: how long it takes tells
      // nothing of a key. The first one may be a text somebody chose, so that it takes the same time on top.
      if (timingSafeEqual(Buffer.from(hash), adminHash)) return bootstrap;
      if (!isWellFormed(key)) return undefined;
      const found = known.get(hash);
      const settled = found instanceof Promise ? await found : found;
      if (settled === undefined) return undefined;
      const { id, principal } = settled;
      const now = clock().getTime();
      if (settled.isRevoked) return endedKey('revoked', principal);
      if (settled.expiresAt <= now) return endedKey('expired', principal);
      uses?.note(id, principal.account, now);
      return principal;
    },
    knows(key) {
      const hash = hashOf(key);
      return (!isGuessable && timingSafeEqual(Buffer.from(hash), adminHash)) || known.knows(hash);
    },
    forget: (id) => known.forget(id),
  };
}

function endedKey(ended: EndedKey['ended'], { actor, account }: Principal): EndedKey {
  return { ended, actor, ...(account === undefined ? {} : { account }) };
}

function principalOf({ _id, role, account, scopes: given = [] }: ApiKeyDocument): Principal {
  return {
    actor: { type: 'key', id: _id, role },
    role,
    ...(account === undefined ? {} : { account }),
    shown: { by: 'key', scopes: given },
  };
}
