/**
 * The vault: envelope encryption for one region (R21).
 *
 * 1. Every account has a data key and a key for its blind indexes, made when it is; every system stream has its own.
 * 2. All of them are random and lie in the key store, wrapped under the master key; nothing else there is secret.
 * 3. A destroyed key leaves a mark: it is never made again, so nothing can be encrypted for an erased account (R23).
 * 4. Unwrapped keys are kept in memory for a short while, and are read anew after it: a key destroyed by another process
 *    is of no use to this one half a minute later.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { mongo } from 'mongoose';
import { createCipher, type Cipher } from './cipher';
import { KeyDestroyedError, KeyMissingError, MasterKeyError, VaultRegionError } from './errors';
import type { KeyDocument, KeyStore, WrappedKey } from './key-store';
import type { KeyProvider } from './master-key';
import { createSigner, type PublicKey, type Signer } from './signer';

/** What encrypts for the deployment rather than for an account. */
export type SystemKey =
  /** What an erased account is called; see {@link Vault.pseudonymOf}. */
  | 'pseudonyms'
  /** Blind indexes over all accounts, such as a mail address's. */
  | 'lookups'
  /** Temporal's payloads. */
  | 'payloads'
  /** What the audit log says of staff; lasts as long as the log. */
  | 'staff'
  /** Secrets of the deployment's own: of processors and the like. */
  | 'secrets'
  /** Signs checkpoints, certificates and the ledger. */
  | 'signing';

/** One region's keys. */
export interface Vault {
  readonly region: string;
  readonly keyStore: KeyStore;
  /** The master key new keys are wrapped under. */
  readonly master: KeyProvider;
  /** Makes an account's key, or finds it. @throws {KeyDestroyedError} the account is erased */
  makeKey(account: string): Promise<Cipher>;
  /** @throws {KeyMissingError | KeyDestroyedError} */
  cipherOf(account: string): Promise<Cipher>;
  /** The ciphers of several accounts; those without a key, or whose key is destroyed, are left out. */
  ciphersOf(accounts: readonly string[]): Promise<Map<string, Cipher>>;
  /** The key of what the law keeps of an account (R10), made where it is missing. @throws {KeyDestroyedError} */
  retainedCipherOf(account: string): Promise<Cipher>;
  /** Destroys an account's key, or that of what the law kept of it. Safe to repeat. @returns when it was destroyed */
  destroyKey(account: string, kind?: 'account' | 'retained'): Promise<Date>;
  systemCipher(name: SystemKey): Promise<Cipher>;
  /**
   * What an erased account is called: a keyed hash of its region and id (R22). The same account always has the same one,
   * and without the key nobody can tell which account it is, nor try ids out. 43 characters. An account may be named by
   * the id of its tombstone too, `~` and the pseudonym: that works for every key of an account.
   */
  pseudonymOf(account: string): string;
  /** For how long a backup of the key store may be kept, in milliseconds: a destroyed key may be in one until then. */
  readonly backupRetention: number;
  /** Whether keys lie on a server of their own: otherwise the data's own backups hold them as well. */
  readonly apart: boolean;
  signer(): Promise<Signer>;
  /** Every public key there ever was to check signatures by, the newest first. */
  publicKeys(): Promise<readonly PublicKey[]>;
  close(): Promise<void>;
}

export interface VaultOptions {
  readonly keyStore: KeyStore;
  readonly region: string;
  readonly master: KeyProvider;
  /** Master keys that keys may still be wrapped under, while they are being re-wrapped. */
  readonly previous?: readonly KeyProvider[];
  /** For how long a backup of the key store may be kept, in milliseconds. @default 30 days */
  readonly backupRetention?: number;
  /** Whether keys lie on a server of their own. @default false: certificates then claim nothing of backups */
  readonly apart?: boolean;
  /** How long an unwrapped key is used before it is looked up again, in milliseconds. @default 30000 */
  readonly cacheFor?: number;
}

const keyLength = 32;
const standardCacheTime = 30_000;
const standardBackupRetention = 30 * 24 * 60 * 60 * 1000;
/** The id of a tombstone. No account's id begins so. */
const tombstone = /^~([A-Za-z0-9_-]{43})$/;
/** Unwrapped keys kept in memory, at most. */
const mostCached = 20_000;

