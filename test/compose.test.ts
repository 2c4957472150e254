import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Ajv, type AnySchemaObject } from 'ajv';
import { parse } from 'yaml';
import { z } from 'zod';
import { configurationVariables, readConfig } from '../src/config';

// No container engine is needed here: the Compose specification's own schema says whether the file means anything, and the
// rules below say whether it is how we want to be run. Every rule is shown to bite on a copy that breaks it.

const ROOT = join(__dirname, '..');
const text = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

/** Only ever as a file: what is in the environment is in `docker inspect` too. */
const SECRETS = /(PASSWORD|PWD|_KEY|_URI)$/;

const serviceSchema = z.looseObject({
  image: z.string(),
  user: z.string().default('root'),
  restart: z.string().optional(),
  read_only: z.boolean().default(false),
  cap_drop: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  secrets: z
    .array(z.union([z.string(), z.object({ source: z.string(), target: z.string() })]))
    .default([])
    .transform((secrets) =>
      secrets.map((secret) => (typeof secret === 'string' ? { source: secret, target: secret } : secret)),
    ),
  healthcheck: z.object({ test: z.array(z.string()) }).optional(),
  deploy: z.object({ resources: z.object({ limits: z.object({ cpus: z.string(), memory: z.string() }) }) }).optional(),
});
const composeSchema = z.looseObject({
  services: z.record(z.string(), serviceSchema),
  secrets: z.record(z.string(), z.object({ file: z.string() })),
});
type Compose = z.infer<typeof composeSchema>;

function faultsOf(compose: Compose): string[] {
  const faults: string[] = [];
  for (const [name, service] of Object.entries(compose.services)) {
    const rule = (kept: boolean, fault: string): void => {
      if (!kept) faults.push(`${name}: ${fault}`);
    };
    const [user, group] = service.user.split(':');
    rule(/^[1-9]\d*$/.test(user ?? '') && /^[1-9]\d*$/.test(group ?? ''), 'runs as root');
    rule(/:\d+\.\d+[\w.-]*$/.test(service.image), `image without a pinned tag: ${service.image}`);
    rule(service.read_only, 'can write its own image');
    rule(service.cap_drop.includes('ALL'), 'keeps capabilities');
    rule(service.security_opt.includes('no-new-privileges:true'), 'may gain privileges');
    rule(service.deploy !== undefined, 'has no resource limits');
    const oneShot = service.restart?.startsWith('on-failure') ?? false;
    rule(oneShot || service.restart === 'unless-stopped', 'does not come back after a fault');
    rule(oneShot || service.healthcheck !== undefined, 'has no health check');
    for (const port of service.ports) rule(port.startsWith('127.0.0.1:'), `published beyond this machine: ${port}`);
    for (const [variable, value] of Object.entries(service.environment)) {
      rule(!SECRETS.test(variable), `secret in the environment: ${variable}`);
      const file = value.startsWith('/run/secrets/') ? value.slice('/run/secrets/'.length) : undefined;
      rule(file === undefined || service.secrets.some(({ target }) => target === file), `file not mounted: ${value}`);
    }
    for (const { source } of service.secrets) rule(source in compose.secrets, `unknown secret: ${source}`);
  }
  for (const [used] of JSON.stringify(compose).matchAll(/\b(ABLAUF|LITELLM)_[A-Z_]+/g)) {
    if (!configurationVariables.includes(used.replace(/_FILE$/, ''))) faults.push(`unknown variable: ${used}`);
  }
  return faults;
}

const schemaFile = join(dirname(require.resolve('dclint/package.json')), 'schemas', 'compose.schema.json');
// ajv knows draft 7 by another spelling of its address than the schema uses.
const { $schema: _draft, ...specification } = JSON.parse(readFileSync(schemaFile, 'utf8')) as AnySchemaObject;
const isCompose = new Ajv({ strict: false }).compile(specification);

const read = (): unknown => parse(text('docker-compose.yml'), { merge: true });
/** A copy of the services as they are, one of them changed. */
function broken(name: string, change: Record<string, unknown>): Compose {
  const compose = composeSchema.parse(read());
  return composeSchema.parse({
    ...compose,
    services: { ...compose.services, [name]: { ...compose.services[name], ...change } },
  });
}

/** What a secret's file would hold, as the file's own instructions make it. */
function valueOf(file: string): string {
  const [, name = ''] = /^\/run\/secrets\/(\w+)$/.exec(file) ?? [];
  const made = new RegExp(`"(mongodb://[^"]+)" > ${name}$`, 'm').exec(text('docker-compose.yml'))?.[1];
  return made?.replace(/\$\([^)]*\)/, 'a-password') ?? '0'.repeat(64);
}

