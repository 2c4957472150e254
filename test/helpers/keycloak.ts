/**
 * A real Keycloak, got as the other servers are: named by `ABLAUF_KEYCLOAK` (its folder) or on the PATH, from the cache,
 * from its vendor, from Maven Central. It needs Java 17 or newer, forgets everything when it stops, and is for tests alone.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cacheFolder, discard, exists } from '../../src/embedded/cache';
import { startChild, untilReady, type Child } from '../../src/embedded/child';
import { findOnPath, run } from '../../src/embedded/command';
import { EmbeddedServerError, messageOf } from '../../src/embedded/errors';
import { freePort } from '../../src/embedded/ports';
import type { FetchOptions } from '../../src/embedded/sources';
import { withUnpackedArchive } from '../../src/embedded/vendor';

/** The version the guide was followed with. */
export const keycloakVersion = '26.7.3';
/** Of the archive, which vendor and registry both carry. */
const sha256 = '77657f30b7e90d70f727712ce1c967f430fd6a5e9f458d32d8c6df0635345f47';
const archives = [
  `https://github.com/keycloak/keycloak/releases/download/${keycloakVersion}/keycloak-${keycloakVersion}.tar.gz`,
  `https://repo1.maven.org/maven2/org/keycloak/keycloak-quarkus-dist/${keycloakVersion}/keycloak-quarkus-dist-${keycloakVersion}.tar.gz`,
];
/** What cannot be changed at a start: keeping nothing, being alone, and doing without what no test asks for. */
const buildOptions = [
  '--db=dev-mem',
  '--cache=local',
  '--health-enabled=true',
  '--features-disabled=kerberos,ciba,par',
];
const memory = '-Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1';
const [buildTimeoutMs, startTimeoutMs] = [300_000, 180_000];
const title = `Keycloak ${keycloakVersion}`;

/** Why there is none on this machine, in one line; nothing where it can be had without asking anybody. */
export function keycloakIsMissing(env: NodeJS.ProcessEnv = process.env): string | undefined {
  if (process.platform === 'win32') return 'Keycloak is not tested on Windows';
  return findOnPath('java', env) === undefined ? 'Keycloak needs Java 17 or newer: install a JRE' : undefined;
}

/** Finds Keycloak's folder, fetching it if need be. @throws EmbeddedServerError */
async function resolveKeycloak(options: FetchOptions): Promise<string> {
  const { env, onProgress } = options;
  const named = env['ABLAUF_KEYCLOAK'] ?? '';
  const installed = named === '' ? findOnPath('kc.sh', env) : join(named, 'bin', 'kc.sh');
  if (installed !== undefined) return dirname(dirname(realpathSync(installed)));
  const folder = join(cacheFolder(env), `keycloak-${keycloakVersion}`);
  if (await exists(folder)) return folder;
  if (env['ABLAUF_OFFLINE'] === '1') {
    throw new EmbeddedServerError(
      'offline',
      `${title} is not in ${cacheFolder(env)}, and ABLAUF_OFFLINE=1 forbids fetching it: name one by ABLAUF_KEYCLOAK`,
    );
  }
  await mkdir(cacheFolder(env), { recursive: true });
  const failures: string[] = [];
  for (const url of archives) {
    try {
      await withUnpackedArchive(url, folder, title, options, (unpacked) => keep(unpacked, folder, options), sha256);
      return folder;
    } catch (error) {
      failures.push(messageOf(error));
      onProgress(`${title} cannot be had from ${new URL(url).host} (${messageOf(error)})`);
    }
  }
  throw new EmbeddedServerError('unreachable', `${title} cannot be fetched (${failures.join('; ')})`);
}

/** Builds it where it was unpacked, which takes longer than starting it, and moves it into the cache whole. */
async function keep(unpacked: string, folder: string, { env, onProgress }: FetchOptions): Promise<void> {
  const unpackedTo = join(unpacked, `keycloak-${keycloakVersion}`);
  onProgress(`building ${title}`);
  const built = await run(join(unpackedTo, 'bin', 'kc.sh'), ['build', ...buildOptions], {
    env: { ...env, JAVA_OPTS: memory },
    timeoutMs: buildTimeoutMs,
  });
  if (built.code !== 0) {
    throw new EmbeddedServerError(
      'start-failed',
      `${title} cannot be built: ${messageOf(built.stderr || built.stdout)}`,
    );
  }
  await discard(folder);
  await rename(unpackedTo, folder);
}

