/**
 * The configuration: environment variables, read and checked once, when a process starts. A wrong or missing one stops
 * the start with a message that names it. Secrets may come from files, as `…_FILE`.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { DangerousAct } from './access';
import type { SecurityContact } from './api';
import type { ExportLimits } from './exports';
import { MAX_PERIOD, parseDuration, periodFlaws, sites, type Settings, type Site } from './lifecycle';
import { durationSchema } from './lifecycle/schemas';
import { accessConfig, accessVariables, type AccessConfig } from './config-access';
import { ssoConfig, ssoVariables, type SsoConfig } from './config-sso';
import { secondPersonConfig, secondPersonVariables } from './config-second-person';
import { transitConfig, transitVariables, type TransitConfig } from './config-transit';
import { endpointsOf } from './config-endpoints';
import { checkMasterKeys, kmsConfig, kmsVariables, type KmsConfig } from './config-kms';
import { ledgerConfig, ledgerVariables, type LedgerConfig } from './config-ledger';
import type { S3Options } from './object-storage';
import { flawOfTarget, isSecret, type ProcessorSettings } from './processors';
import { leastMasterKeyLength } from './vault';
import { parseWitnesses, type WitnessPlace } from './witnesses';

const masterKey = z.string().min(leastMasterKeyLength, `must have at least ${leastMasterKeyLength} characters`);
const port = z.coerce.number().int().min(0).max(65535);
const duration = durationSchema;
const uri = z.string().regex(/^mongodb(\+srv)?:\/\//, 'must begin with mongodb:// or mongodb+srv://');
const fieldPaths = z
  .string()
  .transform((text) => text.split(',').map((path) => path.trim().split('.')))
  .refine(
    (paths) => paths.every((path) => path.every((part) => part !== '')),
    'must be dotted paths, separated by commas',
  );

const origins = z
  .string()
  .transform((text) => text.split(',').map((origin) => origin.trim()))
  .refine(
    (list) => list.every((origin) => URL.canParse(origin) && new URL(origin).origin === origin),
    'must be origins such as https://temporal.example.org, separated by commas',
  );

/** As RFC 9116 has them: URIs, never plain HTTP. */
const contacts = z
  .string()
  .transform((text) => text.split(',').map((contact) => contact.trim()))
  .refine(
    (found) => found.every((contact) => /^(mailto:[^\s@]+@[^\s@]+|https:\/\/\S+|tel:\+[\d-]+)$/.test(contact)),
    'must be addresses that begin with mailto:, https:// or tel:, separated by commas',
  );

const publicUrl = z
  .string()
  .refine(isPublicUrl, 'must begin with https://, or http:// on this machine, and name no query');

