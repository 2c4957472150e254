/**
 * The master key in AWS KMS (R21), which never gives it out.
 *
 * 1. Keys are wrapped here, under data keys of KMS's: AES-256-GCM, bound to what each key is for. A wrapped key carries the data
 *    key it is under, encrypted by the master key. So whoever makes an account asks KMS nothing, a sweep over all of them asks
 *    once for each data key, and nothing has to be kept beside what is wrapped.
 * 2. A data key wraps for a day, in one process. It is bound to the region (R25), as KMS's encryption context.
 * 3. What was asked is remembered for half a minute. Then KMS is asked again, so that whoever disables the master key or
 *    withdraws the permission stops us, within a minute with the vault's own memory.
 * 4. A KMS that is away is no refusal: for ten minutes what it said last stands.
 */
import { openKmsKey, type KmsKey } from './aws-kms-calls';
import { MasterKeyAwayError, MasterKeyError, MasterKeyRefusedError, VaultRegionError } from './errors';
import type { KeyProvider } from './master-key';
import { unwrapUnder, wrapUnder } from './wrapping';

export interface KmsOptions {
  /** An ARN, an id, or an alias. */
  readonly key: string;
  /** The deployment's region. */
  readonly region: string;
  /** Hosts beyond this machine that may be spoken to without TLS. @default none */
  readonly plain?: readonly string[];
  /** How long an answer is good for, in milliseconds. @default 30000 */
  readonly askAgainAfter?: number;
  /** How long an answer is good for while KMS is away, in milliseconds. @default 10 minutes */
  readonly outlasts?: number;
}

const standardAskAgain = 30_000;
const standardOutlast = 600_000;
/** How long nobody waits again for a KMS that was away, where there is an answer from before; in milliseconds. */
const awayPause = 5000;
/** How long a data key wraps, in milliseconds. */
const wrapsFor = 24 * 60 * 60 * 1000;
/** What a data key wraps at most: NIST SP 800-38D allows 2^32 with random nonces. */
const wrapsMost = 2 ** 20;
/** Data keys remembered, at most: one for each process and day that made keys. */
const mostKept = 10_000;
const format = 1;
const headerLength = 3;
const leastLength = headerLength + 12 + 16;

/**
 * A master key held by AWS KMS. Credentials and, unless the key's name says it, the AWS region come from the SDK's own sources.
 *
 * @throws {MasterKeyRefusedError} there is no such key, it cannot be used, or not by us
 * @throws {MasterKeyAwayError} AWS KMS does not answer
 * @throws {VaultRegionError} the key lies in another part of the world than the deployment (R25)
 */
export async function openKmsKeyProvider(options: KmsOptions): Promise<KeyProvider> {
  const { key, region, plain = [] } = options;
  const kms = await openKmsKey({ key, plain, purpose: { 'ablauf-region': region, 'ablauf-purpose': 'wrapping' } });
  const [, , , place = ''] = kms.arn.split(':');
  if (place.slice(0, 2) !== region.slice(0, 2)) {
    throw new VaultRegionError(`the key ${kms.arn} lies in ${place}; this deployment belongs to ${region}`);
  }
  const dataKeys = new DataKeys(kms, options);
  return {
    id: kms.arn,
    async wrap(unwrapped, context) {
      const encrypted = await dataKeys.forNew();
      const header = Buffer.alloc(headerLength);
      header[0] = format;
      header.writeUInt16BE(encrypted.length, 1);
      const front = Buffer.concat([header, encrypted]);
      // By asking for it as anybody will: nothing is wrapped under a key that does not open.
      const wrapping = await dataKeys.open(encrypted);
      if (wrapping === undefined) {
        throw new MasterKeyRefusedError(`AWS KMS does not open its own data key under ${kms.arn}`);
      }
      return Buffer.concat([front, wrapUnder(wrapping, unwrapped, authenticated(front, context))]);
    },
    async unwrap(wrapped, context) {
      const fails = () => new MasterKeyError(`the key ${context} does not open under the master key it names`);
      if (wrapped.length < leastLength || wrapped[0] !== format) throw fails();
      const end = headerLength + wrapped.readUInt16BE(1);
      const wrapping = await dataKeys.open(wrapped.subarray(headerLength, end));
      if (wrapping === undefined) throw fails();
      try {
        return unwrapUnder(wrapping, wrapped.subarray(end), authenticated(wrapped.subarray(0, end), context));
      } catch {
        throw fails();
      }
    },
  };
}

function authenticated(front: Buffer, context: string): Buffer {
  return Buffer.concat([front, Buffer.from(context)]);
}

/** A data key as KMS gave it out last. */
interface Kept {
  readonly key: Buffer;
  readonly saidAt: number;
  askAgainAt: number;
}

class DataKeys {
  readonly #kms: KmsKey;
  readonly #askAgainAfter: number;
  readonly #outlasts: number;
  /** By what they are encrypted, the one asked for last at the end. */
  readonly #kept = new Map<string, Kept>();
  /** Whoever asks for a key that is being asked for waits for the same answer. */
  readonly #asking = new Map<string, Promise<Buffer | undefined>>();
  #current: { readonly encrypted: Promise<Buffer>; readonly until: number; left: number } | undefined;

  constructor(kms: KmsKey, { askAgainAfter = standardAskAgain, outlasts = standardOutlast }: KmsOptions) {
    this.#kms = kms;
    this.#askAgainAfter = askAgainAfter;
    this.#outlasts = outlasts;
  }

  /** The data key to wrap under, encrypted; made with the first use. */
  async forNew(): Promise<Buffer> {
    let current = this.#current;
    if (current === undefined || current.left === 0 || performance.now() > current.until) {
      const encrypted = this.#kms.makeDataKey();
      current = { encrypted, until: performance.now() + wrapsFor, left: wrapsMost };
      this.#current = current;
    }
    current.left -= 1;
    try {
      return await current.encrypted;
    } catch (error) {
      if (this.#current === current) this.#current = undefined;
      throw error;
    }
  }

  /** @returns nothing where it does not open under the master key, in this region */
  async open(encrypted: Buffer): Promise<Buffer | undefined> {
    const name = encrypted.toString('base64');
    const known = this.#kept.get(name);
    if (known !== undefined && performance.now() < known.askAgainAt) return known.key;
    let asking = this.#asking.get(name);
    if (asking === undefined) {
      asking = this.#ask(name, encrypted, known).finally(() => this.#asking.delete(name));
      this.#asking.set(name, asking);
    }
    return asking;
  }

  async #ask(name: string, encrypted: Buffer, known: Kept | undefined): Promise<Buffer | undefined> {
    try {
      const key = await this.#kms.openDataKey(encrypted);
      this.#kept.delete(name);
      if (key !== undefined) this.#keep(name, key);
      return key;
    } catch (error) {
      const now = performance.now();
      if (!(error instanceof MasterKeyAwayError) || known === undefined || now - known.saidAt >= this.#outlasts) {
        this.#kept.delete(name);
        throw error;
      }
      known.askAgainAt = now + awayPause;
      return known.key;
    }
  }

  #keep(name: string, key: Buffer): void {
    const now = performance.now();
    this.#kept.set(name, { key, saidAt: now, askAgainAt: now + this.#askAgainAfter });
    if (this.#kept.size > mostKept) {
      const [oldest = ''] = this.#kept.keys();
      this.#kept.delete(oldest);
    }
  }
}