/**
 * Opens the vault.
 *
 * @throws {MasterKeyError} the master key is not the one the keys are wrapped under
 * @throws {VaultRegionError} the key store belongs to another region (R25)
 */
export async function openVault(options: VaultOptions): Promise<Vault> {
  const keys = new Keys(options);
  const pseudonyms = await keys.make('system/pseudonyms');
  const signing = await keys.make('system/signing');
  const pseudonymKey = pseudonyms.index;
  const { region, keyStore, master, backupRetention = standardBackupRetention, apart = false } = options;
  const pseudonymOf = (account: string) =>
    tombstone.exec(account)?.[1] ??
    createHmac('sha256', pseudonymKey).update(`${region}/${account}`).digest('base64url');
  const idOf = (account: string, kind: 'account' | 'retained' = 'account') => `${kind}/${pseudonymOf(account)}`;
  const signer = createSigner(signing.region, signing.data, signing.current);
  return {
    region,
    keyStore,
    master,
    backupRetention,
    apart,
    pseudonymOf,
    makeKey: async (account) => (await keys.make(idOf(account))).cipher,
    cipherOf: async (account) => (await keys.of(idOf(account))).cipher,
    async ciphersOf(accounts) {
      const found = await keys.several(accounts.map((account) => idOf(account)));
      return new Map(
        accounts.flatMap((account): [string, Cipher][] => {
          const cipher = found.get(idOf(account))?.cipher;
          return cipher === undefined ? [] : [[account, cipher]];
        }),
      );
    },
    retainedCipherOf: async (account) => (await keys.make(idOf(account, 'retained'))).cipher,
    destroyKey: (account, kind) => keys.destroy(idOf(account, kind)),
    systemCipher: async (name) => (await keys.make(`system/${name}`)).cipher,
    signer: () => Promise.resolve(signer.current),
    publicKeys: () => Promise.resolve(signer.all),
    close: () => keyStore.connection.close(),
  };
}

/** Keys of one owner, unwrapped. */
interface Unwrapped {
  readonly region: string;
  readonly data: ReadonlyMap<number, Buffer>;
  readonly current: number;
  readonly index: Buffer;
  readonly cipher: Cipher;
  readonly readAt: number;
}

class Keys {
  readonly #store: KeyStore;
  readonly #region: string;
  readonly #master: KeyProvider;
  readonly #providers: ReadonlyMap<string, KeyProvider>;
  readonly #cacheFor: number;
  readonly #cache = new Map<string, Unwrapped>();
  /** Whoever asks for a key that is being read waits for the same answer. */
  readonly #reading = new Map<string, Promise<Unwrapped>>();

  constructor({ keyStore, region, master, previous = [], cacheFor = standardCacheTime }: VaultOptions) {
    this.#store = keyStore;
    this.#region = region;
    this.#master = master;
    this.#providers = new Map([...previous, master].map((provider) => [provider.id, provider]));
    this.#cacheFor = cacheFor;
  }

