/**
 * Configuring what travels (R21): TLS for the API, the databases and Temporal. Nothing leaves this machine plainly unless the
 * operator names the host; see `ABLAUF_ALLOW_PLAIN`.
 */
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Endpoint } from './config-endpoints';
import type { TemporalSecurity } from './temporal';
import {
  flawOfCertificate,
  flawOfPair,
  hostOfAddress,
  insecureOptionOf,
  isLoopback,
  mongodbHosts,
  speaksTls,
  type ClientTls,
  type ServerTls,
} from './transit';

const pem = z.string().min(1).optional();
const hosts = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((host) => host.trim().toLowerCase())
      .filter((host) => host !== ''),
  )
  .refine(
    (names) => names.every((name) => !/[/*\s]/.test(name) && !/^[^:]+:\d*$/.test(name)),
    'must be names or addresses, without ports, separated by commas',
  );

/** The variables, as part of the whole configuration's schema. */
export const transitVariables = {
  ABLAUF_TLS: z
    .enum(['own', 'proxy', 'off'])
    .optional()
    .describe(
      'How the API is reached: with a certificate of its `own`, through a `proxy` that speaks TLS, or with TLS `off`, which only a ' +
        'loopback address may be; `own` where a certificate is given, `off` otherwise',
    ),
  ABLAUF_TLS_CERT: pem.describe(
    "The API's certificate and those that lead to its authority, PEM; read again when the file changes, or on SIGHUP",
  ),
  ABLAUF_TLS_KEY: pem.describe('Its private key, PEM'),
  ABLAUF_MONGODB_TLS_CA: pem.describe("Authorities to believe of MongoDB's certificate, PEM; turns TLS on"),
  ABLAUF_MONGODB_TLS_CERT: pem.describe('Our certificate for MongoDB, PEM'),
  ABLAUF_MONGODB_TLS_KEY: pem.describe('Its private key, PEM'),
  ABLAUF_VAULT_TLS_CA: pem.describe("Authorities to believe of the key store's certificate, PEM; turns TLS on"),
  ABLAUF_VAULT_TLS_CERT: pem.describe('Our certificate for the key store, PEM'),
  ABLAUF_VAULT_TLS_KEY: pem.describe('Its private key, PEM'),
  ABLAUF_TEMPORAL_TLS: z
    .enum(['0', '1'])
    .default('0')
    .describe('`1` speaks TLS to Temporal; so does each of the following'),
  ABLAUF_TEMPORAL_TLS_CA: pem.describe("Authorities to believe of Temporal's certificate, PEM"),
  ABLAUF_TEMPORAL_TLS_CERT: pem.describe('Our certificate for Temporal (mTLS), PEM'),
  ABLAUF_TEMPORAL_TLS_KEY: pem.describe('Its private key, PEM'),
  ABLAUF_TEMPORAL_TLS_SERVER_NAME: z
    .string()
    .min(1)
    .optional()
    .describe("Name in Temporal's certificate, where it is not the address's"),
  ABLAUF_TEMPORAL_API_KEY: z.string().min(1).optional().describe('Key for Temporal Cloud'),
  ABLAUF_ALLOW_PLAIN: hosts.describe(
    'Hosts that are spoken to without TLS, and addresses metrics are served on, separated by commas: for a network that nobody ' +
      'else is on, at your own risk. Each start says them aloud',
  ),
} as const;

/** What is encrypted on its way, and how. */
export interface TransitConfig {
  readonly server: ServerTls;
  /** For the data's database; `undefined` leaves it to the URI. */
  readonly mongodb: ClientTls | undefined;
  /** For the key store's. */
  readonly vault: ClientTls | undefined;
  readonly temporal: TemporalSecurity;
  /** Hosts beyond this machine that are spoken to plainly, because the operator said so. */
  readonly plain: readonly string[];
}

type Variables = z.output<z.ZodObject<typeof transitVariables>>;

/** What is judged besides the variables of this file. */
type Values = Variables & {
  readonly ABLAUF_HOST: string;
  readonly ABLAUF_MANAGEMENT_HOST: string;
  readonly ABLAUF_MONGODB_URI: string;
  readonly ABLAUF_VAULT_URI: string;
  readonly ABLAUF_TEMPORAL_ADDRESS: string;
};

/**
 * @param endpoints what else is spoken to over HTTP
 * @param fileOf the file a variable was given by, so that a certificate can be read again
 * @param flaws are added to
 */
export function transitConfig(
  values: Values,
  endpoints: readonly Endpoint[],
  fileOf: (variable: string) => string | undefined,
  flaws: string[],
): TransitConfig {
  const plain = new Set<string>();
  const judge = (variable: string, named: readonly string[], remedy: string): void => {
    for (const host of named.filter((one) => !isLoopback(one))) {
      if (values.ABLAUF_ALLOW_PLAIN.includes(host)) plain.add(host);
      else
        flaws.push(`${variable}: ${host} would be spoken to without TLS; ${remedy}, or list it in ABLAUF_ALLOW_PLAIN`);
    }
  };
  const mongodb = clientTls('ABLAUF_MONGODB_TLS', values, flaws);
  const vault = clientTls('ABLAUF_VAULT_TLS', values, flaws);
  for (const [part, tls] of [['MONGODB', mongodb] as const, ['VAULT', vault] as const]) {
    const variable = `ABLAUF_${part}_URI` as const;
    const uri = values[variable];
    const encrypted = speaksTls(uri);
    if (tls !== undefined && !encrypted && /[?&](tls|ssl)=/i.test(uri)) {
      flaws.push(`${variable}: says that TLS is off, though ABLAUF_${part}_TLS_… is given`);
    }
    const insecure = insecureOptionOf(uri);
    if (insecure !== undefined && !mongodbHosts(uri).every(isLoopback)) {
      flaws.push(`${variable}: ${insecure} would accept anybody's certificate`);
    }
    if (!encrypted && tls === undefined) {
      judge(variable, mongodbHosts(uri), `say tls=true in it or give ABLAUF_${part}_TLS_CA`);
    }
  }
  const temporal = temporalSecurity(values, flaws);
  if (temporal.tls === undefined) {
    judge('ABLAUF_TEMPORAL_ADDRESS', [hostOfAddress(values.ABLAUF_TEMPORAL_ADDRESS)], 'set ABLAUF_TEMPORAL_TLS=1');
  }
  for (const { variable, url } of endpoints) {
    if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) flaws.push(`${variable}: must begin with https://`);
    else if (new URL(url).protocol === 'http:') judge(variable, [hostOfUrl(url)], 'begin it with https://');
  }
  if (
    !isLoopback(values.ABLAUF_MANAGEMENT_HOST) &&
    !values.ABLAUF_ALLOW_PLAIN.includes(values.ABLAUF_MANAGEMENT_HOST)
  ) {
    flaws.push(
      `ABLAUF_MANAGEMENT_HOST: metrics would be served on ${values.ABLAUF_MANAGEMENT_HOST} without TLS; list it in ABLAUF_ALLOW_PLAIN`,
    );
  }
  return { server: serverTls(values, fileOf, flaws), mongodb, vault, temporal, plain: [...plain] };
}

function hostOfUrl(text: string): string {
  return new URL(text).hostname.replace(/^\[(.*)\]$/, '$1');
}

function serverTls(values: Values, fileOf: (variable: string) => string | undefined, flaws: string[]): ServerTls {
  const { ABLAUF_TLS_CERT: cert, ABLAUF_TLS_KEY: key } = values;
  const given = cert !== undefined || key !== undefined;
  const kind = values.ABLAUF_TLS ?? (given ? 'own' : 'off');
  if (given && kind !== 'own') flaws.push(`ABLAUF_TLS: is ${kind}, though ABLAUF_TLS_CERT or ABLAUF_TLS_KEY is given`);
  if (kind === 'off' && !isLoopback(values.ABLAUF_HOST)) {
    flaws.push(
      `ABLAUF_HOST: ${values.ABLAUF_HOST} is reached from other machines; give ABLAUF_TLS_CERT and ABLAUF_TLS_KEY, or say ` +
        'ABLAUF_TLS=proxy where a proxy in front of it speaks TLS',
    );
  }
  if (kind !== 'own') return { kind };
  if (cert === undefined) flaws.push('ABLAUF_TLS_CERT: is missing');
  if (key === undefined) flaws.push('ABLAUF_TLS_KEY: is missing');
  if (cert === undefined || key === undefined) return { kind: 'off' };
  const flaw = flawOfPair({ cert, key });
  if (flaw !== undefined) flaws.push(`ABLAUF_TLS_${flaw.part === 'cert' ? 'CERT' : 'KEY'}: ${flaw.detail}`);
  const files = { cert: fileOf('ABLAUF_TLS_CERT'), key: fileOf('ABLAUF_TLS_KEY') };
  const now = (text: string, file: string | undefined) => (file ? readFileSync(file, 'utf8').trim() : text);
  return {
    kind,
    read: () => ({ cert: now(cert, files.cert), key: now(key, files.key) }),
    files: Object.values(files).filter((file) => file !== undefined && file !== '') as string[],
  };
}

type Prefix = 'ABLAUF_MONGODB_TLS' | 'ABLAUF_VAULT_TLS' | 'ABLAUF_TEMPORAL_TLS';

/** Authorities and our own certificate, or `undefined` where neither is given. */
function clientTls(prefix: Prefix, values: Values, flaws: string[]): ClientTls | undefined {
  const ca = values[`${prefix}_CA`];
  const cert = values[`${prefix}_CERT`];
  const key = values[`${prefix}_KEY`];
  const flawed = ca === undefined ? undefined : flawOfCertificate(ca);
  if (flawed !== undefined) flaws.push(`${prefix}_CA: ${flawed}`);
  if ((cert === undefined) !== (key === undefined)) {
    flaws.push(`${prefix}_CERT: is given together with ${prefix}_KEY or not at all`);
  }
  if (cert === undefined || key === undefined) return ca === undefined ? undefined : { ca };
  const flaw = flawOfPair({ cert, key });
  if (flaw !== undefined) flaws.push(`${prefix}_${flaw.part === 'cert' ? 'CERT' : 'KEY'}: ${flaw.detail}`);
  return { ...(ca === undefined ? {} : { ca }), cert, key };
}

function temporalSecurity(values: Values, flaws: string[]): TemporalSecurity {
  const tls = clientTls('ABLAUF_TEMPORAL_TLS', values, flaws);
  const { ABLAUF_TEMPORAL_TLS_SERVER_NAME: serverName, ABLAUF_TEMPORAL_API_KEY: apiKey } = values;
  const wanted = values.ABLAUF_TEMPORAL_TLS === '1' || [tls, serverName, apiKey].some((given) => given !== undefined);
  if (!wanted) return {};
  return {
    tls: { ...tls, ...(serverName === undefined ? {} : { serverName }) },
    ...(apiKey === undefined ? {} : { apiKey }),
  };
}

/** Each start says which connections are not encrypted; nobody is to find out from a packet capture. */
export function sayPlain({ transit: { plain } }: { readonly transit: TransitConfig }, log: Logger): void {
  if (plain.length > 0) log.warn({ hosts: plain }, 'ABLAUF_ALLOW_PLAIN: connections to these hosts are not encrypted');
}