const schema = z.object({
  ABLAUF_HOST: z.string().min(1).default('127.0.0.1').describe('Address the API listens on'),
  ABLAUF_PORT: port.default(3000).describe('Port of the API'),
  ABLAUF_MANAGEMENT_HOST: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address both processes serve their metrics on, plainly: they name no account'),
  ABLAUF_MANAGEMENT_PORT: port.default(9464).describe("Port of the API's metrics"),
  ABLAUF_WORKER_MANAGEMENT_PORT: port.default(9465).describe("Port of the worker's metrics"),
  ABLAUF_REGION: z
    .enum(Object.keys(sites) as [Site])
    .default('eu-central-1')
    .describe('Site; its data region follows'),
  ABLAUF_ADMIN_KEY: z.string().min(1).describe('Key of the first administrator'),
  LITELLM_MASTER_KEY: masterKey
    .optional()
    .describe(
      'Master key of the deployment: every other key is wrapped under it (R21). Needed unless `ABLAUF_KMS_KEY` is given; beside ' +
        'that it only opens what is wrapped under it',
    ),
  LITELLM_MASTER_KEY_NEXT: masterKey
    .optional()
    .describe(
      'Master key that is to be in use next: accepted at once, and wrapped under once `ablauf keys rotate` begins (docs/rotation.md)',
    ),
  LITELLM_MASTER_KEY_PREVIOUS: z
    .string()
    .optional()
    .describe('Master keys that were in use before, separated by commas, while keys are still wrapped under them'),
  ...kmsVariables,
  ABLAUF_MONGODB_URI: uri.describe('MongoDB, with the database in its path'),
  ABLAUF_VAULT_URI: uri.describe(
    "MongoDB that keeps the wrapped keys: another server than the data's, with backups of its own",
  ),
  ABLAUF_VAULT_SHARED: z
    .enum(['0', '1'])
    .default('0')
    .describe("`1` lets the keys lie on the data's own server, where destroying one does not reach the data's backups"),
  ABLAUF_VAULT_BACKUP_RETENTION: duration
    .default('P30D')
    .describe(
      'How long backups of the key store are kept: an erasure is final when the last that holds its key is gone (R22)',
    ),
  ...ledgerVariables,
  ...accessVariables,
  ...ssoVariables,
  ...secondPersonVariables,
  ABLAUF_TEMPORAL_ADDRESS: z.string().min(1).describe('Temporal, as host:port'),
  ABLAUF_TEMPORAL_NAMESPACE: z.string().min(1).default('default').describe('Namespace'),
  ...transitVariables,
  ABLAUF_TEMPORAL_UI_ORIGINS: origins
    .default([])
    .describe("Origins of the Temporal Web UIs that may open payloads with the API's codec, separated by commas"),
  ABLAUF_GRACE_PERIOD: duration.default('P14D').describe('Default grace period (R3)'),
  ABLAUF_EXPIRY_PERIOD: duration.default('P30D').describe('Default expiry period (R2)'),
  ABLAUF_MIN_NOTICE: duration
    .default('P7D')
    .describe('Least time between a decision that brings erasure nearer and the erasure (R7, R9)'),
  ABLAUF_MIN_PERIOD: duration
    .default('PT1M')
    .describe('Shortest period anybody may set; shorter than PT1M for demos only'),
  ABLAUF_AUDIT_RETENTION: duration.default('P1095D').describe('How long audit entries are kept, at least P30D (R20)'),
  ABLAUF_WITNESSES: z
    .string()
    .default('')
    .describe(
      "Who keeps the audit log's checkpoints: `file:/PATH`, `s3://BUCKET/PREFIX`, `https://…`, separated by commas",
    ),
  ABLAUF_WITNESS_SECRET: z
    .string()
    .refine(isSecret, 'must be whsec_ and 24 to 64 bytes in base64')
    .optional()
    .describe('What checkpoints are signed with that go to witnesses by webhook (Standard Webhooks)'),
  ABLAUF_CLOCK_TOLERANCE: duration
    .default('PT5M')
    .describe("By how much Temporal's clock and the database server's may differ for an erasure to begin"),
  ABLAUF_ERASURE_GUARD_SHARE: z.coerce
    .number()
    .gt(0)
    .max(1)
    .default(0.1)
    .describe('Share of accounts whose erasures may begin within a day; the surplus waits for an administrator'),
  ABLAUF_ERASURE_GUARD_MINIMUM: z.coerce
    .number()
    .int()
    .min(1)
    .default(20)
    .describe('So many erasures may begin within a day, whatever the share'),
  ABLAUF_EXPORT_LIFETIME: duration.default('P7D').describe('How long a finished export can be fetched (R14)'),
  ABLAUF_EXPORT_PATIENCE: duration
    .default('PT1H')
    .describe('How long an export is tried without getting anywhere before it fails'),
  ABLAUF_EXPORT_S3_BUCKET: z
    .string()
    .min(1)
    .optional()
    .describe('Bucket that keeps the files of exports; the database keeps them when absent'),
  ABLAUF_EXPORT_S3_ENDPOINT: z.url().optional().describe("URL of an S3-compatible storage; Amazon's when absent"),
  ABLAUF_EXPORT_S3_REGION: z.string().min(1).default('us-east-1').describe('Region of that bucket'),
  ABLAUF_EXPORT_S3_PREFIX: z.string().default('').describe('What its keys begin with, such as `ablauf/`'),
  ABLAUF_EXPORT_S3_ACCESS_KEY_ID: z
    .string()
    .min(1)
    .optional()
    .describe("Key for that bucket; the AWS SDK's own sources are asked when absent"),
  ABLAUF_EXPORT_S3_SECRET_ACCESS_KEY: z.string().min(1).optional().describe('Its secret'),
  ABLAUF_ACCOUNT_FIELD: fieldPaths
    .default([
      ['metadata', 'user_api_key_org_id'],
      ['metadata', 'user_api_key_auth_metadata', 'account_id'],
    ])
    .describe('Where a payload names its account: dotted paths, the first that does decides'),
  ABLAUF_PUBLIC_URL: publicUrl
    .optional()
    .describe(
      'Where the API is reached from outside: by people who sign in, and by processors with their callbacks (OpenDSR); needed for either',
    ),
  ABLAUF_ALLOW_PRIVATE_TARGETS: z
    .enum(['0', '1'])
    .default('0')
    .describe('`1` lets processors stand at private addresses, and on this machine without TLS'),
  ABLAUF_SECURITY_CONTACT: contacts
    .optional()
    .describe(
      'Whom to tell of vulnerabilities, `mailto:` or `https://`, separated by commas: `/.well-known/security.txt` (R30)',
    ),
  ABLAUF_SECURITY_POLICY: z
    .url({ protocol: /^https$/ })
    .optional()
    .describe('Where it says how reports are dealt with'),
  ABLAUF_LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('Least level logged'),
});

function isPublicUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, search, hash, username } = new URL(text);
  const local = ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
  return (protocol === 'https:' || (protocol === 'http:' && local)) && search + hash + username === '';
}

/** Variables that only `npm run dev` and the embedded servers read. */
export const developmentVariables: Readonly<Record<string, string>> = {
  ABLAUF_DATA_DIR: 'Folder development data is kept in; `.ablauf` when absent',
  ABLAUF_EMBEDDED_MONGODB_PORT: 'Port of the embedded MongoDB server; 27017 when absent',
  ABLAUF_EMBEDDED_TEMPORAL_PORT: 'Port of the embedded Temporal server; 7233 when absent',
  ABLAUF_EMBEDDED_TEMPORAL_UI_PORT: "Port of the embedded Temporal server's Web UI; 8233 when absent",
  ABLAUF_EMBEDDED_IDP_PORT:
    'Port of the embedded identity provider, at which one picks who one is; 8234 when absent. None is started where `ABLAUF_SSO` is given',
  ABLAUF_OFFLINE: '`1` forbids fetching servers (R28)',
  ABLAUF_CACHE_DIR: "Folder fetched servers are kept in; the user's cache folder when absent",
  ABLAUF_MONGOD: 'A `mongod` to use as the embedded server',
  ABLAUF_TEMPORAL_CLI: 'A Temporal CLI to use as the embedded server',
  ABLAUF_TEMPORAL_TEST_SERVER: 'A Temporal test server for the tests',
  ABLAUF_KEYCLOAK: 'The folder of a Keycloak for the tests',
};

/** Every variable a process of ours reads. */
export const configurationVariables: readonly string[] = Object.keys(schema.shape);

/** A variable as documented. */
export interface DocumentedVariable {
  readonly name: string;
  readonly standard: string | undefined;
  readonly description: string;
}

/** What the documentation's table says, from the very schema the environment is checked with. */
export function documentedVariables(): DocumentedVariable[] {
  const standards = new Map(
    Object.entries(schema.shape).map(([name, field]): [string, string | undefined] => {
      const parsed = field.safeParse(undefined);
      if (!parsed.success) return [name, undefined];
      return [name, parsed.data === undefined ? '' : textOf(parsed.data)];
    }),
  );
  return Object.entries(schema.shape).map(([name, field]) => ({
    name,
    standard: standards.get(name),
    description: field.description ?? '',
  }));
}

function textOf(value: unknown): string {
  if (!Array.isArray(value)) return String(value);
  return value.map((path: unknown) => (Array.isArray(path) ? path.join('.') : String(path))).join(',');
}