  /** @throws {KeyMissingError | KeyDestroyedError} */
  of(id: string): Promise<Unwrapped> {
    return this.#cached(id, async () => {
      const document = await this.#store.keys.findOne({ _id: id });
      if (document === null) throw new KeyMissingError(`there is no key ${id}`);
      return this.#unwrap(document);
    });
  }

  /** Makes what is missing. @throws {KeyDestroyedError} */
  async make(id: string): Promise<Unwrapped> {
    try {
      return await this.of(id);
    } catch (error) {
      if (!(error instanceof KeyMissingError)) throw error;
    }
    try {
      await this.#store.keys.insertOne(await this.#fresh(id));
    } catch (error) {
      // Somebody else made it meanwhile: there is one, and it is theirs.
      if ((error as { code?: unknown }).code !== 11000) throw error;
    }
    // Not the answer of somebody who asked before it was made.
    this.#reading.delete(id);
    return this.of(id);
  }

  /** Those there are, by id. */
  async several(ids: readonly string[]): Promise<Map<string, Unwrapped>> {
    const found = new Map<string, Unwrapped>();
    const missing = ids.filter((id) => {
      const known = this.#fresher(id);
      if (known !== undefined) found.set(id, known);
      return known === undefined;
    });
    if (missing.length === 0) return found;
    const documents = await this.#store.keys.find({ _id: { $in: missing } }).toArray();
    await Promise.all(
      documents
        .filter(({ destroyedAt }) => destroyedAt === undefined)
        .map(async (document) => found.set(document._id, this.#keep(document._id, await this.#unwrap(document)))),
    );
    return found;
  }

  async destroy(id: string): Promise<Date> {
    const now = new Date();
    await this.#store.keys.updateOne(
      { _id: id },
      {
        $setOnInsert: { region: this.#region, createdAt: now },
        $min: { destroyedAt: now },
        $inc: { revision: 1 },
        $unset: { current: '', versions: '', index: '' },
      },
      { upsert: true },
    );
    this.#cache.delete(id);
    const left = await this.#store.keys.findOne({ _id: id });
    if (left?.destroyedAt === undefined || left.versions !== undefined || left.index !== undefined) {
      throw new Error(`the key ${id} is still there after it was destroyed`);
    }
    return left.destroyedAt;
  }

  #fresher(id: string): Unwrapped | undefined {
    const known = this.#cache.get(id);
    return known !== undefined && performance.now() - known.readAt < this.#cacheFor ? known : undefined;
  }

  async #cached(id: string, read: () => Promise<Unwrapped>): Promise<Unwrapped> {
    const known = this.#fresher(id);
    if (known !== undefined) return known;
    const reading =
      this.#reading.get(id) ??
      read()
        .then((unwrapped) => this.#keep(id, unwrapped))
        .finally(() => this.#reading.delete(id));
    this.#reading.set(id, reading);
    return reading;
  }

  #keep(id: string, unwrapped: Unwrapped): Unwrapped {
    this.#cache.delete(id);
    this.#cache.set(id, unwrapped);
    if (this.#cache.size > mostCached) {
      const [oldest = ''] = this.#cache.keys();
      this.#cache.delete(oldest);
    }
    return unwrapped;
  }

  async #fresh(id: string): Promise<KeyDocument> {
    const at = new Date();
    const wrap = async (context: string): Promise<WrappedKey> => ({
      wrapped: new mongo.Binary(await this.#master.wrap(randomBytes(keyLength), context)),
      master: this.#master.id,
    });
    return {
      _id: id,
      region: this.#region,
      createdAt: at,
      current: 1,
      versions: [{ version: 1, at, ...(await wrap(contextOf(this.#region, id, 1))) }],
      index: await wrap(contextOf(this.#region, id, 'index')),
      revision: 1,
    };
  }

  async #unwrap({ _id, region, current, versions, index, destroyedAt }: KeyDocument): Promise<Unwrapped> {
    if (region !== this.#region)
      throw new VaultRegionError(`the key ${_id} belongs to ${region}, not to ${this.#region}`);
    if (destroyedAt !== undefined) throw new KeyDestroyedError(`the key ${_id} was destroyed`);
    if (current === undefined || versions === undefined || index === undefined) {
      throw new Error(`the key ${_id} is not complete`);
    }
    const data = new Map<number, Buffer>();
    for (const { version, ...wrapped } of versions) {
      data.set(version, await this.#open(wrapped, contextOf(region, _id, version)));
    }
    const opened = await this.#open(index, contextOf(region, _id, 'index'));
    const cipher = createCipher({ region, owner: _id, data, current, index: opened });
    return { region, data, current, index: opened, cipher, readAt: performance.now() };
  }

  #open({ wrapped, master }: WrappedKey, context: string): Promise<Buffer> {
    const provider = this.#providers.get(master);
    if (provider === undefined) {
      throw new MasterKeyError(
        `the key ${context} is wrapped under the master key ${master}; this process has ${[...this.#providers.keys()].join(', ')}`,
      );
    }
    return provider.unwrap(Buffer.from(wrapped.value()), context);
  }
}

/** What a key is wrapped for: it does not unwrap as anything else. */
export function contextOf(region: string, id: string, version: number | 'index'): string {
  return `${region}/${id}/${version}`;
}
