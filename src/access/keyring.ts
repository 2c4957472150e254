/**
 * Telling who a key belongs to, fast enough to ask on every request: what was read of a key is remembered until it changes, so
 * that a revocation takes effect within a second everywhere (R19) and at once where it was made.
 */
import type { Model } from 'mongoose';
import { native, remember, type ChangeFeed } from '../database';
import { hashOf, isWellFormed } from './key-format';
import type { ApiKeyDocument } from './keys';
import { scopes, type Principal } from './principal';

/** The keys this deployment knows. */
export interface Keyring {
  /** Who a key belongs to; nobody if it is unknown, revoked or expired. Fails where the database is needed and away. */
  find(key: string): Promise<Principal | undefined>;
  /** Forgets what is remembered of a key, by its id: for whoever changed it. */
  forget(id: string): void;
}

export interface KeyringOptions {
  readonly model: Model<ApiKeyDocument>;
  readonly feed: ChangeFeed;
  /** The first administrator's key, from the configuration. It works without the database and is never stored. */
  readonly adminKey: string;
  readonly clock: () => Date;
}

/** How long a revocation may go unseen, in milliseconds. */
const lag = 1000;
const bootstrap: Principal = {
  actor: { type: 'key', id: 'bootstrap', role: 'admin' },
  role: 'admin',
  shown: { by: 'key', scopes },
};

interface Known {
  readonly id: string;
  readonly principal: Principal | undefined;
  readonly expiresAt: number;
}

export function createKeyring({ model, feed, adminKey, clock }: KeyringOptions): Keyring {
  const adminHash = hashOf(adminKey);
  const known = remember<Known>({ feed, collection: model.collection.name, read, idOf: ({ id }) => id, lag });

  async function read(hash: string): Promise<Known | undefined> {
    const found = await native(model).findOne<ApiKeyDocument>({ hash });
    if (found === null) return undefined;
    return {
      id: found._id,
      principal: found.revokedAt === undefined ? principalOf(found) : undefined,
      expiresAt: found.expiresAt?.getTime() ?? Infinity,
    };
  }

  return {
    async find(key) {
      const hash = hashOf(key);
      if (hash === adminHash) return bootstrap;
      if (!isWellFormed(key)) return undefined;
      const found = known.get(hash);
      const settled = found instanceof Promise ? await found : found;
      return settled !== undefined && settled.expiresAt > clock().getTime() ? settled.principal : undefined;
    },
    forget: (id) => known.forget(id),
  };
}

function principalOf({ _id, role, account }: ApiKeyDocument): Principal {
  return {
    actor: { type: 'key', id: _id, role },
    role,
    ...(account === undefined ? {} : { account }),
    shown: { by: 'key', scopes },
  };
}