/** The configuration of a process. */
export interface Config {
  readonly host: string;
  readonly port: number;
  readonly managementHost: string;
  readonly managementPort: number;
  readonly workerManagementPort: number;
  readonly region: Site;
  readonly adminKey: string;
  readonly vault: {
    readonly uri: string;
    /** Absent where AWS KMS holds it alone. */
    readonly masterKey: string | undefined;
    readonly kms: KmsConfig;
    /** The master key that is to be in use next, where it is a text. */
    readonly next?: string;
    /** Master keys that keys may still be wrapped under. */
    readonly previous: readonly string[];
    /** How long backups of the key store are kept, in milliseconds. */
    readonly backupRetention: number;
    /** The keys lie on the data's own server. */
    readonly shared: boolean;
  };
  /** What is encrypted on its way, and how (R21). */
  readonly transit: TransitConfig;
  readonly mongodbUri: string;
  readonly ledger: LedgerConfig;
  readonly temporal: {
    readonly address: string;
    readonly namespace: string;
    readonly taskQueue: string;
    readonly uiOrigins: readonly string[];
  };
  readonly settings: Settings;
  readonly guard: { readonly clockTolerance: number; readonly share: number; readonly minimum: number };
  /** How long audit entries are kept, in milliseconds. */
  readonly auditRetention: number;
  readonly witnesses: readonly WitnessPlace[];
  readonly witnessSecret?: string;
  readonly accountPaths: readonly (readonly string[])[];
  readonly processors: ProcessorSettings;
  readonly access: AccessConfig;
  /** What needs a second person. */
  readonly secondPerson: readonly DangerousAct[];
  /** How people sign in (R26). */
  readonly sso: SsoConfig;
  /** Whom to tell of vulnerabilities (R30). */
  readonly security: SecurityContact | undefined;
  readonly logLevel: string;
  readonly exports: { readonly limits: ExportLimits; readonly s3: S3Options | undefined };
}

/** The environment does not make a configuration. The message names each variable and what is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(flaws: readonly string[]) {
    super(`the configuration is not complete:\n${flaws.map((flaw) => `  ${flaw}`).join('\n')}`);
  }
}

/** Thirty days, in milliseconds. */
const leastAuditRetention = 30 * 24 * 60 * 60 * 1000;

