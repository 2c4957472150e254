/**
 * Signing in with one provider (R26): OpenID Connect, by authorization code with PKCE.
 *
 * 1. What a provider says of itself is read when it is first needed: one that is away keeps nothing from starting, and is
 *    asked again a second later.
 * 2. `openid-client` exchanges the code and checks state, issuer, audience, authorised party, times and nonce. The token's
 *    signature is checked here, always, with algorithms that are named here, though it came straight from the provider.
 * 3. A person is an issuer and a subject. Nothing else a provider says can be relied upon to mean the same person tomorrow.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JWTPayload } from 'jose';
import * as client from 'openid-client';
import { claimAt, assertOrganisation, standingOf, type Claims, type Standing } from './claims';
import { SignInError } from './errors';
import { boundedFetch, type Fetch } from './fetch';
import { clockTolerance, KeysAwayError, openKeySet } from './keys';
import { lazily } from './lazily';
import { readLogoutToken, type LogoutToken } from './logout-token';
import { isMultiTenant, type ProviderSettings } from './settings';
import { discoverTenants, exchangeWithTenant, tenantIssuer } from './tenants';

/** What has to come back with the person. Whoever knows it could take the sign-in over. */
export interface Secrets {
  readonly state: string;
  readonly nonce: string;
  /** Of which the provider was told the hash (PKCE). */
  readonly verifier: string;
}

/** A person a provider vouches for. */
export interface Person extends Standing {
  readonly issuer: string;
  readonly subject: string;
  /** What they are called; neither is an identity. */
  readonly name?: string;
  readonly email?: string;
  /** When they last proved to the provider who they are, where it says when. */
  readonly authenticatedAt?: Date;
  /** The provider's own session, where it says which. */
  readonly providerSession?: string;
  /** What the provider wants to be shown when they sign out. */
  readonly idToken: string;
}

export interface BeginOptions {
  readonly redirectUri: string;
  /** Asks the provider to have the person prove anew who they are. */
  readonly fresh: boolean;
}

export interface FinishOptions {
  readonly redirectUri: string;
  /** Since when the person has to have proved anew who they are, where that was asked for. */
  readonly freshSince?: Date;
}

/** One provider people sign in with. */
export interface IdentityProvider {
  readonly id: string;
  readonly name: string;
  readonly kind: ProviderSettings['kind'];
  /** Where to send the person, and what has to be kept until they come back. @throws {SignInError} `provider-away` */
  begin(options: BeginOptions): Promise<{ readonly url: URL; readonly secrets: Secrets }>;
  /**
   * Who came back.
   *
   * @param parameters what the provider added to the redirect URI
   * @throws {SignInError} nobody who may be let in
   */
  finish(parameters: URLSearchParams, secrets: Secrets, options: FinishOptions): Promise<Person>;
  /** Where to send somebody so that they sign out there as well; nothing where the provider has no such place, or is away. */
  signOutUrl(idToken: string, state: string, returnTo: string): Promise<string | undefined>;
  /** The origin of that place, as far as can be told within half a second. */
  signOutOrigin(): Promise<string | undefined>;
  /** Whom a provider says to have signed out (back-channel logout). @throws {SignInError} `token`, `provider-away` */
  readLogoutToken(token: string): Promise<LogoutToken>;
}

export interface ProviderOptions {
  readonly clock: () => Date;
  /** How providers are reached. @default the runtime's own */
  readonly fetch?: Fetch;
}

/** How long one question may take, in seconds; see also `fetch.ts`. */
const patience = 4;
/** How long a page waits for what it can do without, in milliseconds. */
const shortPatience = 500;
const hour = 60 * 60 * 1000;
/** How long ago somebody may have proved who they are to a provider that keeps them signed in, in seconds. */
const longestAgo = 30 * 24 * 60 * 60;
/** How old a token may be when it comes, in seconds. Microsoft dates its tokens five minutes back. */
const mostTokenAge = 15 * 60;
/** A token just fetched from the provider may have its keys read again at once: whoever sends it had to sign in there for it. */
const rereadAfter = 0;