describe('docker-compose.yml', () => {
  test('is a Compose file by the specification', () => {
    const valid = isCompose(read());
    expect(isCompose.errors ?? []).toEqual([]);
    expect(valid).toBe(true);
  });

  test('keeps to the rules of this deployment', () => {
    expect(faultsOf(composeSchema.parse(read()))).toEqual([]);
  });

  test('runs the API and the worker from one image, on a replica set and a durable Temporal', () => {
    const { services } = composeSchema.parse(read());
    expect(Object.keys(services)).toEqual(
      expect.arrayContaining([
        'api',
        'worker',
        'mongodb',
        'vault-mongodb',
        'postgresql',
        'temporal',
        'temporal-setup',
        'temporal-ui',
      ]),
    );
    expect(services['worker']?.image).toBe(services['api']?.image);
    expect(JSON.stringify(services['api']?.healthcheck)).toContain('/readyz');
  });

  test('creates the search attributes accounts are found by', () => {
    const { services } = composeSchema.parse(read());
    const setup = JSON.stringify(services['temporal-setup']);
    expect(setup).toContain(
      'AccountId:Keyword AccountState:Keyword NextAction:Keyword DeadlineAt:Datetime HoldCount:Int',
    );
  });

  test.each(['api', 'worker'])('configures the %s completely', (name) => {
    const environment = composeSchema.parse(read()).services[name]?.environment ?? {};
    const given = Object.entries(environment).map(([variable, value]) =>
      variable.endsWith('_FILE')
        ? [variable.slice(0, -'_FILE'.length), valueOf(value)]
        : [variable, value.replace(/^\$\{\w+:-(.*)\}$/, '$1')],
    );
    const config = readConfig(Object.fromEntries(given) as Record<string, string>);
    // The image listens for its neighbours; this machine's ports are what Compose publishes.
    expect(config.host).toBe('0.0.0.0');
    expect(config.temporal).toMatchObject({ address: 'temporal:7233', namespace: 'default' });
    // R21: what is plain inside is declared, host by host.
    expect(config.transit).toMatchObject({
      server: { kind: 'proxy' },
      plain: ['mongodb', 'vault-mongodb', 'temporal'],
    });
  });

  test('keeps the wrapped keys on a server of their own: other volumes, another password, another user (R21)', () => {
    const { services, secrets } = composeSchema.parse(read());
    const volumes = (name: string) => (services[name]?.['volumes'] as string[]).map((volume) => volume.split(':')[0]);
    expect(volumes('vault-mongodb')).toHaveLength(2);
    expect(volumes('vault-mongodb').filter((volume) => volumes('mongodb').includes(volume))).toEqual([]);
    const sources = (name: string) => services[name]?.secrets.map(({ source }) => source) ?? [];
    expect(sources('vault-mongodb').filter((secret) => sources('mongodb').includes(secret))).toEqual([]);
    expect(secrets).toHaveProperty('vault_uri');
    // A destroyed key is in the operation log until that is overwritten: it has to be a small one.
    expect(services['vault-mongodb']?.environment['MONGOD_ARGUMENTS']).toBe('--oplogSize 16');
    expect(valueOf('/run/secrets/vault_uri')).toContain('@vault-mongodb:27017/ablauf_vault');
  });

  test('keeps its secrets where git does not look', () => {
    const { secrets } = composeSchema.parse(read());
    expect(text('.gitignore').split('\n')).toContain('.ablauf/');
    for (const { file } of Object.values(secrets)) expect(file).toMatch(/^\.ablauf\/secrets\//);
  });

  test('is refused by the specification when a service is mistaken', () => {
    expect(isCompose(broken('api', { imagee: 'ablauf:0.1.0' }))).toBe(false);
    // A colon in an unquoted command makes it a mapping: it reads well and does not start.
    const mapping = text('docker-compose.yml').replace('- |\n          fetch', '- fetch');
    expect(isCompose(parse(mapping, { merge: true }))).toBe(false);
  });

  test.each([
    ['api', { ports: ['3000:3000'] }, 'api: published beyond this machine: 3000:3000'],
    ['api', { user: '0:0' }, 'api: runs as root'],
    ['api', { user: undefined }, 'api: runs as root'],
    ['mongodb', { image: 'mongo:latest' }, 'mongodb: image without a pinned tag: mongo:latest'],
    ['mongodb', { image: 'mongo' }, 'mongodb: image without a pinned tag: mongo'],
    ['worker', { healthcheck: undefined }, 'worker: has no health check'],
    ['worker', { read_only: false }, 'worker: can write its own image'],
    ['worker', { deploy: undefined }, 'worker: has no resource limits'],
    ['worker', { environment: { ABLAUF_ADMIN_KEY: 'x' } }, 'worker: secret in the environment: ABLAUF_ADMIN_KEY'],
    ['worker', { environment: { ABLAUF_GRACE: 'P1D' } }, 'unknown variable: ABLAUF_GRACE'],
    ['temporal', { secrets: ['nothing'] }, 'temporal: unknown secret: nothing'],
    ['temporal', { secrets: [{ source: 'nothing', target: 'x' }] }, 'temporal: unknown secret: nothing'],
  ])('is refused by our rules when %s has %j', (name, change, fault) => {
    expect(faultsOf(broken(name, change))).toEqual([fault]);
  });
});

describe('Dockerfile', () => {
  test('starts from pinned images and ends as somebody other than root', () => {
    const lines = text('Dockerfile').split('\n');
    const images = lines.filter((line) => line.startsWith('FROM ')).map((line) => line.split(' ')[1]);
    expect(images.length).toBeGreaterThan(1);
    for (const image of images) expect(image).toMatch(/^node:\d+\.\d+\.\d+-bookworm-slim$/);
    expect(lines.filter((line) => line.startsWith('USER ')).at(-1)).toBe('USER 1000:1000');
  });
});
