/** The keys a provider signs with, read anew when they are old and when a token names one that is not among them. */
import {
  createLocalJWKSet,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from 'jose';
import { z } from 'zod';
import type { Fetch } from './fetch';
import { lazily } from './lazily';

/** What tokens may be signed with. Never nothing, and never a secret the two share: who checks could sign, too. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/** By how much a provider's clock and ours may differ, in seconds. */
export const clockTolerance = 30;

export interface KeySet {
  /**
   * A token's claims, once its signature and what is asked of it are checked.
   *
   * @param rereadAfter how long after the keys were read they are not read again for the sake of this token, in milliseconds
   * @throws jose's errors: it is not to be believed; {@link KeysAwayError}
   */
  verify(token: string, options: JWTVerifyOptions, rereadAfter: number): Promise<JWTPayload>;
}

/** The keys cannot be read, and none that were are fresh enough. */
export class KeysAwayError extends Error {
  override readonly name = 'KeysAwayError';
}

const minute = 60_000;
const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) });

/** The keys at an address. */
export function openKeySet(uri: () => Promise<string>, fetch: Fetch): KeySet {
  const keys = lazily(
    async (): Promise<JWTVerifyGetKey> => {
      const response = await fetch(await uri(), { headers: { accept: 'application/json' } });
      if (response.status !== 200) throw new Error(`the keys were answered with ${response.status}`);
      return createLocalJWKSet(keySet.parse(await response.json()));
    },
    // A key that was withdrawn is believed for ten minutes at most, and where the provider is away for an hour.
    { freshFor: 10 * minute, usableFor: 60 * minute, retryAfter: 1000 },
  );

  async function reading<T>(read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (error) {
      throw new KeysAwayError('the keys of the provider cannot be read', { cause: error });
    }
  }

  return {
    async verify(token, options, rereadAfter) {
      const all: JWTVerifyOptions = { ...options, algorithms, clockTolerance };
      try {
        return (await jwtVerify(token, await reading(keys.get()), all)).payload;
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        if (!(await reading(keys.renew(rereadAfter)))) throw error;
        return (await jwtVerify(token, await reading(keys.get()), all)).payload;
      }
    },
  };
}
