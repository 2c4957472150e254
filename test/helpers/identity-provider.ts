/**
 * An OpenID provider for tests: a real one on this machine, with a front before it that can be told to go wrong. The
 * front is given the private keys, so that what it changes in a token is signed as well as the rest.
 */
import { randomUUID } from 'node:crypto';
import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, decodeProtectedHeader, exportSPKI, importJWK, SignJWT, type JWTPayload } from 'jose';
import type { Provider } from 'oidc-provider';
import {
  createOpenidProvider,
  newCookieSecret,
  newSigningKey,
  withoutSession,
  type OpenidMemory,
  type SigningKey,
} from '../../src/embedded/openid';
import { listen } from './api';

/** Whose habits it has: the path of its issuer, and what its tokens say beside the subject. */
export type ProviderKind = 'google' | 'microsoft' | 'okta' | 'keycloak' | 'oidc';

/** What is said of a person; `sub` is what they are known by here. */
export type Claims = Readonly<Record<string, unknown>>;

/** A part of the provider that can go wrong by itself. */
export type Endpoint = 'discovery' | 'jwks' | 'authorization' | 'token' | 'userinfo' | 'logout';

/** Instead of answering. */
export type Trouble =
  /** The connection breaks. */
  | 'down'
  /** An answer after so many milliseconds. */
  | { readonly slow: number }
  /** Something else than what was asked for. */
  | { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string };

/** How a token is signed, where it is not signed properly. */
export type Forgery =
  /** `alg: none` and no signature. */
  | 'none'
  /** The header of a signed token, but no signature. */
  | 'unsigned'
  /** A bit of the signature is another one. */
  | 'broken'
  /** HS256, with the published key's text as the secret. */
  | 'public-key-as-secret'
  /** HS256, with the client's secret. */
  | 'client-secret'
  /** By a key that was not published, under the name of one that was. */
  | 'stranger'
  /** By a key that was not published, under its own name. */
  | 'unknown-key';

/** What goes wrong until it is reset. */
export interface Faults {
  /** Changes what an ID token says; `undefined` as a value leaves a claim out. */
  claims?: ((claims: JWTPayload) => Record<string, unknown>) | undefined;
  forge?: Forgery | undefined;
  /** Puts another text in place of the ID token. */
  idToken?: ((token: string) => string | undefined) | undefined;
  /** Changes what the token endpoint answers. */
  tokens?: ((answer: Record<string, unknown>) => unknown) | undefined;
  userinfo?: ((answer: Record<string, unknown>) => unknown) | undefined;
  discovery?: ((document: Record<string, unknown>) => unknown) | undefined;
  jwks?: ((document: Record<string, unknown>) => unknown) | undefined;
  /** Changes where the browser is sent back to. */
  callback?: ((url: URL) => URL) | undefined;
  trouble?: Partial<Record<Endpoint, Trouble>> | undefined;
}

export interface LogoutTokenOptions {
  readonly forge?: Forgery;
  /** Instead of `logout+jwt`; `null` for none. */
  readonly type?: string | null;
}

export interface IdentityProviderOptions {
  readonly kind?: ProviderKind;
  /** Who can sign in, by subject. */
  readonly people?: Readonly<Record<string, Claims>>;
  /** A client without a secret. */
  readonly isPublic?: true;
  /** Microsoft: the tenant it is; `organizations` for all of them, where each person's `tid` counts. */
  readonly tenant?: string;
}

export interface IdentityProvider {
  readonly kind: ProviderKind;
  /** As configured with the relying party. */
  readonly issuer: string;
  /** Where it listens. */
  readonly origin: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** What can be signed in as; may be changed at any time. */
  readonly people: Map<string, Claims>;
  /** Who signs in next, without being asked; nobody: the person declines. */
  person: string | undefined;
  faults: Faults;
  /** What it was asked for, in order, such as `GET /token`, without the issuer's path. */
  readonly asked: string[];
  /** ID tokens it handed out, in order, as handed out. */
  readonly issued: string[];
  /** Where browsers may be sent, once it is known where the relying party listens. */
  register(uris: {
    readonly redirect: readonly string[];
    readonly afterLogout?: readonly string[];
    readonly backChannel?: string;
  }): void;
  /** Signs with a new key; the old one stays published only with `keep`. */
  rotateKeys(keep?: boolean): Promise<void>;
  /** Signs an ID token of any content. */
  sign(claims: Record<string, unknown>, forge?: Forgery, type?: string | null): Promise<string>;
  /** A back-channel logout token; claims given here are added or, with `undefined`, left out. */
  logoutToken(claims: Record<string, unknown>, options?: LogoutTokenOptions): Promise<string>;
  stop(): Promise<void>;
}

