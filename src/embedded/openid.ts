/** An OpenID provider of this process's own: `oidc-provider`, configured so that it makes nothing up and prints nothing. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Adapter, AdapterPayload, ClientMetadata, Configuration, Provider } from 'oidc-provider';

/** A private signing key, as a JWK. */
export type SigningKey = Readonly<Record<string, unknown>> & { readonly kid: string };

/** How a provider is made. */
export interface OpenidOptions {
  /** What tokens name as who issued them; its path is where the provider is mounted. */
  readonly issuer: string;
  /** The first one signs; all of them are published. */
  readonly keys: readonly SigningKey[];
  /** What cookies are signed with. */
  readonly cookieSecret: string;
  /** The client with that id, looked up anew at each request. */
  readonly client: (id: string) => ClientMetadata | undefined;
  /** What is said of somebody, or `undefined` where nobody has that subject. */
  readonly claims: (subject: string) => Readonly<Record<string, unknown>> | undefined;
  /** The names of these claims. */
  readonly claimNames: readonly string[];
  /** Where somebody is asked who they are: the path for an interaction's id. */
  readonly interactionPath: (id: string) => string;
  readonly pages: OpenidPages;
  /** What the provider remembers; another one given the same goes on where the first stopped. */
  readonly memory?: OpenidMemory;
}

/** The provider's own pages, as HTML; each is given the `Accept-Language` of whoever sees it. */
export interface OpenidPages {
  /** Asks whether to sign out; `form` is the form to submit as `op.logoutForm`. */
  logout(language: string | undefined, form: string): string;
  /** Says that they are signed out, where no client wants its users back. */
  signedOut(language: string | undefined): string;
  /** Says what went wrong. */
  error(language: string | undefined, error: OpenidFailure): string;
}

/** What went wrong, in the words of the standard. */
export interface OpenidFailure {
  readonly error: string;
  readonly error_description?: string | undefined;
}

/** What a provider remembers of sessions, codes and tokens, and until when (milliseconds since 1970). */
export type OpenidMemory = Map<string, { readonly payload: AdapterPayload; readonly until: number }>;

/** The most a provider remembers; what was stored first goes first. */
const mostRemembered = 10_000;

/** Makes a key for RS256, which every provider of the field signs with. */
export async function newSigningKey(): Promise<SigningKey> {
  const { exportJWK, generateKeyPair } = await import('jose');
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: randomUUID(), alg: 'RS256', use: 'sig' };
}

/** A secret for {@link OpenidOptions.cookieSecret}. */
export function newCookieSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** Makes a provider. Serve its `callback()`, with what the path begins with taken off `url` and left in `originalUrl`. */
export async function createOpenidProvider(options: OpenidOptions): Promise<Provider> {
  const { Provider } = await import('oidc-provider/lib/provider.js');
  const { pages } = options;
  const memory = options.memory ?? (new Map() as OpenidMemory);
  return new Provider(options.issuer, {
    adapter: (name) => adapterOf(name, memory, options),
    jwks: { keys: options.keys },
    cookies: { keys: [options.cookieSecret] },
    claims: { openid: ['sub', ...options.claimNames] },
    scopes: ['openid', 'profile', 'email', 'groups'],
    conformIdTokenClaims: false,
    clientBasedCORS: () => false,
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (context, form) => void (context.body = pages.logout(context.get('accept-language'), form)),
        postLogoutSuccessSource: (context) => void (context.body = pages.signedOut(context.get('accept-language'))),
      },
    },
    // It only ever asks this machine, to say who signed out, which what it would send by refuses.
    fetch: (url, init) => {
      const { dispatcher: _refusing, ...rest } = (init ?? {}) as RequestInit & { readonly dispatcher?: unknown };
      return fetch(url, rest);
    },
    findAccount: (_, subject) => {
      const claims = options.claims(subject);
      return claims && { accountId: subject, claims: () => ({ ...claims, sub: subject }) };
    },
    interactions: { url: (_, { uid }) => options.interactionPath(uid) },
    loadExistingGrant,
    renderError: (context, failure) => {
      context.type = 'html';
      context.body = pages.error(context.get('accept-language'), failure);
    },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 86_400, IdToken: 600, Interaction: 600, Session: 86_400 },
  });
}

/** Everybody agrees: there is one application here, and it is ours. */
const loadExistingGrant: Configuration['loadExistingGrant'] = async ({ oidc }) => {
  const { client, session, provider } = oidc;
  if (client === undefined || session?.accountId === undefined) return undefined;
  const known = session.grantIdFor(client.clientId);
  const found = known === undefined ? undefined : await provider.Grant.find(known);
  if (found !== undefined) return found;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope('openid profile email groups');
  await grant.save();
  return grant;
};

/** Takes a browser's session with the provider out of a request, so that it is asked who it is. */
export function withoutSession(cookies = ''): string {
  return cookies
    .split(/;\s*/)
    .filter((cookie) => !cookie.startsWith('_session'))
    .join('; ');
}

function adapterOf(model: string, memory: OpenidMemory, { client }: OpenidOptions): Adapter {
  const keyOf = (id: string) => `${model}:${id}`;
  const read = (key: string) => {
    const found = memory.get(key);
    if (found === undefined || found.until > Date.now()) return found?.payload;
    memory.delete(key);
    return undefined;
  };
  const readWhere = (holds: (payload: AdapterPayload) => boolean) =>
    [...memory.keys()]
      .filter((key) => key.startsWith(`${model}:`))
      .map(read)
      .find((found) => found && holds(found));
  return {
    upsert(id, payload, expiresIn) {
      memory.delete(keyOf(id));
      memory.set(keyOf(id), { payload, until: expiresIn === undefined ? Infinity : Date.now() + expiresIn * 1000 });
      for (const oldest of memory.keys()) {
        if (memory.size <= mostRemembered) break;
        memory.delete(oldest);
      }
      return Promise.resolve();
    },
    find: (id) => Promise.resolve(model === 'Client' ? client(id) : read(keyOf(id))),
    findByUid: (uid) => Promise.resolve(readWhere((payload) => payload.uid === uid)),
    findByUserCode: (code) => Promise.resolve(readWhere((payload) => payload.userCode === code)),
    consume(id) {
      const found = read(keyOf(id));
      if (found !== undefined) found.consumed = Math.floor(Date.now() / 1000);
      return Promise.resolve();
    },
    destroy: (id) => Promise.resolve(void memory.delete(keyOf(id))),
    revokeByGrantId(grant) {
      for (const [key, { payload }] of memory) if (payload.grantId === grant) memory.delete(key);
      return Promise.resolve();
    },
  };
}