/** Opens a provider. Nothing is asked of it yet. */
export function openProvider(settings: ProviderSettings, { clock, fetch }: ProviderOptions): IdentityProvider {
  const { id, name, kind, issuer, clientId, clientSecret, scope } = settings;
  const ask = boundedFetch(fetch);
  const configuration = lazily(discover, { freshFor: hour, usableFor: 24 * hour, retryAfter: 1000 });
  const keys = openKeySet(async () => {
    const { jwks_uri: uri } = (await configuration.get()).serverMetadata();
    if (uri === undefined) throw new Error('the provider names no keys');
    return uri;
  }, ask);

  const metadata = () => ({ [client.clockTolerance]: clockTolerance, [client.clockSkew]: skew() });
  const authentication = clientSecret === undefined ? client.None() : secretShown(clientSecret);
  // On this machine alone: whoever asks elsewhere than over TLS is stopped by `fetch.ts`.
  const allowances = issuer.protocol === 'http:' ? [allowPlain] : [];

  async function discover(): Promise<client.Configuration> {
    if (isMultiTenant(settings)) return configured(await discoverTenants(issuer, ask));
    return client.discovery(issuer, clientId, metadata(), authentication, {
      [client.customFetch]: ask as client.CustomFetch,
      timeout: patience,
      execute: allowances,
    });
  }

  function configured(server: client.ServerMetadata, by: Fetch = ask): client.Configuration {
    const made = new client.Configuration(server, clientId, metadata(), authentication);
    made[client.customFetch] = by as client.CustomFetch;
    made.timeout = patience;
    for (const allow of allowances) allow(made);
    return made;
  }

  function skew(): number {
    return Math.round((clock().getTime() - Date.now()) / 1000);
  }

  async function reach(): Promise<client.Configuration> {
    try {
      return await configuration.get();
    } catch (error) {
      throw away(error);
    }
  }

  function away(cause: unknown): SignInError {
    return new SignInError('provider-away', `${name} does not answer as it should; try again in a moment`, cause);
  }

  function untrue(cause: unknown): SignInError {
    return new SignInError('token', `what came back from ${name} cannot be believed; begin again`, cause);
  }

  /** Whose tokens are believed: of several tenants, the one the token says it is from, once that one is let in. */
  function issuerOf(claims: Claims): string {
    const named = configuration.known()?.serverMetadata() ?? { issuer: issuer.href };
    return isMultiTenant(settings) ? tenantIssuer(named, claims['tid']) : named.issuer;
  }

  async function verified(idToken: string, claims: Claims): Promise<JWTPayload> {
    try {
      const proven = await keys.verify(
        idToken,
        {
          issuer: issuerOf(claims),
          audience: clientId,
          maxTokenAge: mostTokenAge,
          requiredClaims: ['sub', 'exp', 'iat', 'nonce'],
          currentDate: clock(),
        },
        rereadAfter,
      );
      // All whom a provider names by nothing would be one and the same person here.
      if (proven.sub === '') throw new Error('the token is about nobody');
      return proven;
    } catch (error) {
      throw error instanceof KeysAwayError ? away(error) : untrue(error);
    }
  }

  /** What the token leaves out: a provider that keeps to the standard puts names and groups elsewhere. */
  async function completed(found: client.Configuration, claims: JWTPayload, accessToken: string): Promise<Claims> {
    const { userinfo_endpoint: endpoint } = found.serverMetadata();
    // Google's and Microsoft's tokens hold all there is; with Microsoft the rest lies with another service of theirs.
    if (endpoint === undefined || kind === 'google' || kind === 'microsoft') return claims;
    const wanted = settings.roles.flatMap(({ claim, account }) =>
      account !== undefined && 'claim' in account ? [claim, account.claim] : [claim],
    );
    if ([...wanted, ['name']].every((path) => claimAt(claims, path) !== undefined)) return claims;
    try {
      const more = await client.fetchUserInfo(found, accessToken, claims.sub ?? '');
      return { ...more, ...claims };
    } catch (error) {
      throw away(error);
    }
  }

  return {
    id,
    name,
    kind,
    async begin({ redirectUri, fresh }) {
      const found = await reach();
      const secrets = {
        state: client.randomState(),
        nonce: client.randomNonce(),
        verifier: client.randomPKCECodeVerifier(),
      };
      const [domain, ...others] = settings.hostedDomains;
      const url = client.buildAuthorizationUrl(found, {
        redirect_uri: redirectUri,
        scope,
        state: secrets.state,
        nonce: secrets.nonce,
        code_challenge: await client.calculatePKCECodeChallenge(secrets.verifier),
        code_challenge_method: 'S256',
        // Lets Google show the right accounts. It proves nothing: the token's own claim is what counts.
        ...(domain === undefined ? {} : { hd: others.length === 0 ? domain : '*' }),
        // Providers say when somebody proved who they are where they are asked how long ago it may have been.
        ...(fresh ? { prompt: 'login', max_age: '0' } : { max_age: String(longestAgo) }),
      });
      return { url, secrets };
    },
    async finish(parameters, secrets, { redirectUri, freshSince }) {
      const found = await reach();
      const tokens = await exchange(found, parameters, secrets, redirectUri);
      const { id_token: idToken, access_token: accessToken } = tokens;
      const unverified = tokens.claims();
      if (idToken === undefined || unverified === undefined) throw untrue(undefined);
      const claims = await verified(idToken, unverified);
      assertOrganisation(settings, claims);
      if (freshSince !== undefined) assertFresh(claims, freshSince);
      const all = await completed(found, claims, accessToken);
      const shownName = textOf(all['name']) ?? textOf(all['preferred_username']);
      const email = textOf(all['email']);
      const providerSession = textOf(claims['sid']);
      const at = claims['auth_time'];
      return {
        issuer: claims.iss ?? '',
        subject: claims.sub ?? '',
        ...(shownName === undefined ? {} : { name: shownName }),
        ...(email === undefined ? {} : { email }),
        ...(providerSession === undefined ? {} : { providerSession }),
        ...(typeof at === 'number' ? { authenticatedAt: new Date(Math.min(at * 1000, clock().getTime())) } : {}),
        idToken,
        ...standingOf(settings, all),
      };
    },
    async signOutUrl(idToken, state, returnTo) {
      const found = await configuration.get().catch(() => undefined);
      if (found?.serverMetadata().end_session_endpoint === undefined) return undefined;
      const parameters = { id_token_hint: idToken, state, post_logout_redirect_uri: returnTo };
      return client.buildEndSessionUrl(found, parameters).href;
    },
    async signOutOrigin() {
      await Promise.race([reach().catch(() => undefined), sleep(shortPatience, undefined, { ref: false })]);
      const endpoint = configuration.known()?.serverMetadata().end_session_endpoint;
      return endpoint !== undefined && URL.canParse(endpoint) ? new URL(endpoint).origin : undefined;
    },
    async readLogoutToken(token) {
      await reach();
      try {
        return await readLogoutToken(keys, token, { issuerOf, clientId, now: clock() });
      } catch (error) {
        throw error instanceof KeysAwayError ? away(error) : untrue(error);
      }
    },
  };

  async function exchange(
    found: client.Configuration,
    parameters: URLSearchParams,
    { state, nonce, verifier }: Secrets,
    redirectUri: string,
  ) {
    const url = new URL(redirectUri);
    url.search = parameters.toString();
    const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
    const grant = (by: client.Configuration) => client.authorizationCodeGrant(by, url, { ...checks });
    try {
      if (!isMultiTenant(settings)) return await grant(found);
      return await exchangeWithTenant(found.serverMetadata(), ask, configured, grant);
    } catch (error) {
      throw faultOf(error);
    }
  }

  function faultOf(error: unknown): SignInError {
    if (error instanceof client.AuthorizationResponseError) {
      // What the provider says of it is in its own words, and may be anybody's: whoever made the link chose them.
      return new SignInError('denied', `${name} did not sign you in`, error);
    }
    const { code, cause } = error as { code?: unknown; cause?: unknown };
    const isAway =
      code === 'OAUTH_TIMEOUT' ||
      code === 'OAUTH_ABORT' ||
      (error instanceof client.ResponseBodyError && error.status >= 500) ||
      (code === 'OAUTH_RESPONSE_IS_NOT_CONFORM' && cause instanceof Response && cause.status >= 500) ||
      (error instanceof client.ClientError && code === undefined) ||
      (error instanceof TypeError && code === undefined);
    return isAway ? away(error) : untrue(error);
  }

  function assertFresh(claims: Claims, since: Date): void {
    const at = claims['auth_time'];
    if (typeof at !== 'number' || at + clockTolerance < since.getTime() / 1000) {
      throw new SignInError('not-fresh', `${name} did not ask you to sign in again`);
    }
  }
}

// eslint-disable-next-line @typescript-eslint/no-deprecated -- it is called so for being seen
const allowPlain: (configuration: client.Configuration) => void = client.allowInsecureRequests;

/** In the header, as the standard has it, but for providers that name other ways alone. */
function secretShown(secret: string): client.ClientAuth {
  const [basic, post] = [client.ClientSecretBasic(secret), client.ClientSecretPost(secret)];
  return (server, metadata, body, headers) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const show = methods.includes('client_secret_basic') ? basic : post;
    show(server, metadata, body, headers);
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, 500) : undefined;
}
