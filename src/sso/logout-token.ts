/** Reading what a provider sends when somebody has signed out there (OpenID Connect Back-Channel Logout 1.0). */
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { Claims } from './claims';
import type { KeySet } from './keys';

/** Whom a provider says to have signed out: a session of its own, or a person with all of them. */
export interface LogoutToken {
  readonly issuer: string;
  readonly subject?: string;
  readonly providerSession?: string;
  /** Names this very token: it counts once. */
  readonly id: string;
}

export interface LogoutTokenOptions {
  /** Whose token is believed, given what it says unproven. */
  readonly issuerOf: (claims: Claims) => string;
  readonly clientId: string;
  readonly now: Date;
}

const event = 'http://schemas.openid.net/event/backchannel-logout';
/** How old one may be, in seconds: providers send it on the spot. */
const mostLogoutTokenAge = 5 * 60;
/** Anybody may send one: how long the keys are not read again for the sake of one, in milliseconds. */
const rereadAfter = 60_000;

/** @throws it is not to be believed; {@link KeysAwayError} */
export async function readLogoutToken(
  keys: KeySet,
  token: string,
  { issuerOf, clientId, now }: LogoutTokenOptions,
): Promise<LogoutToken> {
  const { typ } = decodeProtectedHeader(token);
  // Providers from before the type was asked for say nothing, or that it is a token like others; its event tells them apart.
  if (typ !== undefined && !['logout+jwt', 'jwt'].includes(typ.toLowerCase().replace(/^application\//, ''))) {
    throw new Error(`a token of the type ${typ} is no logout token`);
  }
  const claims = await keys.verify(
    token,
    {
      issuer: issuerOf(decodeJwt(token)),
      audience: clientId,
      maxTokenAge: mostLogoutTokenAge,
      requiredClaims: ['iat', 'jti', 'events'],
      currentDate: now,
    },
    rereadAfter,
  );
  if (claims['nonce'] !== undefined) throw new Error('a logout token has no nonce');
  const { events, sid } = claims as { events?: unknown; sid?: unknown };
  if (typeof events !== 'object' || events === null || !Object.hasOwn(events, event)) {
    throw new Error('the token tells of something else');
  }
  const { iss = '', sub, jti } = claims;
  if (typeof jti !== 'string' || jti === '') throw new Error('the token has no id');
  if (sub === undefined && typeof sid !== 'string') throw new Error('the token says neither who nor which session');
  return {
    issuer: iss,
    ...(sub === undefined ? {} : { subject: sub }),
    ...(typeof sid === 'string' ? { providerSession: sid } : {}),
    id: jti,
  };
}