/** What the realm knows of somebody. Passwords are the names. */
export interface KeycloakUser {
  readonly name: string;
  readonly realmRoles?: readonly string[];
  /** Of the client Ablauf is. */
  readonly clientRoles?: readonly string[];
  readonly account?: string;
}

export interface KeycloakOptions {
  readonly users: readonly KeycloakUser[];
  readonly realmRoles: readonly string[];
  readonly clientRoles: readonly string[];
}

/** A running Keycloak with one realm, as the guide sets it up. */
export interface Keycloak {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly version: string;
  /** Tells the client where the API listens, and the id it gave this provider. */
  introduce(api: string, id: string): Promise<void>;
  /** Ends all sessions of a user, as an administrator does in the console. */
  endSessionsOf(user: string): Promise<void>;
  /** Signs with a new key, and withdraws the one that signed until now. */
  rotateKeys(): Promise<void>;
  stop(): Promise<void>;
}

const realm = 'ablauf';
const clientId = 'ablauf';

/** Starts one on free ports. @throws EmbeddedServerError in one line, where there can be none */
export async function startKeycloak(options: KeycloakOptions): Promise<Keycloak> {
  const onProgress = (text: string) => void process.stderr.write(`${text}\n`);
  const folder = await resolveKeycloak({ env: process.env, onProgress });
  const [port, managementPort] = [await freePort(), await freePort()];
  const password = randomBytes(16).toString('hex');
  const child = await startChild({
    command: join(folder, 'bin', 'kc.sh'),
    args: [
      ...['start', '--optimized', '--http-enabled=true', '--hostname-strict=false', '--http-host=127.0.0.1'],
      ...[`--http-port=${port}`, `--http-management-port=${managementPort}`, '--log-level=warn'],
    ],
    env: {
      ...process.env,
      JAVA_OPTS: memory,
      KC_BOOTSTRAP_ADMIN_USERNAME: 'admin',
      KC_BOOTSTRAP_ADMIN_PASSWORD: password,
    },
  });
  const origin = `http://127.0.0.1:${port}`;
  const isReady = async () =>
    (await fetch(`http://127.0.0.1:${managementPort}/health/ready`, { signal: AbortSignal.timeout(5_000) })).ok;
  try {
    await untilReady(child, 'Keycloak', isReady, { timeoutMs: startTimeoutMs, signal: undefined });
    return await setUp(
      child,
      origin,
      (method, path, body) => administer(origin, password, method, path, body),
      options,
    );
  } catch (error) {
    await child.stop();
    throw error;
  }
}

type Administer = (method: string, path: string, body?: unknown) => Promise<unknown>;

async function setUp(child: Child, origin: string, ask: Administer, options: KeycloakOptions): Promise<Keycloak> {
  const clientSecret = randomBytes(24).toString('base64url');
  await ask('POST', '/admin/realms', realmOf(clientSecret, options));
  await ask('PUT', `/admin/realms/${realm}/users/profile`, profile);
  for (const user of options.users) await addUser(ask, user);
  const [client] = (await ask('GET', `/admin/realms/${realm}/clients?clientId=${clientId}`)) as { id: string }[];
  const info = (await ask('GET', '/admin/serverinfo')) as { systemInfo: { version: string } };
  let keys = (await ask('GET', `/admin/realms/${realm}/components?type=${keyProvider}`)) as KeyComponent[];
  return {
    issuer: `${origin}/realms/${realm}`,
    clientId,
    clientSecret,
    version: info.systemInfo.version,
    async introduce(api, id) {
      await ask('PUT', `/admin/realms/${realm}/clients/${client?.id ?? ''}`, {
        ...clientOf(clientSecret),
        redirectUris: [`${api}/auth/${id}/callback`],
        attributes: {
          ...clientAttributes,
          'post.logout.redirect.uris': `${api}/auth`,
          'backchannel.logout.url': `${api}/auth/${id}/backchannel-logout`,
        },
      });
    },
    async endSessionsOf(name) {
      const [user] = (await ask('GET', `/admin/realms/${realm}/users?exact=true&username=${name}`)) as { id: string }[];
      await ask('POST', `/admin/realms/${realm}/users/${user?.id ?? ''}/logout`);
    },
    async rotateKeys() {
      const signing = keys.filter(({ providerId }) => providerId === 'rsa-generated');
      const config = { priority: ['200'], enabled: ['true'], active: ['true'], algorithm: ['RS256'] };
      const made = { name: randomUUID(), providerId: 'rsa-generated', providerType: keyProvider, config };
      await ask('POST', `/admin/realms/${realm}/components`, made);
      for (const { id } of signing) await ask('DELETE', `/admin/realms/${realm}/components/${id}`);
      keys = (await ask('GET', `/admin/realms/${realm}/components?type=${keyProvider}`)) as KeyComponent[];
    },
    stop: () => child.stop(),
  };
}

