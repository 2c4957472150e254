/** Wrapping keys under master keys, of which there are several while one is being replaced. */
import { mongo } from 'mongoose';
import { MasterKeyError, RotationKeyError } from './errors';
import type { WrappedKey } from './key-store';
import type { KeyProvider } from './master-key';

/** The master keys a process has been given. */
export interface MasterKeys {
  /** What new keys are wrapped under, until a rotation to the next one begins. */
  readonly inUse: KeyProvider;
  /** The one that is to be in use next. */
  readonly next: KeyProvider | undefined;
  /** All that keys may be wrapped under, by id: these two, and those before. */
  readonly accepted: ReadonlyMap<string, KeyProvider>;
}

/** @param previous master keys that were in use before */
export function masterKeysOf(
  inUse: KeyProvider,
  next: KeyProvider | undefined,
  previous: readonly KeyProvider[],
): MasterKeys {
  const all = [...previous, ...(next === undefined ? [] : [next]), inUse];
  return { inUse, next, accepted: new Map(all.map((provider) => [provider.id, provider])) };
}

/**
 * The master key a rotation that somebody else started leads to.
 *
 * @throws {RotationKeyError} this process would go on wrapping under another one
 */
export function targetCalled(id: string, { inUse, next }: Pick<MasterKeys, 'inUse' | 'next'>): KeyProvider {
  const target = [inUse, next].find((provider) => provider?.id === id);
  if (target !== undefined) return target;
  throw new RotationKeyError(
    `the rotation leads to the master key ${id}, which this process was given neither as the one in use nor ` +
      `as the next one: it has ${inUse.id}${next === undefined ? '' : ` and ${next.id}`}`,
  );
}

/** What a key is wrapped for: it does not unwrap as anything else. */
export function contextOf(region: string, id: string, version: number | 'index'): string {
  return `${region}/${id}/${version}`;
}

/** Wraps a key. */
export async function wrapKey(provider: KeyProvider, key: Buffer, context: string): Promise<WrappedKey> {
  return { wrapped: new mongo.Binary(await provider.wrap(key, context)), master: provider.id };
}

/** Unwraps a key. @throws {MasterKeyError} its master key was not given, or is not what wrapped it */
export async function unwrapKey(
  { accepted }: Pick<MasterKeys, 'accepted'>,
  { wrapped, master }: WrappedKey,
  context: string,
): Promise<Buffer> {
  const provider = accepted.get(master);
  if (provider === undefined) {
    throw new MasterKeyError(
      `the key ${context} is wrapped under the master key ${master}; this process has ${[...accepted.keys()].join(', ')}`,
    );
  }
  return provider.unwrap(Buffer.from(wrapped.value()), context);
}
