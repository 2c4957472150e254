/** R21: the configuration lets nothing beyond this machine be spoken to plainly, unless the operator names it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { readConfig } from '../src/config';
import { isLoopback } from '../src/transit';
import { complete, flawsIn } from './helpers/configuration';
import { makeCertificates, type Certificates } from './helpers/tls';

let certificates: Certificates;
beforeAll(async () => {
  certificates = await makeCertificates();
});

function transitOf(environment: Record<string, string>) {
  return readConfig({ ...complete, ...environment }).transit;
}

function flawsOf(environment: Record<string, string>): string[] {
  return flawsIn({ ...complete, ...environment });
}

test('on this machine everything may be plain', () => {
  expect(transitOf({})).toEqual({
    server: { kind: 'off' },
    mongodb: undefined,
    vault: undefined,
    temporal: {},
    plain: [],
  });
});

test.each([
  ['localhost', true],
  ['LOCALHOST', true],
  ['127.0.0.1', true],
  ['127.8.9.10', true],
  ['::1', true],
  ['[::1]', true],
  ['::ffff:127.0.0.1', true],
  ['/tmp/mongodb-27017.sock', true],
  ['0.0.0.0', false],
  ['::', false],
  ['128.0.0.1', false],
  ['localhost.example.org', false],
  ['127.0.0.1.example.org', false],
  ['::ffff:10.0.0.1', false],
  ['', false],
])('%j is this machine: %s', (host, local) => {
  expect(isLoopback(host)).toBe(local);
});

describe('the API', () => {
  test.each(['0.0.0.0', '::', '192.168.1.10', 'api.internal'])('does not listen plainly on %s', (host) => {
    expect(flawsOf({ ABLAUF_HOST: host })).toEqual([expect.stringMatching(/^ABLAUF_HOST: .*ABLAUF_TLS=proxy/)]);
    expect(flawsOf({ ABLAUF_HOST: host, ABLAUF_TLS: 'off' })).toEqual([expect.stringMatching(/^ABLAUF_HOST: /)]);
    expect(flawsOf({ ABLAUF_HOST: host, ABLAUF_ALLOW_PLAIN: host })).toEqual([expect.stringMatching(/^ABLAUF_HOST: /)]);
  });

  test('listens anywhere with a certificate of its own, or where a proxy is declared', () => {
    const { certificate, key } = certificates.server;
    expect(transitOf({ ABLAUF_HOST: '0.0.0.0', ABLAUF_TLS: 'proxy' }).server).toEqual({ kind: 'proxy' });
    const { server } = transitOf({ ABLAUF_HOST: '0.0.0.0', ABLAUF_TLS_CERT: certificate, ABLAUF_TLS_KEY: key });
    expect(server).toMatchObject({ kind: 'own', files: [] });
  });

  test('a certificate without its key, with another, or that is none, is refused by name', () => {
    const { server, client } = certificates;
    const own = { ABLAUF_TLS_CERT: server.certificate, ABLAUF_TLS_KEY: server.key };
    expect(flawsOf({ ABLAUF_TLS_CERT: server.certificate })).toEqual(['ABLAUF_TLS_KEY: is missing']);
    expect(flawsOf({ ABLAUF_TLS_KEY: server.key })).toEqual(['ABLAUF_TLS_CERT: is missing']);
    expect(flawsOf({ ABLAUF_TLS: 'own' })).toEqual(['ABLAUF_TLS_CERT: is missing', 'ABLAUF_TLS_KEY: is missing']);
    expect(flawsOf({ ...own, ABLAUF_TLS_KEY: client.key })).toEqual([
      'ABLAUF_TLS_KEY: does not belong to the certificate',
    ]);
    expect(flawsOf({ ...own, ABLAUF_TLS_KEY: 'a secret' })).toEqual([expect.not.stringContaining('a secret')]);
    expect(flawsOf({ ...own, ABLAUF_TLS_CERT: 'nothing' })).toEqual(['ABLAUF_TLS_CERT: is no certificate in PEM']);
    expect(flawsOf({ ...own, ABLAUF_TLS: 'proxy' })).toEqual([expect.stringMatching(/^ABLAUF_TLS: is proxy, though/)]);
  });

  test('a certificate in files is read from them again', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ablauf-tls-config-'));
    try {
      const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
      writeFileSync(cert, certificates.server.certificate);
      writeFileSync(key, certificates.server.key);
      const { server } = transitOf({ ABLAUF_TLS_CERT_FILE: cert, ABLAUF_TLS_KEY_FILE: key });
      if (server.kind !== 'own') throw new Error('it has a certificate of its own');
      expect(server.files).toEqual([cert, key]);
      writeFileSync(cert, certificates.client.certificate);
      expect(server.read().cert).toBe(certificates.client.certificate.trim());
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe.each([
  ['ABLAUF_MONGODB_URI', 'ABLAUF_MONGODB_TLS'],
  ['ABLAUF_VAULT_URI', 'ABLAUF_VAULT_TLS'],
] as const)('%s', (uri, tls) => {
  test.each([
    'mongodb://db.example.org/ablauf',
    'mongodb://user:password@db.example.org:27017/ablauf?replicaSet=rs0',
    'mongodb://127.0.0.1,db.example.org:27018/ablauf',
    'mongodb://db.example.org/ablauf?tls=false',
    'mongodb://db.example.org/ablauf?tls=true&tls=false',
    'mongodb+srv://db.example.org/ablauf?ssl=false',
    'mongodb://10.0.0.7/ablauf',
  ])('%s is refused: it is plain', (value) => {
    expect(flawsOf({ [uri]: value })).toEqual([
      expect.stringMatching(new RegExp(`^${uri}: .* would be spoken to without TLS; .*ABLAUF_ALLOW_PLAIN$`)),
    ]);
  });

  test.each([
    'mongodb://db.example.org/ablauf?tls=true',
    'mongodb://db.example.org/ablauf?retryWrites=true&SSL=true',
    'mongodb+srv://db.example.org/ablauf',
    'mongodb://localhost:27019,127.0.0.1:27020,[::1]:27021/ablauf?replicaSet=rs0',
    'mongodb://%2Ftmp%2Fmongodb-27017.sock/ablauf',
  ])('%s is accepted', (value) => {
    expect(flawsOf({ [uri]: value })).toEqual([]);
  });

  test.each(['tlsInsecure', 'tlsAllowInvalidCertificates', 'tlsAllowInvalidHostnames'])(
    'is refused with %s: it would accept anybody',
    (option) => {
      expect(flawsOf({ [uri]: `mongodb://db.example.org/ablauf?tls=true&${option}=true` })).toEqual([
        `${uri}: ${option.toLowerCase()} would accept anybody's certificate`,
      ]);
    },
  );

  test('authorities turn TLS on, and contradict a URI that turns it off', () => {
    const plain = 'mongodb://db.example.org/ablauf';
    const ca = certificates.authority.certificate;
    expect(flawsOf({ [uri]: plain, [`${tls}_CA`]: ca })).toEqual([]);
    expect(flawsOf({ [uri]: `${plain}?tls=false`, [`${tls}_CA`]: ca })).toEqual([
      expect.stringMatching(new RegExp(`^${uri}: says that TLS is off`)),
    ]);
    expect(flawsOf({ [`${tls}_CA`]: 'nothing' })).toEqual([`${tls}_CA: is no certificate in PEM`]);
    expect(flawsOf({ [`${tls}_CERT`]: certificates.client.certificate })).toEqual([
      `${tls}_CERT: is given together with ${tls}_KEY or not at all`,
    ]);
  });
});

describe('Temporal', () => {
  const cloud = { ABLAUF_TEMPORAL_ADDRESS: 'temporal.example.org:7233' };

  test('is not spoken to plainly beyond this machine', () => {
    expect(flawsOf(cloud)).toEqual([
      expect.stringMatching(/^ABLAUF_TEMPORAL_ADDRESS: temporal\.example\.org would .*ABLAUF_TEMPORAL_TLS=1/),
    ]);
    expect(flawsOf({ ABLAUF_TEMPORAL_ADDRESS: '[2001:db8::1]:7233' })).toHaveLength(1);
    expect(flawsOf({ ABLAUF_TEMPORAL_ADDRESS: '[::1]:7233' })).toEqual([]);
  });

  test('is spoken to over TLS as soon as anything of it is given', () => {
    const { certificate, key } = certificates.client;
    expect(transitOf({ ...cloud, ABLAUF_TEMPORAL_TLS: '1' }).temporal).toEqual({ tls: {} });
    expect(transitOf({ ...cloud, ABLAUF_TEMPORAL_API_KEY: 'a-key' }).temporal).toEqual({ tls: {}, apiKey: 'a-key' });
    const mutual = { ABLAUF_TEMPORAL_TLS_CERT: certificate, ABLAUF_TEMPORAL_TLS_KEY: key };
    expect(transitOf({ ...cloud, ...mutual, ABLAUF_TEMPORAL_TLS_SERVER_NAME: 'temporal' }).temporal).toEqual({
      tls: { cert: certificate, key, serverName: 'temporal' },
    });
    expect(flawsOf({ ...cloud, ...mutual, ABLAUF_TEMPORAL_TLS_KEY: certificates.server.key })).toEqual([
      'ABLAUF_TEMPORAL_TLS_KEY: does not belong to the certificate',
    ]);
  });
});

describe('ABLAUF_ALLOW_PLAIN', () => {
  const compose = {
    ABLAUF_MONGODB_URI: 'mongodb://mongodb:27017/ablauf',
    ABLAUF_VAULT_URI: 'mongodb://vault-mongodb:27017/ablauf_vault',
    ABLAUF_LEDGER: 'file:/var/lib/ablauf/ledger.ndjson',
    ABLAUF_TEMPORAL_ADDRESS: 'temporal:7233',
  };

  test('is an exception host by host, each of which is said at start', () => {
    expect(transitOf({ ...compose, ABLAUF_ALLOW_PLAIN: 'mongodb, Vault-MongoDB,temporal, elsewhere' }).plain).toEqual([
      'mongodb',
      'vault-mongodb',
      'temporal',
    ]);
    expect(flawsOf({ ...compose, ABLAUF_ALLOW_PLAIN: 'mongodb,temporal' })).toEqual([
      expect.stringMatching(/^ABLAUF_VAULT_URI: vault-mongodb would be spoken to without TLS/),
    ]);
  });

  test.each(['*', '10.0.0.0/8', 'mongodb:27017', 'one two'])('does not take %j', (value) => {
    expect(flawsOf({ ABLAUF_ALLOW_PLAIN: value })).toEqual([expect.stringMatching(/^ABLAUF_ALLOW_PLAIN: /)]);
  });

  test('covers metrics beyond this machine', () => {
    expect(flawsOf({ ABLAUF_MANAGEMENT_HOST: '0.0.0.0' })).toEqual([
      expect.stringMatching(/^ABLAUF_MANAGEMENT_HOST: .*ABLAUF_ALLOW_PLAIN$/),
    ]);
    expect(flawsOf({ ABLAUF_MANAGEMENT_HOST: '0.0.0.0', ABLAUF_ALLOW_PLAIN: '0.0.0.0' })).toEqual([]);
  });
});

describe('object storages and AWS KMS', () => {
  const exports = { ABLAUF_EXPORT_S3_BUCKET: 'exports' };
  const ledger = { ABLAUF_LEDGER: 's3://ledger/erasures' };
  const witness = { ABLAUF_WITNESSES: 's3://witness/checkpoints' };
  const kms = { ABLAUF_KMS_KEY: 'alias/ablauf' };
  const kmsBefore = { ABLAUF_KMS_KEY_PREVIOUS: 'alias/before' };
  const cases: [variable: string, users: Record<string, string>[]][] = [
    ['ABLAUF_EXPORT_S3_ENDPOINT', [exports]],
    ['ABLAUF_LEDGER_S3_ENDPOINT', [ledger]],
    ['AWS_ENDPOINT_URL_S3', [exports, ledger, witness]],
    ['AWS_ENDPOINT_URL_KMS', [kms, kmsBefore]],
    ['AWS_ENDPOINT_URL', [exports, ledger, witness, kms, kmsBefore]],
  ];

  describe.each(cases.flatMap(([variable, users]) => users.map((user) => [variable, user] as const)))(
    '%s, for %j',
    (variable, user) => {
      test.each(['http://elsewhere:9000', 'HTTP://elsewhere', 'http://user:password@elsewhere/path'])(
        'R21: %s is refused unless it is named',
        (url) => {
          expect(flawsOf({ ...user, [variable]: url })).toEqual([
            `${variable}: elsewhere would be spoken to without TLS; begin it with https://, or list it in ABLAUF_ALLOW_PLAIN`,
          ]);
          const named = transitOf({ ...user, [variable]: url, ABLAUF_ALLOW_PLAIN: 'elsewhere' });
          expect(named.plain).toEqual(['elsewhere']);
        },
      );

      test.each(['https://elsewhere', 'http://127.0.0.1:9000', 'http://localhost:9000', 'http://[::1]:9000'])(
        '%s is accepted',
        (url) => {
          expect(transitOf({ ...user, [variable]: url }).plain).toEqual([]);
        },
      );
    },
  );

  test('what nobody uses, or something nearer replaces, is not judged', () => {
    const everywhere = { AWS_ENDPOINT_URL: 'http://elsewhere' };
    expect(flawsOf(everywhere)).toEqual([]);
    expect(flawsOf({ ...everywhere, ...kms, AWS_ENDPOINT_URL_KMS: 'https://kms.example.org' })).toEqual([]);
    expect(flawsOf({ ...everywhere, ...exports, ABLAUF_EXPORT_S3_ENDPOINT: 'https://s3.example.org' })).toEqual([]);
    expect(flawsOf({ ...everywhere, ...exports, ...ledger, ...witness, ...kms })).toHaveLength(1);
    expect(flawsOf({ ...exports, AWS_ENDPOINT_URL: '' })).toEqual([]);
  });

  test.each(['elsewhere:9000', 'ftp://elsewhere', 'http://'])('%s is no endpoint', (url) => {
    expect(flawsOf({ ...kms, AWS_ENDPOINT_URL: url })).toEqual(['AWS_ENDPOINT_URL: must begin with https://']);
  });
});

describe('witnesses by webhook', () => {
  const secret = { ABLAUF_WITNESS_SECRET: `whsec_${Buffer.alloc(32, 1).toString('base64')}` };
  const told = (url: string, more = {}) => flawsOf({ ...secret, ABLAUF_WITNESSES: url, ...more });
  const here = { ABLAUF_ALLOW_PRIVATE_TARGETS: '1' };

  test('R21: are never told in the clear, but on this machine where private targets are allowed', () => {
    expect(told('https://witness.example.org/a')).toEqual([]);
    expect(told('http://witness.example.org/a-secret')).toEqual([
      'ABLAUF_WITNESSES: http://witness.example.org must begin with https://',
    ]);
    expect(told('http://witness.example.org/', here)).toHaveLength(1);
    expect(told('http://127.0.0.1:9000/', here)).toEqual([]);
    expect(told('http://127.0.0.1:9000/')).toHaveLength(1);
    expect(told('http://10.0.0.7/', { ...here, ABLAUF_ALLOW_PLAIN: '10.0.0.7' })).toHaveLength(1);
  });
});