const keyProvider = 'org.keycloak.keys.KeyProvider';

interface KeyComponent {
  readonly id: string;
  readonly providerId: string;
}

/** One call of the administration's API; each with a token of its own, which lives for a minute. */
async function administer(origin: string, password: string, method: string, path: string, body?: unknown) {
  const form = { grant_type: 'password', client_id: 'admin-cli', username: 'admin', password };
  const signedIn = await fetch(`${origin}/realms/master/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams(form),
  });
  const { access_token: token = '' } = (await signedIn.json()) as { access_token?: string };
  const response = await fetch(`${origin}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok)
    throw new Error(`Keycloak answered ${method} ${path} with ${response.status}: ${text.slice(0, 500)}`);
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

async function addUser(ask: Administer, { name, realmRoles = [], clientRoles = [], account }: KeycloakUser) {
  const attributes = account === undefined ? {} : { attributes: { account: [account] } };
  const person = { firstName: name, lastName: 'Example', email: `${name}@example.com`, emailVerified: true };
  const credentials = [{ type: 'password', value: name, temporary: false }];
  await ask('POST', `/admin/realms/${realm}/users`, {
    username: name,
    enabled: true,
    ...person,
    credentials,
    ...attributes,
  });
  const [user] = (await ask('GET', `/admin/realms/${realm}/users?exact=true&username=${name}`)) as { id: string }[];
  const [client] = (await ask('GET', `/admin/realms/${realm}/clients?clientId=${clientId}`)) as { id: string }[];
  const roles = async (path: string, wanted: readonly string[]) =>
    Promise.all(wanted.map((role) => ask('GET', `/admin/realms/${realm}${path}/${role}`)));
  const mappings = `/admin/realms/${realm}/users/${user?.id ?? ''}/role-mappings`;
  await ask('POST', `${mappings}/realm`, await roles('/roles', realmRoles));
  const ofClient = await roles(`/clients/${client?.id ?? ''}/roles`, clientRoles);
  await ask('POST', `${mappings}/clients/${client?.id ?? ''}`, ofClient);
}

const clientAttributes = { 'pkce.code.challenge.method': 'S256', 'backchannel.logout.session.required': 'true' };

/** Claims the ID token does not hold by itself. */
const mappers = [
  mapper('realm roles', 'oidc-usermodel-realm-role-mapper', 'realm_access.roles', { multivalued: 'true' }),
  mapper('client roles', 'oidc-usermodel-client-role-mapper', 'resource_access.${client_id}.roles', {
    multivalued: 'true',
    'usermodel.clientRoleMapping.clientId': clientId,
  }),
  mapper('account', 'oidc-usermodel-attribute-mapper', 'account', { 'user.attribute': 'account' }),
];

function mapper(name: string, protocolMapper: string, claim: string, config: Readonly<Record<string, string>>) {
  const where = { 'id.token.claim': 'true', 'access.token.claim': 'true', 'userinfo.token.claim': 'true' };
  const all = { 'claim.name': claim, 'jsonType.label': 'String', ...where, ...config };
  return { name, protocol: 'openid-connect', protocolMapper, config: all };
}

function clientOf(secret: string) {
  return {
    clientId,
    secret,
    protocol: 'openid-connect',
    publicClient: false,
    standardFlowEnabled: true,
    directAccessGrantsEnabled: false,
    implicitFlowEnabled: false,
    frontchannelLogout: false,
    attributes: clientAttributes,
    protocolMappers: mappers,
  };
}

function realmOf(secret: string, { realmRoles, clientRoles }: KeycloakOptions) {
  const named = (name: string) => ({ name });
  return {
    realm,
    enabled: true,
    sslRequired: 'external',
    internationalizationEnabled: true,
    supportedLocales: ['en', 'de'],
    roles: { realm: realmRoles.map(named), client: { [clientId]: clientRoles.map(named) } },
    clients: [clientOf(secret)],
  };
}

/** An attribute that only administrators may see and change: whoever could set it would choose their account. */
const profile = {
  attributes: [
    ...['username', 'email', 'firstName', 'lastName'].map((name) => ({
      name,
      permissions: { view: ['admin', 'user'], edit: ['admin', 'user'] },
    })),
    { name: 'account', displayName: 'Account', permissions: { view: ['admin'], edit: ['admin'] } },
  ],
};