/** Reads and checks the environment. @throws {ConfigError} naming every wrong or missing variable */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const flaws: string[] = [];
  const given = withFiles(environment, flaws);
  checkMasterKeys(given, flaws);
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = String(issue.path[0]);
      flaws.push(`${name}: ${given[name] === undefined ? 'is missing' : issue.message}`);
    }
    throw new ConfigError(flaws);
  }
  const values = parsed.data;
  for (const name of ['ABLAUF_GRACE_PERIOD', 'ABLAUF_EXPIRY_PERIOD'] as const) {
    flaws.push(...periodFlaws(name, values[name], values.ABLAUF_MIN_PERIOD).map(({ detail }) => `${name}: ${detail}`));
  }
  if (parseDuration(values.ABLAUF_MIN_PERIOD) < 1000) flaws.push('ABLAUF_MIN_PERIOD: must be at least PT1S');
  if (parseDuration(values.ABLAUF_AUDIT_RETENTION) < leastAuditRetention) {
    flaws.push('ABLAUF_AUDIT_RETENTION: must be at least P30D: certificates take their proofs from the log');
  }
  const exports = exportConfig(values, flaws);
  const sso = ssoConfig(values, flaws);
  const ledger = ledgerConfig(values, values.ABLAUF_ALLOW_PLAIN, flaws);
  const previous = previousKeys(values.LITELLM_MASTER_KEY_PREVIOUS, flaws);
  if (values.ABLAUF_VAULT_SHARED === '0' && hostsOf(values.ABLAUF_VAULT_URI) === hostsOf(values.ABLAUF_MONGODB_URI)) {
    flaws.push(
      "ABLAUF_VAULT_URI: names the data's own server; keys belong on another one, or say ABLAUF_VAULT_SHARED=1",
    );
  }
  const witnesses = witnessPlaces(values, flaws);
  const endpoints = endpointsOf(values, witnesses, environment);
  const transit = transitConfig(values, endpoints, (name) => environment[`${name}_FILE`], flaws);
  if (flaws.length > 0) throw new ConfigError(flaws);
  return {
    host: values.ABLAUF_HOST,
    port: values.ABLAUF_PORT,
    managementHost: values.ABLAUF_MANAGEMENT_HOST,
    managementPort: values.ABLAUF_MANAGEMENT_PORT,
    workerManagementPort: values.ABLAUF_WORKER_MANAGEMENT_PORT,
    region: values.ABLAUF_REGION,
    adminKey: values.ABLAUF_ADMIN_KEY,
    vault: {
      uri: values.ABLAUF_VAULT_URI,
      masterKey: values.LITELLM_MASTER_KEY,
      kms: kmsConfig(values, values.ABLAUF_ALLOW_PLAIN),
      ...(values.LITELLM_MASTER_KEY_NEXT === undefined ? {} : { next: values.LITELLM_MASTER_KEY_NEXT }),
      previous,
      backupRetention: parseDuration(values.ABLAUF_VAULT_BACKUP_RETENTION),
      shared: values.ABLAUF_VAULT_SHARED === '1',
    },
    transit,
    mongodbUri: values.ABLAUF_MONGODB_URI,
    ledger,
    temporal: {
      address: values.ABLAUF_TEMPORAL_ADDRESS,
      namespace: values.ABLAUF_TEMPORAL_NAMESPACE,
      taskQueue: `ablauf-${values.ABLAUF_REGION}`,
      uiOrigins: values.ABLAUF_TEMPORAL_UI_ORIGINS,
    },
    settings: {
      gracePeriod: values.ABLAUF_GRACE_PERIOD,
      expiryPeriod: values.ABLAUF_EXPIRY_PERIOD,
      notice: values.ABLAUF_MIN_NOTICE,
      minPeriod: values.ABLAUF_MIN_PERIOD,
    },
    guard: {
      clockTolerance: parseDuration(values.ABLAUF_CLOCK_TOLERANCE),
      share: values.ABLAUF_ERASURE_GUARD_SHARE,
      minimum: values.ABLAUF_ERASURE_GUARD_MINIMUM,
    },
    auditRetention: parseDuration(values.ABLAUF_AUDIT_RETENTION),
    witnesses,
    ...(values.ABLAUF_WITNESS_SECRET === undefined ? {} : { witnessSecret: values.ABLAUF_WITNESS_SECRET }),
    accountPaths: values.ABLAUF_ACCOUNT_FIELD,
    processors: {
      allowPrivate: values.ABLAUF_ALLOW_PRIVATE_TARGETS === '1',
      ...(values.ABLAUF_PUBLIC_URL === undefined ? {} : { publicUrl: values.ABLAUF_PUBLIC_URL }),
    },
    access: accessConfig(values),
    secondPerson: secondPersonConfig(values),
    sso,
    security: securityContact(values),
    logLevel: values.ABLAUF_LOG_LEVEL,
    exports,
  };
}

function witnessPlaces(values: z.output<typeof schema>, flaws: string[]): WitnessPlace[] {
  try {
    const places = parseWitnesses(values.ABLAUF_WITNESSES);
    const urls = places.flatMap((place) => (place.kind === 'webhook' ? [place.url] : []));
    if (values.ABLAUF_WITNESS_SECRET === undefined && urls.length > 0) {
      flaws.push('ABLAUF_WITNESS_SECRET: is missing, though a witness is told by webhook');
    }
    for (const url of urls) {
      const flaw = flawOfTarget(url, { allowPrivate: values.ABLAUF_ALLOW_PRIVATE_TARGETS === '1' });
      // Not the whole address: what follows the host may be a secret.
      if (flaw !== undefined) flaws.push(`ABLAUF_WITNESSES: ${new URL(url).origin} ${flaw}`);
    }
    const plain = values.ABLAUF_ALLOW_PLAIN;
    return places.map((place) => (place.kind === 's3' ? { ...place, plain } : place));
  } catch (error) {
    flaws.push(`ABLAUF_WITNESSES: ${error instanceof Error ? error.message : 'cannot be read'}`);
    return [];
  }
}