const paths: Record<ProviderKind, string> = {
  google: '',
  microsoft: '/:tenant/v2.0',
  okta: '/oauth2/default',
  keycloak: '/realms/ablauf',
  oidc: '',
};

/** The tenant a Microsoft-like provider is of where nothing is said. */
export const microsoftTenant = '9122040d-6c67-4c5b-b112-36a304b66dad';

const endpoints: readonly (readonly [prefix: string, endpoint: Endpoint])[] = [
  ['/.well-known/openid-configuration', 'discovery'],
  ['/jwks', 'jwks'],
  ['/auth', 'authorization'],
  ['/token', 'token'],
  ['/me', 'userinfo'],
  ['/session/end', 'logout'],
];

/** Starts one. Nobody is signed in, and everybody who signs in is `person`. */
export async function startIdentityProvider(options: IdentityProviderOptions = {}): Promise<IdentityProvider> {
  const { kind = 'oidc', tenant = microsoftTenant } = options;
  const clientId = kind === 'google' ? '1234567890-ablauf.apps.googleusercontent.com' : 'ablauf';
  const clientSecret = `secret-${randomUUID()}`;
  const people = new Map(Object.entries(options.people ?? {}));
  const memory: OpenidMemory = new Map();
  const cookieSecret = newCookieSecret();
  const uris = { redirect: ['http://127.0.0.1/unknown'], afterLogout: [] as string[], backChannel: '' };
  let keys: SigningKey[] = [await newSigningKey()];
  const [stranger, forger] = [await newSigningKey(), await newSigningKey()];

  const inner = await listen(createServer((message, response) => void behind(message, response)));
  const innerPort = (inner.address() as AddressInfo).port;
  const front = await listen(createServer((message, response) => void before(message, response)));
  const origin = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
  const mount = paths[kind].replace(':tenant', microsoftTenant);
  let provider = await makeProvider();

  const idp: IdentityProvider = {
    kind,
    issuer: `${origin}${paths[kind].replace(':tenant', tenant)}`,
    origin,
    clientId,
    clientSecret,
    people,
    person: people.keys().next().value,
    faults: {},
    asked: [],
    issued: [],
    register({ redirect, afterLogout = [], backChannel = '' }) {
      Object.assign(uris, { redirect, afterLogout, backChannel });
    },
    async rotateKeys(keep = false) {
      keys = [await newSigningKey(), ...(keep ? keys : [])];
      provider = await makeProvider();
    },
    sign,
    logoutToken: (claims, { forge, type = 'logout+jwt' } = {}) => {
      const now = Math.floor(Date.now() / 1000);
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
      const standard = { iss: issuerFor(claims), aud: clientId, iat: now, exp: now + 120, jti: randomUUID(), events };
      return sign({ ...standard, ...claims }, forge, type);
    },
    async stop() {
      for (const server of [front, inner]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
  return idp;

  function makeProvider(): Promise<Provider> {
    return createOpenidProvider({
      issuer: `${origin}${mount}`,
      keys,
      cookieSecret,
      memory,
      claims: (subject) => people.get(subject),
      // The front adds what is said of a person, whatever its name.
      claimNames: [],
      interactionPath: (id) => `${mount}/interaction/${id}`,
      pages: {
        logout: (_, form) => `<!doctype html><title>Sign out?</title>${form}`,
        signedOut: () => '<!doctype html><title>Signed out</title>',
        error: (_, { error, error_description: detail = '' }) =>
          `<!doctype html><title>${error}</title><p>${error}: ${detail}</p>`,
      },
      client: (id) =>
        id === clientId
          ? {
              client_id: clientId,
              ...(options.isPublic ? {} : { client_secret: clientSecret }),
              token_endpoint_auth_method: options.isPublic ? 'none' : 'client_secret_basic',
              // The others say when somebody signed in only where they are asked how long ago it may have been.
              require_auth_time: kind !== 'google' && kind !== 'microsoft',
              redirect_uris: [...uris.redirect],
              post_logout_redirect_uris: [...uris.afterLogout],
              ...(uris.backChannel === ''
                ? {}
                : { backchannel_logout_uri: uris.backChannel, backchannel_logout_session_required: true }),
            }
          : undefined,
    });
  }

  /** The provider itself, which the front speaks to. */
  async function behind(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = message.url ?? '/';
    if (path.startsWith('/interaction/')) {
      try {
        const person = idp.person;
        const result =
          person === undefined
            ? { error: 'access_denied', error_description: 'the person declined' }
            : { login: { accountId: person, remember: true } };
        await provider.interactionFinished(message, response, result, { mergeWithLastSubmission: false });
      } catch (error) {
        response.writeHead(400).end(String(error));
      }
      return;
    }
    // Somebody else sits down at the same browser.
    const { cookie = '' } = message.headers;
    const session = /(?:^|;\s*)_session=([^;]+)/.exec(cookie)?.[1] ?? '';
    const known = memory.get(`Session:${session}`)?.payload.accountId;
    if (/^\/auth[?/]/.test(path) && known !== idp.person) message.headers.cookie = withoutSession(cookie);
    Object.assign(message, { originalUrl: `${mount}${path}` });
    await provider.callback()(message, response);
  }

  async function before(message: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(message.url ?? '/', origin);
      const path = withoutMount(url.pathname);
      const endpoint = endpoints.find(([prefix]) => path === prefix || path.startsWith(`${prefix}/`))?.[1];
      idp.asked.push(`${message.method ?? ''} ${path}`);
      const trouble = endpoint && idp.faults.trouble?.[endpoint];
      if (trouble === 'down') {
        message.socket.destroy();
        return;
      }
      if (trouble !== undefined && 'slow' in trouble) await new Promise((go) => setTimeout(go, trouble.slow).unref());
      else if (trouble !== undefined) {
        const { status = 200, headers = { 'content-type': 'text/html' }, body = '<p>Under maintenance</p>' } = trouble;
        response.writeHead(status, headers).end(body);
        return;
      }
      const answer = await pass(message, `${path}${url.search}`);
      await changed(answer, endpoint, url);
      response.writeHead(answer.status, answer.headers).end(answer.body);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  }

  function withoutMount(path: string): string {
    const pattern = new RegExp(`^${paths[kind].replace(':tenant', '[^/]+')}(?=/)`);
    return path.replace(pattern, '');
  }

  interface Passed {
    readonly status: number;
    readonly headers: IncomingHttpHeaders;
    body: string;
  }

  async function pass(message: IncomingMessage, path: string): Promise<Passed> {
    const chunks: Buffer[] = [];
    for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
    const { body, headers } = asBasic(Buffer.concat(chunks).toString(), message.headers);
    return new Promise((resolve, reject) => {
      const asked = request(
        { host: '127.0.0.1', port: innerPort, path, method: message.method, headers },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (part: string) => (text += part));
          response.on('end', () => {
            const { 'transfer-encoding': _, 'content-length': __, connection: ___, ...kept } = response.headers;
            resolve({ status: response.statusCode ?? 0, headers: kept, body: text });
          });
          response.on('error', reject);
        },
      );
      asked.on('error', reject);
      asked.end(body);
    });
  }

  /** The provider takes a client's secret in one way, as registered; those it stands for take it in either. */
  function asBasic(body: string, given: IncomingHttpHeaders): { body: string; headers: IncomingHttpHeaders } {
    const form = new URLSearchParams(body);
    const secret = form.get('client_secret');
    if (secret === null || given.authorization !== undefined) return { body, headers: given };
    const credentials = [form.get('client_id') ?? '', secret].map(encodeURIComponent).join(':');
    form.delete('client_secret');
    form.delete('client_id');
    const rewritten = form.toString();
    return {
      body: rewritten,
      headers: {
        ...given,
        authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        'content-length': String(rewritten.length),
      },
    };
  }

  /** Gives an answer the habits of the provider it stands for, and the faults asked for. */
  async function changed(answer: Passed, endpoint: Endpoint | undefined, url: URL): Promise<void> {
    const { faults } = idp;
    const put = (value: unknown) => (answer.body = typeof value === 'string' ? value : JSON.stringify(value));
    const isAnswer = answer.status === 200 && answer.headers['content-type']?.includes('json') === true;
    const content = isAnswer ? (JSON.parse(answer.body) as Record<string, unknown>) : {};
    if (isAnswer && endpoint === 'discovery') {
      const document = discoveryOf(content, url);
      put(faults.discovery?.(document) ?? document);
    } else if (isAnswer && endpoint === 'jwks') {
      put(faults.jwks?.(content) ?? content);
    } else if (isAnswer && endpoint === 'userinfo') {
      const claims = { ...content, ...people.get(String(content['sub'])) };
      put(faults.userinfo?.(claims) ?? claims);
    } else if (isAnswer && endpoint === 'token') {
      const token = await idTokenOf(String(content['id_token']));
      if (token !== undefined) idp.issued.push(token);
      const tokens = { ...content, id_token: token };
      put(faults.tokens?.(tokens) ?? tokens);
    }
    const { location } = answer.headers;
    if (location?.startsWith('http') === true && !location.startsWith(origin)) {
      const target = new URL(location);
      // These two do not say in their answer who they are (RFC 9207).
      if (kind === 'microsoft' || kind === 'okta') target.searchParams.delete('iss');
      answer.headers.location = (faults.callback?.(target) ?? target).href;
    }
  }

  function discoveryOf(document: Record<string, unknown>, url: URL): Record<string, unknown> {
    const silent = kind === 'microsoft' || kind === 'okta';
    const asked = url.pathname.split('/')[1] ?? '';
    const shared = kind === 'microsoft' && ['organizations', 'common', 'consumers'].includes(asked);
    return {
      ...document,
      ...(shared ? { issuer: `${origin}/{tenantid}/v2.0` } : {}),
      ...(silent ? { authorization_response_iss_parameter_supported: undefined } : {}),
      token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic', 'none'],
    };
  }

  async function idTokenOf(genuine: string): Promise<string | undefined> {
    const { faults } = idp;
    const claims = decodeJwt(genuine);
    const said = people.get(String(claims.sub)) ?? {};
    const full = { ...claims, ...habitsOf(kind, said, claims), ...said, iss: issuerFor(said) };
    const token = await sign(faults.claims?.(full) ?? full, faults.forge);
    return faults.idToken === undefined ? token : faults.idToken(token);
  }

  function issuerFor(claims: Claims): string {
    const tid = typeof claims['tid'] === 'string' ? claims['tid'] : microsoftTenant;
    return `${origin}${paths[kind].replace(':tenant', tid)}`;
  }

  async function sign(claims: Record<string, unknown>, forge?: Forgery, type: string | null = 'JWT'): Promise<string> {
    const [own] = keys;
    if (own === undefined) throw new Error('there is no key');
    const header = (alg: string, kid = own.kid) => ({ alg, kid, ...(type === null ? {} : { typ: type }) });
    const jwt = new SignJWT(JSON.parse(JSON.stringify(claims)) as JWTPayload);
    const withKey = async (key: SigningKey, kid = key.kid) =>
      jwt.setProtectedHeader(header('RS256', kid)).sign(await importJWK({ ...key }, 'RS256'));
    const withSecret = (secret: string) =>
      jwt.setProtectedHeader(header('HS256')).sign(new TextEncoder().encode(secret));
    const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    switch (forge) {
      case undefined:
        return withKey(own);
      case 'none':
        return `${encoded({ ...header('none') })}.${encoded(claims)}.`;
      case 'unsigned':
        return (await withKey(own)).replace(/[^.]+$/, '');
      case 'broken':
        return (await withKey(own)).replace(/\.(.)([^.]+)$/, (_, first: string, rest: string) =>
          ['.', first === 'A' ? 'B' : 'A', rest].join(''),
        );
      case 'public-key-as-secret':
        return withSecret(await publicText(own));
      case 'client-secret':
        return withSecret(clientSecret);
      case 'stranger':
        return withKey(stranger, own.kid);
      case 'unknown-key':
        return withKey(forger);
    }
  }
}

/** What these providers put into their ID tokens, as far as a test says nothing else. */
function habitsOf(kind: ProviderKind, said: Claims, { sub, sid }: JWTPayload): Claims {
  const verified = said['email'] === undefined ? {} : { email_verified: true };
  switch (kind) {
    case 'google':
      return { azp: '1234567890-ablauf.apps.googleusercontent.com', ...verified };
    case 'microsoft':
      // Mail is whatever an administrator of that tenant typed: nothing says that it was verified.
      return { ver: '2.0', tid: microsoftTenant, oid: sub, preferred_username: said['email'] };
    case 'okta':
      return { ver: 1, amr: ['pwd'], idp: '00o1', preferred_username: said['email'], ...verified };
    case 'keycloak':
      return { typ: 'ID', azp: 'ablauf', sid, acr: '1', preferred_username: sub, ...verified };
    case 'oidc':
      return verified;
  }
}

/** The published half of a key, as the text somebody might take for a shared secret. */
async function publicText(key: SigningKey): Promise<string> {
  const { kty, n, e } = key as unknown as { kty: string; n: string; e: string };
  const imported = await importJWK({ kty, n, e }, 'RS256');
  if (imported instanceof Uint8Array) throw new Error('this is no public key');
  return exportSPKI(imported);
}

/** What a token says in its header and its content, unchecked. */
export function read(token: string): { readonly header: Claims; readonly claims: JWTPayload } {
  return { header: decodeProtectedHeader(token), claims: decodeJwt(token) };
}
