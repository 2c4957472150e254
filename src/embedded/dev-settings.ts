import { join, resolve } from 'node:path';
import { setting } from './environment';
import { requireFreePort } from './ports';
import { keptSecret } from './secrets';

/** What a development start goes by, read from the environment. */
export interface DevSettings {
  dataDir: string;
  host: string;
  port: number;
  /** The API has a certificate of its own. */
  secured: boolean;
  managementHost: string;
  managementPort: number;
  workerManagementPort: number;
  mongodbPort: number;
  temporalPort: number;
  temporalUiPort: number;
  identityProviderPort: number;
  /** The origins browsers find the API at; the first is the one to name. */
  origins: [string, ...string[]];
  namespace: string;
  /** MongoDB is the developer's own: nothing is started. */
  ownMongodb: boolean;
  /** Temporal is the developer's own: nothing is started. */
  ownTemporal: boolean;
  /** People sign in with providers of the developer's choice: none is started. */
  ownIdentityProvider: boolean;
}

/**
 * Reads the settings of a development start.
 *
 * @throws Error that names the variable, if one holds what it cannot
 */
export function readDevSettings(env: NodeJS.ProcessEnv): DevSettings {
  return {
    dataDir: resolve(setting(env, 'ABLAUF_DATA_DIR') ?? '.ablauf'),
    host: setting(env, 'ABLAUF_HOST') ?? '127.0.0.1',
    port: readPort(env, 'ABLAUF_PORT', 3000),
    secured: isGiven(env, 'ABLAUF_TLS_CERT'),
    managementHost: setting(env, 'ABLAUF_MANAGEMENT_HOST') ?? '127.0.0.1',
    managementPort: readPort(env, 'ABLAUF_MANAGEMENT_PORT', 9464),
    workerManagementPort: readPort(env, 'ABLAUF_WORKER_MANAGEMENT_PORT', 9465),
    mongodbPort: readPort(env, 'ABLAUF_EMBEDDED_MONGODB_PORT', 27017),
    temporalPort: readPort(env, 'ABLAUF_EMBEDDED_TEMPORAL_PORT', 7233),
    temporalUiPort: readPort(env, 'ABLAUF_EMBEDDED_TEMPORAL_UI_PORT', 8233),
    identityProviderPort: readPort(env, 'ABLAUF_EMBEDDED_IDP_PORT', 8234),
    origins: originsOf(env),
    namespace: setting(env, 'ABLAUF_TEMPORAL_NAMESPACE') ?? 'default',
    ownMongodb: isGiven(env, 'ABLAUF_MONGODB_URI'),
    ownTemporal: isGiven(env, 'ABLAUF_TEMPORAL_ADDRESS'),
    ownIdentityProvider: isGiven(env, 'ABLAUF_SSO'),
  };
}

/**
 * Makes sure that every port this start will use is free, before anything is started.
 *
 * @throws EmbeddedServerError `port-busy`; Error if two settings name the same port
 */
export async function requireFreePorts(settings: DevSettings): Promise<void> {
  const ports: [number, string, string][] = [
    [settings.port, 'ABLAUF_PORT', settings.host],
    [settings.managementPort, 'ABLAUF_MANAGEMENT_PORT', settings.managementHost],
    [settings.workerManagementPort, 'ABLAUF_WORKER_MANAGEMENT_PORT', settings.managementHost],
  ];
  if (!settings.ownMongodb) {
    ports.push([settings.mongodbPort, 'ABLAUF_EMBEDDED_MONGODB_PORT', '127.0.0.1']);
  }
  if (!settings.ownTemporal) {
    ports.push([settings.temporalPort, 'ABLAUF_EMBEDDED_TEMPORAL_PORT', '127.0.0.1']);
    ports.push([settings.temporalUiPort, 'ABLAUF_EMBEDDED_TEMPORAL_UI_PORT', '127.0.0.1']);
  }
  if (!settings.ownIdentityProvider) {
    ports.push([settings.identityProviderPort, 'ABLAUF_EMBEDDED_IDP_PORT', '127.0.0.1']);
  }
  const taken = new Map<number, string>();
  for (const [port, variable] of ports) {
    const other = taken.get(port);
    if (other !== undefined) {
      throw new Error(`${other} and ${variable} are both ${port}: each needs a port of its own`);
    }
    taken.set(port, variable);
  }
  await Promise.all(ports.map(([port, variable, host]) => requireFreePort(port, variable, host)));
}

/** The secrets of a development start, to be added to the environment; those given there stay as they are. */
export function devSecrets(settings: DevSettings, env: NodeJS.ProcessEnv): Record<string, string> {
  const secrets: Record<string, string> = {};
  if (!isGiven(env, 'ABLAUF_ADMIN_KEY')) {
    secrets['ABLAUF_ADMIN_KEY'] = keptSecret(join(settings.dataDir, 'admin.key'), 'ablauf_dev_');
  }
  if (!isGiven(env, 'LITELLM_MASTER_KEY')) {
    secrets['LITELLM_MASTER_KEY'] = keptSecret(join(settings.dataDir, 'litellm-master.key'), 'sk-');
  }
  return secrets;
}

/** Where the ledger of erasures lies in development: beside the data, where a developer finds it. */
export function devLedger({ dataDir }: DevSettings, env: NodeJS.ProcessEnv): Record<string, string> {
  return isGiven(env, 'ABLAUF_LEDGER') ? {} : { ABLAUF_LEDGER: `file:${join(dataDir, 'ledger.ndjson')}` };
}

/** Secrets may also be given by the path of a file. */
function isGiven(env: NodeJS.ProcessEnv, variable: string): boolean {
  return (setting(env, variable) ?? setting(env, `${variable}_FILE`)) !== undefined;
}

function originsOf(env: NodeJS.ProcessEnv): [string, ...string[]] {
  const port = readPort(env, 'ABLAUF_PORT', 3000);
  const scheme = isGiven(env, 'ABLAUF_TLS_CERT') ? 'https' : 'http';
  const local = ['127.0.0.1', 'localhost', '[::1]'].map((host) => new URL(`${scheme}://${host}:${port}`).origin);
  const named = setting(env, 'ABLAUF_PUBLIC_URL') ?? '';
  const [first = '', ...others] = URL.canParse(named) ? [new URL(named).origin, ...local] : local;
  return [first, ...others];
}

function readPort(env: NodeJS.ProcessEnv, variable: string, otherwise: number): number {
  const text = setting(env, variable);
  if (text === undefined) {
    return otherwise;
  }
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) {
    throw new Error(`${variable} is "${text}", which is no port: give a number from 1 to 65535`);
  }
  return port;
}
