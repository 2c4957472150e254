/**
 * Telling who a key belongs to, fast enough to ask on every request: answers are remembered for a moment, so that a
 * revocation takes effect within that moment everywhere and at once where it was made.
 */
import type { Model } from 'mongoose';
import { native } from '../database';
import { hashOf, isWellFormed } from './key-format';
import type { ApiKeyDocument } from './keys';
import type { Principal } from './principal';

/** The keys this deployment knows. */
export interface Keyring {
  /** Who a key belongs to; nobody if it is unknown, revoked or expired. Fails where the database is needed and away. */
  find(key: string): Promise<Principal | undefined>;
  /** Forgets what is remembered of a key, by its hash. */
  forget(hash: string): void;
}

export interface KeyringOptions {
  readonly model: Model<ApiKeyDocument>;
  /** The first administrator's key, from the configuration. It works without the database and is never stored. */
  readonly adminKey: string;
  readonly clock: () => Date;
  /** How long an answer is remembered, in milliseconds. @default 1000 */
  readonly maxAge?: number;
}

interface Remembered {
  readonly principal: Principal | undefined;
  readonly readAt: number;
  readonly expiresAt: number;
}

const mostRemembered = 10_000;
const bootstrap: Principal = { actor: { type: 'key', id: 'bootstrap', role: 'admin' }, role: 'admin' };

export function createKeyring({ model, adminKey, clock, maxAge = 1000 }: KeyringOptions): Keyring {
  const adminHash = hashOf(adminKey);
  const remembered = new Map<string, Remembered>();
  const reading = new Map<string, Promise<Remembered>>();

  async function read(hash: string): Promise<Remembered> {
    // The age counts from before the question, so that it is never older than it looks.
    const readAt = performance.now();
    const found = await native(model).findOne<ApiKeyDocument>({ hash });
    const valid = found !== null && found.revokedAt === undefined;
    const entry: Remembered = {
      principal: valid ? principalOf(found) : undefined,
      readAt,
      expiresAt: found?.expiresAt?.getTime() ?? Infinity,
    };
    remember(hash, entry);
    return entry;
  }

  function remember(hash: string, entry: Remembered): void {
    remembered.delete(hash);
    const oldest = remembered.size >= mostRemembered ? remembered.keys().next() : undefined;
    if (oldest?.done === false) remembered.delete(oldest.value);
    remembered.set(hash, entry);
  }

  /** One question to the database answers all who ask the same at that moment. */
  function readOnce(hash: string): Promise<Remembered> {
    const underWay = reading.get(hash);
    if (underWay !== undefined) return underWay;
    const started = read(hash).finally(() => reading.delete(hash));
    reading.set(hash, started);
    return started;
  }

  function judged({ principal, expiresAt }: Remembered): Principal | undefined {
    return expiresAt > clock().getTime() ? principal : undefined;
  }

  return {
    async find(key) {
      const hash = hashOf(key);
      if (hash === adminHash) return bootstrap;
      if (!isWellFormed(key)) return undefined;
      const known = remembered.get(hash);
      if (known !== undefined && performance.now() - known.readAt < maxAge) return judged(known);
      return judged(await readOnce(hash));
    },
    forget(hash) {
      remembered.delete(hash);
      reading.delete(hash);
    },
  };
}

function principalOf({ _id, role, account }: ApiKeyDocument): Principal {
  return { actor: { type: 'key', id: _id, role }, role, ...(account === undefined ? {} : { account }) };
}
