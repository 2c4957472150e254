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
import { createCipher, type Cipher } from './cipher';
import { KeyDestroyedError, KeyMissingError, VaultRegionError } from './errors';
import type { KeyDocument, KeyStore } from './key-store';
import type { KeyProvider } from './master-key';
import { rewrapIds } from './rewrap';
import { addSigningVersion } from './signing-version';
import { createSigner, type PublicKey, type Signer, type Signers } from './signer';
import { rotationMark, type SystemKey } from './system-keys';
import { contextOf, masterKeysOf, unwrapKey, wrapKey, type MasterKeys } from './master-keys';

/** One region's keys. */
export interface Vault {
  readonly region: string;
  readonly keyStore: KeyStore;
  /** The master key in use. */
  readonly master: KeyProvider;
  /** All that this process was given. */
  readonly masterKeys: MasterKeys;
  /** What a new key is to be wrapped under now: the next master key, once a rotation to it has begun. */
  wrapping(): Promise<KeyProvider>;
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
  /** For how long a process may go on with keys as it last read them, in milliseconds. */
  readonly cacheFor: number;
  /** Signs with the key in use; one that was replaced by another process is used for half a minute more. */
  signer(): Promise<Signer>;
  /**
   * Every public key there ever was to check signatures by, the one in use first. Read anew each time: whatever was signed
   * before it is asked for can be checked with one of them, though another process replaced the key a moment ago.
   */
  publicKeys(): Promise<readonly PublicKey[]>;
  /**
   * Replaces the signing key; the public halves of those before stay published. Safe to repeat.
   *
   * @param kid the key that is to be replaced: nothing happens where it is not in use any more
   * @returns the public keys, the one in use first
   */
  renewSigningKey(kid: string): Promise<readonly PublicKey[]>;
  close(): Promise<void>;
}

export interface VaultOptions {
  readonly keyStore: KeyStore;
  readonly region: string;
  readonly master: KeyProvider;
  /** The master key that is to be in use next: keys may be wrapped under it, and are once a rotation to it has begun. */
  readonly next?: KeyProvider;
  /** Master keys that keys may still be wrapped under, while they are being re-wrapped. */
  readonly previous?: readonly KeyProvider[];
  /** For how long a backup of the key store may be kept, in milliseconds. @default 30 days */
  readonly backupRetention?: number;
  /** Whether keys lie on a server of their own. @default false: certificates then claim nothing of backups */
  readonly apart?: boolean;
  /** How long an unwrapped key is used before it is looked up again, in milliseconds. @default 30000 */
  readonly cacheFor?: number;
}

const signingKey = 'system/signing';
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
  await keys.make(signingKey);
  const pseudonymKey = pseudonyms.index;
  const { region, keyStore, master, backupRetention = standardBackupRetention, apart = false } = options;
  const { cacheFor = standardCacheTime } = options;
  const pseudonymOf = (account: string) =>
    tombstone.exec(account)?.[1] ??
    createHmac('sha256', pseudonymKey).update(`${region}/${account}`).digest('base64url');
  const idOf = (account: string, kind: 'account' | 'retained' = 'account') => `${kind}/${pseudonymOf(account)}`;
  const signersOf = (signing: Unwrapped) => createSigner(signing.region, signing.data, signing.current);
  let signers: { readonly signing: Unwrapped; readonly made: Signers } | undefined;
  return {
    region,
    keyStore,
    master,
    masterKeys: keys.masters,
    wrapping: () => keys.wrapping(),
    backupRetention,
    apart,
    cacheFor,
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
    async signer() {
      const signing = await keys.of(signingKey);
      if (signers?.signing !== signing) signers = { signing, made: signersOf(signing) };
      return signers.made.current;
    },
    publicKeys: async () => signersOf(await keys.anew(signingKey)).all,
    async renewSigningKey(kid) {
      const before = await keys.anew(signingKey);
      if (signersOf(before).current.publicKey.kid === kid) {
        await addSigningVersion(keyStore, region, before.current, await keys.wrapping());
      }
      return signersOf(await keys.anew(signingKey)).all;
    },
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
  readonly masters: MasterKeys;
  readonly #cacheFor: number;
  readonly #cache = new Map<string, Unwrapped>();
  /** Whoever asks for a key that is being read waits for the same answer. */
  readonly #reading = new Map<string, Promise<Unwrapped>>();

  constructor({ keyStore, region, master, next, previous = [], cacheFor = standardCacheTime }: VaultOptions) {
    this.#store = keyStore;
    this.#region = region;
    this.masters = masterKeysOf(master, next, previous);
    this.#cacheFor = cacheFor;
  }

  /** @throws {KeyMissingError | KeyDestroyedError} */
  of(id: string): Promise<Unwrapped> {
    return this.#cached(id, () => this.#read(id));
  }

  /** Past what is remembered. @throws {KeyMissingError | KeyDestroyedError} */
  async anew(id: string): Promise<Unwrapped> {
    return this.#keep(id, await this.#read(id));
  }

  async #read(id: string): Promise<Unwrapped> {
    const document = await this.#store.keys.findOne({ _id: id });
    if (document === null) throw new KeyMissingError(`there is no key ${id}`);
    return this.#unwrap(document);
  }

  /** See {@link Vault.wrapping}. */
  async wrapping(): Promise<KeyProvider> {
    const { inUse, next } = this.masters;
    if (next === undefined) return inUse;
    const mark = await this.#store.keys.findOne({ _id: rotationMark }, { projection: { index: 1 } });
    return mark?.index?.master === next.id ? next : inUse;
  }

  /** Makes what is missing. @throws {KeyDestroyedError} */
  async make(id: string): Promise<Unwrapped> {
    try {
      return await this.of(id);
    } catch (error) {
      if (!(error instanceof KeyMissingError)) throw error;
    }
    const master = await this.wrapping();
    try {
      await this.#store.keys.insertOne(await this.#fresh(id, master));
    } catch (error) {
      // Somebody else made it meanwhile: there is one, and it is theirs.
      if ((error as { code?: unknown }).code !== 11000) throw error;
    }
    // A rotation that began meanwhile may have looked for keys of the master key before without finding this one yet.
    const present = await this.wrapping();
    if (present !== master) await rewrapIds(this.#store, this.#region, this.masters, present, [id]);
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

  async #fresh(id: string, master: KeyProvider): Promise<KeyDocument> {
    const at = new Date();
    const wrap = (version: number | 'index') =>
      wrapKey(master, randomBytes(keyLength), contextOf(this.#region, id, version));
    return {
      _id: id,
      region: this.#region,
      createdAt: at,
      current: 1,
      versions: [{ version: 1, at, ...(await wrap(1)) }],
      index: await wrap('index'),
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
      data.set(version, await unwrapKey(this.masters, wrapped, contextOf(region, _id, version)));
    }
    const opened = await unwrapKey(this.masters, index, contextOf(region, _id, 'index'));
    const cipher = createCipher({ region, owner: _id, data, current, index: opened });
    return { region, data, current, index: opened, cipher, readAt: performance.now() };
  }
}