function securityContact(values: z.output<typeof schema>): SecurityContact | undefined {
  const { ABLAUF_SECURITY_CONTACT: found, ABLAUF_SECURITY_POLICY: policy, ABLAUF_PUBLIC_URL: url } = values;
  if (found === undefined) return undefined;
  return {
    contacts: found,
    ...(policy === undefined ? {} : { policy }),
    ...(url === undefined ? {} : { canonical: new URL('/.well-known/security.txt', url).href }),
  };
}

/** The servers a MongoDB URI names, in any order. */
function hostsOf(text: string): string {
  const [, hosts = ''] = /^mongodb(?:\+srv)?:\/\/(?:[^@/]*@)?([^/?]*)/.exec(text) ?? [];
  return hosts.toLowerCase().split(',').sort().join();
}

function previousKeys(text: string | undefined, flaws: string[]): string[] {
  const keys = (text ?? '')
    .split(',')
    .map((key) => key.trim())
    .filter((key) => key !== '');
  if (keys.some((key) => key.length < leastMasterKeyLength)) {
    flaws.push(`LITELLM_MASTER_KEY_PREVIOUS: each must have at least ${leastMasterKeyLength} characters`);
  }
  return keys;
}

function exportConfig(values: z.output<typeof schema>, flaws: string[]): Config['exports'] {
  const limits = {
    lifetime: parseDuration(values.ABLAUF_EXPORT_LIFETIME),
    patience: parseDuration(values.ABLAUF_EXPORT_PATIENCE),
  };
  if (limits.lifetime < 1000 || limits.lifetime > MAX_PERIOD) {
    flaws.push('ABLAUF_EXPORT_LIFETIME: must be at least PT1S and at most ten years');
  }
  if (limits.patience < 1000) flaws.push('ABLAUF_EXPORT_PATIENCE: must be at least PT1S');
  const bucket = values.ABLAUF_EXPORT_S3_BUCKET;
  const endpoint = values.ABLAUF_EXPORT_S3_ENDPOINT;
  const accessKeyId = values.ABLAUF_EXPORT_S3_ACCESS_KEY_ID;
  const secretAccessKey = values.ABLAUF_EXPORT_S3_SECRET_ACCESS_KEY;
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    flaws.push(
      'ABLAUF_EXPORT_S3_ACCESS_KEY_ID: is given together with ABLAUF_EXPORT_S3_SECRET_ACCESS_KEY or not at all',
    );
  }
  if (bucket === undefined) {
    if (endpoint !== undefined || accessKeyId !== undefined) {
      flaws.push('ABLAUF_EXPORT_S3_BUCKET: is missing, though the storage it lies in is given');
    }
    return { limits, s3: undefined };
  }
  const keys = accessKeyId === undefined || secretAccessKey === undefined ? {} : { accessKeyId, secretAccessKey };
  const s3 = {
    bucket,
    region: values.ABLAUF_EXPORT_S3_REGION,
    prefix: values.ABLAUF_EXPORT_S3_PREFIX,
    plain: values.ABLAUF_ALLOW_PLAIN,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...keys,
  };
  return { limits, s3 };
}

/** The variables we know, empty ones left out, and those with a `…_FILE` read from their files. */
function withFiles(environment: Readonly<Record<string, string | undefined>>, flaws: string[]): Record<string, string> {
  const given: Record<string, string> = {};
  for (const name of configurationVariables) {
    const value = environment[name];
    const file = environment[`${name}_FILE`];
    if (value !== undefined && value !== '') given[name] = value;
    if (file === undefined || file === '') continue;
    if (given[name] !== undefined) {
      flaws.push(`${name}: is given twice, also as ${name}_FILE`);
      continue;
    }
    try {
      given[name] = readFileSync(file, 'utf8').trim();
    } catch (error) {
      flaws.push(`${name}_FILE: cannot be read (${error instanceof Error ? error.message : 'unknown'})`);
    }
  }
  return given;
}
