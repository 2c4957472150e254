/**
 * The identity provider of a development start, so that signing in can be tried with nothing set up: a real OpenID
 * provider on the loopback interface, at which one picks who one is. It asks for no password and must never be reachable
 * by anybody else.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Provider } from 'oidc-provider';
import { endedPage, endPage, errorPage, homePage, languageOf, pickPage, style } from './identity-provider-pages';
import {
  accountPattern,
  claimNames,
  claimsOf,
  customer,
  customerOf,
  people,
  roleRules,
} from './identity-provider-people';
import { createOpenidProvider, newCookieSecret, newSigningKey, type SigningKey, withoutSession } from './openid';
import { requireFreePort } from './ports';
import { keptSecret } from './secrets';

export interface DevIdentityProviderOptions {
  /** The folder its keys are kept in; made if it does not exist. */
  readonly dataDir: string;
  /** The port on the loopback interface. */
  readonly port: number;
  /** Where browsers find the API: origins, the one to lead people to first. */
  readonly origins: readonly [string, ...string[]];
}

/** A running one. */
export interface DevIdentityProvider {
  readonly url: string;
  /** What the API is to be told: an entry of `ABLAUF_SSO`. */
  readonly entry: Readonly<Record<string, unknown>>;
  stop(): Promise<void>;
}

/** How the API knows it; part of its redirect URI. */
const devProviderId = 'dev';
const clientId = 'ablauf';
const mostBytes = 4096;
/** The one script there is: the provider's own, which submits a form that needs no answer. */
const submitting = "'sha256-RdUNylKSz5sOn0fkU1eqAq2AfjeUgGQlHsNg7gbsfrU='";

/**
 * Starts it.
 *
 * @throws EmbeddedServerError `port-busy`
 */
export async function startDevIdentityProvider(options: DevIdentityProviderOptions): Promise<DevIdentityProvider> {
  const { dataDir, port, origins } = options;
  await requireFreePort(port, 'ABLAUF_EMBEDDED_IDP_PORT');
  const url = `http://127.0.0.1:${port}`;
  const clientSecret = keptSecret(join(dataDir, 'client.secret'), '');
  const provider = await openProvider(url, clientSecret, options);
  const handle = provider.callback();
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url,
    entry: {
      id: devProviderId,
      kind: 'oidc',
      name: 'Development',
      issuer: url,
      clientId,
      clientSecret,
      scope: 'openid profile email groups',
      roles: roleRules,
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    secure(response);
    // Another name that leads here would have its pages share this origin.
    if (![`127.0.0.1:${port}`, `localhost:${port}`].includes(request.headers.host ?? '')) {
      response.writeHead(421).end();
      return;
    }
    const language = languageOf(request.headers['accept-language']);
    const [path = '/'] = (request.url ?? '/').split('?');
    if (path === '/style.css') response.writeHead(200, { 'Content-Type': 'text/css; charset=utf-8' }).end(style);
    else if (path === '/') show(response, 200, homePage(language, signInPage(origins)));
    else if (path.startsWith('/interaction/')) await interact(request, response, path);
    else {
      // Whoever comes to sign in is asked who they are, each time: one tries one person after the other.
      if (/^\/auth(\/|$)/.test(path)) request.headers.cookie = withoutSession(request.headers.cookie);
      await handle(request, response);
    }
  }

  async function interact(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const language = languageOf(request.headers['accept-language']);
    try {
      await provider.interactionDetails(request, response);
    } catch {
      show(response, 400, errorPage(language, undefined, signInPage(origins)));
      return;
    }
    if (request.method !== 'POST') {
      show(response, 200, pickPage(language, path));
      return;
    }
    if (request.headers.origin !== undefined && request.headers.origin !== `http://${request.headers.host ?? ''}`) {
      response.writeHead(403).end();
      return;
    }
    const form = new URLSearchParams(await bodyOf(request));
    const [picked, account] = [form.get('person') ?? customer.id, form.get('account') ?? ''];
    if (picked === customer.id && !new RegExp(`^${accountPattern}$`).test(account)) {
      show(response, 400, pickPage(language, path, { account }));
      return;
    }
    const isKnown = people.some(({ id }) => id === picked);
    const subject = picked === customer.id ? customerOf(account) : picked;
    await provider.interactionFinished(
      request,
      response,
      isKnown || picked === customer.id
        ? { login: { accountId: subject } }
        : { error: 'access_denied', error_description: 'nobody was picked' },
      { mergeWithLastSubmission: false },
    );
  }

  function secure(response: ServerResponse): void {
    const policy = [
      `default-src 'none'; style-src 'self'; img-src data:; script-src ${submitting}`,
      "base-uri 'none'; frame-ancestors 'none'",
      // Browsers apply this to where a form's answer redirects to as well.
      // It names no IPv6 addresses: the standard has none.
      `form-action 'self' ${origins.filter((origin) => !origin.includes('[')).join(' ')}`,
    ];
    response.setHeader('Content-Security-Policy', policy.join('; '));
    response.setHeader('X-Content-Type-Options', 'nosniff');
    // Not less: a page without a referrer posts its forms without an origin.
    response.setHeader('Referrer-Policy', 'same-origin');
    response.setHeader('Cache-Control', 'no-store');
  }
}

function openProvider(
  issuer: string,
  clientSecret: string,
  { dataDir, origins }: DevIdentityProviderOptions,
): Promise<Provider> {
  return keptKeys(dataDir).then(({ keys, cookieSecret }) =>
    createOpenidProvider({
      issuer,
      keys,
      cookieSecret,
      claims: claimsOf,
      claimNames,
      interactionPath: (id) => `/interaction/${id}`,
      pages: {
        logout: (accepted, form) => endPage(languageOf(accepted), form),
        signedOut: (accepted) => endedPage(languageOf(accepted), signInPage(origins)),
        error: (accepted, { error, error_description: detail = '' }) =>
          errorPage(languageOf(accepted), `${error}: ${detail}`, signInPage(origins)),
      },
      client: (id) =>
        id === clientId
          ? {
              client_id: clientId,
              client_secret: clientSecret,
              require_auth_time: true,
              redirect_uris: origins.map((origin) => `${origin}/auth/${devProviderId}/callback`),
              post_logout_redirect_uris: origins.map((origin) => `${origin}/auth`),
              backchannel_logout_uri: `${origins[0]}/auth/${devProviderId}/backchannel-logout`,
              backchannel_logout_session_required: true,
            }
          : undefined,
    }),
  );
}

function signInPage([origin]: readonly [string, ...string[]]): string {
  return `${origin}/auth`;
}

function show(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8' }).end(html);
}

interface Kept {
  readonly keys: readonly SigningKey[];
  readonly cookieSecret: string;
}

/** The keys of the last start, so that nobody's session ends with a restart. */
async function keptKeys(dataDir: string): Promise<Kept> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'keys.json');
  try {
    const kept = JSON.parse(readFileSync(path, 'utf8')) as Partial<Kept>;
    if (Array.isArray(kept.keys) && kept.keys.length > 0 && typeof kept.cookieSecret === 'string') return kept as Kept;
  } catch {
    // There are none yet, or nothing that could be read: they are made up again, and nothing but sign-ins is lost.
  }
  const made: Kept = { keys: [await newSigningKey()], cookieSecret: newCookieSecret() };
  const draft = `${path}.${randomUUID()}`;
  writeFileSync(draft, JSON.stringify(made), { mode: 0o600 });
  renameSync(draft, path);
  return made;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > mostBytes) throw new Error('the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
