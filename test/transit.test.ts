/** R21: everything in transit runs over TLS. Real certificates, real servers, real processes. */
import { randomBytes, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { request, type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NativeConnection } from '@temporalio/worker';
import { openStore } from '../src/data';
import { freePort, startService, startTemporal, type Child, type RunningTemporal } from '../src/embedded';
import { connectLazily, securityOptions, type TemporalSecurity } from '../src/temporal';
import type { ClientTls } from '../src/transit';
import { openKeyStore } from '../src/vault';
import { searchAttributeTypes } from '../src/workflows';
import { eventually } from './helpers/eventually';
import { newIdentity } from './helpers/processor';
import { dropTestStore, masterKey, openTestVault, quietRuntime, region, required } from './helpers/system';
import { makeCertificates, tlsInFrontOf, type Certificates, type TlsFront } from './helpers/tls';

let certificates: Certificates;
let folder: string;

beforeAll(async () => {
  certificates = await makeCertificates();
  folder = mkdtempSync(join(tmpdir(), 'ablauf-tls-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a file of the test's folder. @returns its path */
function file(name: string, text: string): string {
  const path = join(folder, name);
  // As anything careful replaces a file that others read.
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
  return path;
}

const mongodbPort = () => Number(new URL(required('ABLAUF_TEST_MONGODB')).port);

describe('R21: MongoDB over TLS', () => {
  const fronts: TlsFront[] = [];
  afterAll(async () => {
    for (const front of fronts) await front.close();
  });

  async function front(...args: Parameters<typeof tlsInFrontOf>): Promise<TlsFront> {
    const made = await tlsInFrontOf(...args);
    fronts.push(made);
    return made;
  }

  const uriOf = ({ port }: TlsFront, host = 'localhost') =>
    `mongodb://${host}:${port}/tls_${randomBytes(4).toString('hex')}?directConnection=true`;

  /** Connects as both databases of ours are connected to. */
  async function connects(uri: string, tls: ClientTls): Promise<void> {
    const keyStore = await openKeyStore({ uri, tls, selectionTimeout: 1500 });
    await keyStore.connection.dropDatabase();
    await keyStore.connection.close();
  }

  test('the data and the key store are read and written through it', async () => {
    const secured = await front(mongodbPort(), certificates.server);
    const uri = uriOf(secured);
    const vault = await openTestVault(uri.replace(String(secured.port), String(mongodbPort())));
    const store = await openStore({ uri, region, vault, tls: { ca: certificates.authority.certificate } });
    await store.settings.create({ _id: '/policy', gracePeriod: 'P1D', version: 1 });
    expect(await store.settings.countDocuments()).toBe(1);
    await dropTestStore(store);
    await connects(uri, { ca: certificates.authority.certificate });
    expect(secured.accepted()).toBeGreaterThan(1);
  });

  test('a server of another authority, an expired one, and one of another name are refused', async () => {
    const good = await front(mongodbPort(), certificates.server);
    const stale = await front(mongodbPort(), certificates.expired);
    const { certificate: ca } = certificates.authority;
    await expect(connects(uriOf(good), { ca: certificates.stranger.authority.certificate })).rejects.toThrow(
      /certificate/i,
    );
    await expect(connects(uriOf(stale), { ca })).rejects.toThrow(/certificate has expired/);
    await expect(connects(uriOf(good, '127.0.0.1'), { ca })).rejects.toThrow(/does not match|altnames/);
  });

  test('a server that wants to know its clients gets our certificate, and refuses others', async () => {
    const strict = await front(mongodbPort(), certificates.server, {
      requestCert: true,
      rejectUnauthorized: true,
      ca: certificates.authority.certificate,
    });
    const { certificate: ca } = certificates.authority;
    const { certificate: cert, key } = certificates.client;
    await connects(uriOf(strict), { ca, cert, key });
    expect(strict.seen.at(-1)?.client).toBe('ablauf');
    await expect(connects(uriOf(strict), { ca })).rejects.toThrow();
    const { client } = certificates.stranger;
    await expect(connects(uriOf(strict), { ca, cert: client.certificate, key: client.key })).rejects.toThrow();
  });
});

describe('R21: Temporal over mTLS', () => {
  let strict: TlsFront;
  let stale: TlsFront;
  beforeAll(async () => {
    quietRuntime();
    const port = Number(required('ABLAUF_TEST_TEMPORAL').split(':')[1]);
    const options = {
      ALPNProtocols: ['h2'],
      requestCert: true,
      rejectUnauthorized: true,
      ca: certificates.authority.certificate,
    };
    strict = await tlsInFrontOf(port, certificates.server, options);
    stale = await tlsInFrontOf(port, certificates.expired, options);
  });
  afterAll(async () => {
    await strict.close();
    await stale.close();
  });

  function security(change: Partial<TemporalSecurity['tls']> = {}): TemporalSecurity {
    const { authority, client } = certificates;
    return { tls: { ca: authority.certificate, cert: client.certificate, key: client.key, ...change } };
  }

  /** Both ends of ours: the API's client, and the worker. */
  async function reaches(front: TlsFront, host: string, given: TemporalSecurity): Promise<void> {
    const address = `${host}:${front.port}`;
    const connection = connectLazily(address, given);
    try {
      await connection.withDeadline(Date.now() + 2500, () => connection.healthService.check({}));
    } finally {
      await connection.close();
    }
    const native = await NativeConnection.connect({ address, ...securityOptions(given) });
    await native.close();
  }

  /** The worker's own connection, which tries for long before it says no. */
  const worker = (address: string, given: TemporalSecurity) =>
    NativeConnection.connect({ address, ...securityOptions(given) }).then((native) => native.close());

  test('the API and the worker show their certificate, and speak HTTP/2', async () => {
    await reaches(strict, 'localhost', security());
    expect(strict.seen.length).toBeGreaterThan(1);
    for (const { client, alpn } of strict.seen) expect([client, alpn]).toEqual(['ablauf', 'h2']);
  });

  test('the name in the certificate may be another than the address', async () => {
    await expect(reaches(strict, '127.0.0.1', security())).rejects.toThrow();
    await reaches(strict, '127.0.0.1', security({ serverName: 'localhost' }));
    expect(strict.seen.at(-1)?.servername).toBe('localhost');
  });

  test.each<[string, () => [TlsFront, TemporalSecurity]]>([
    ['without a certificate of ours', () => [strict, { tls: { ca: certificates.authority.certificate } }]],
    [
      'with one of another authority',
      () => {
        const { certificate: cert, key } = certificates.stranger.client;
        return [strict, security({ cert, key })];
      },
    ],
    ['to a server of another authority', () => [strict, security({ ca: certificates.stranger.authority.certificate })]],
    ['to a server whose certificate is over', () => [stale, security()]],
    ['plainly', () => [strict, {}]],
  ])(
    'is refused %s',
    async (_, given) => {
      const [front, secured] = given();
      await expect(reaches(front, 'localhost', secured)).rejects.toThrow();
      await expect(worker(`localhost:${front.port}`, secured)).rejects.toThrow();
    },
    60_000,
  );
});

interface Answered {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** Asks over HTTPS, or plainly. */
function ask(url: string, options: RequestOptions & { readonly payload?: unknown } = {}): Promise<Answered> {
  const { payload, ...rest } = options;
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? request : plainRequest;
    const asked = send(url, { agent: false, ...rest }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (body += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    asked.on('error', reject);
    if (payload !== undefined) asked.setHeader('content-type', 'application/json');
    asked.end(payload === undefined ? undefined : JSON.stringify(payload));
  });
}

describe('R21: the whole of it over TLS, in processes of their own', () => {
  const source = (name: string) => join(__dirname, '..', 'src', name);
  const adminKey = 'an-administrator-over-tls';
  const running: Child[] = [];
  const fronts: TlsFront[] = [];
  let temporal: RunningTemporal;
  let api: Child;
  let port: number;
  let ca: string;
  let env: NodeJS.ProcessEnv;
  const databases = { data: `tls_${randomBytes(4).toString('hex')}`, keys: `tls_${randomBytes(4).toString('hex')}` };

  const url = () => `https://localhost:${port}`;
  const bearer = { authorization: `Bearer ${adminKey}` };
  const log = (name: string) => join(folder, `${name}.log`);
  const logged = (name: string) => (existsSync(log(name)) ? readFileSync(log(name), 'utf8') : '');

  const logs = (text: string) =>
    eventually(`the log says "${text}"`, () => Promise.resolve(logged('server').includes(text) || undefined));

  function start(name: 'worker' | 'server', environment: NodeJS.ProcessEnv): Promise<Child> {
    return startService({
      name,
      entry: source(`${name}.ts`),
      env: environment,
      log: log(name),
      report: () => undefined,
    });
  }

  beforeAll(async () => {
    ca = certificates.authority.certificate;
    temporal = await startTemporal({ port: 0, namespace: 'default', searchAttributes: searchAttributeTypes });
    const strict = { requestCert: true, rejectUnauthorized: true, ca };
    const data = await tlsInFrontOf(mongodbPort(), certificates.server, strict);
    const keys = await tlsInFrontOf(mongodbPort(), certificates.server, strict);
    const temporalFront = await tlsInFrontOf(Number(temporal.address.split(':')[1]), certificates.server, {
      ...strict,
      ALPNProtocols: ['h2'],
    });
    fronts.push(data, keys, temporalFront);
    port = await freePort();
    const client = {
      CA_FILE: file('ca.pem', ca),
      CERT_FILE: file('client.pem', certificates.client.certificate),
      KEY_FILE: file('client.key', certificates.client.key),
    };
    env = {
      ...process.env,
      ABLAUF_HOST: '0.0.0.0',
      ABLAUF_PORT: String(port),
      ABLAUF_TLS_CERT_FILE: file('server.pem', certificates.server.certificate),
      ABLAUF_TLS_KEY_FILE: file('server.key', certificates.server.key),
      ABLAUF_MANAGEMENT_PORT: String(await freePort()),
      ABLAUF_WORKER_MANAGEMENT_PORT: String(await freePort()),
      ABLAUF_ADMIN_KEY: adminKey,
      LITELLM_MASTER_KEY: masterKey,
      ABLAUF_MONGODB_URI: `mongodb://localhost:${data.port}/${databases.data}?directConnection=true`,
      ABLAUF_VAULT_URI: `mongodb://localhost:${keys.port}/${databases.keys}?directConnection=true`,
      ABLAUF_LEDGER: `file:${join(folder, 'ledger.ndjson')}`,
      ABLAUF_TEMPORAL_ADDRESS: `127.0.0.1:${temporalFront.port}`,
      ABLAUF_TEMPORAL_TLS_SERVER_NAME: 'localhost',
      ...Object.fromEntries(
        ['MONGODB', 'VAULT', 'TEMPORAL'].flatMap((part) =>
          Object.entries(client).map(([name, path]) => [`ABLAUF_${part}_TLS_${name}`, path]),
        ),
      ),
    };
    running.push(await start('worker', env));
    api = await start('server', env);
    running.push(api);
    await eventually('every part answers', async () =>
      (await ask(`${url()}/readyz`, { ca })).status === 200 ? true : undefined,
    );
  }, 120_000);

  afterAll(async () => {
    for (const child of running.reverse()) await child.stop();
    for (const front of fronts) await front.close();
    await temporal.stop();
    for (const name of [databases.data, databases.keys]) {
      const left = new URL(required('ABLAUF_TEST_MONGODB'));
      left.pathname = `/${name}`;
      const { connection } = await openKeyStore({ uri: left.href });
      await connection.dropDatabase();
      await connection.close();
    }
  }, 60_000);

  test('an account is created and suspended, and the browser is told to come back over TLS', async () => {
    const payload = { id: 'secured', name: 'Secured Ltd', email: 'it@secured.example', plan: 'standard' };
    const created = await ask(`${url()}/v1/accounts`, { ca, method: 'POST', headers: bearer, payload });
    expect(created.status).toBe(201);
    expect(created.headers['strict-transport-security']).toMatch(/^max-age=\d{8}/);
    const suspended = await ask(`${url()}/v1/accounts/secured/suspend`, {
      ca,
      method: 'POST',
      headers: bearer,
      payload: { reason: 'non_payment' },
    });
    expect(JSON.parse(suspended.body)).toMatchObject({ state: 'suspended' });
    for (const { accepted } of fronts) expect(accepted()).toBeGreaterThan(0);
  });

  test('nobody without the authority is talked to, nobody plainly, and nothing below TLS 1.2', async () => {
    const stranger = certificates.stranger.authority.certificate;
    await expect(ask(`${url()}/healthz`, { ca: stranger })).rejects.toThrow(/certificate/);
    await expect(ask(`http://localhost:${port}/healthz`)).rejects.toThrow();
    const old = new Promise((resolve, reject) => {
      const socket = connectTls({
        port,
        host: 'localhost',
        ca,
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'ALL:@SECLEVEL=0',
      });
      socket.once('secureConnect', resolve).once('error', reject);
    });
    await expect(old).rejects.toThrow(/protocol/);
    expect((await ask(`${url()}/healthz`, { ca, maxVersion: 'TLSv1.2' })).status).toBe(200);
  });

  test('a renewed certificate is taken up without a restart, when its file changes or on SIGHUP', async () => {
    const renewed = await newIdentity({ issuer: certificates.authority, keyType: 'ec' });
    // The first of two files alone does not fit: the one in use stays.
    file('server.pem', renewed.certificate);
    process.kill(api.pid, 'SIGHUP');
    await logs('the one before stays');
    expect((await ask(`${url()}/healthz`, { ca })).status).toBe(200);
    file('server.key', renewed.key);
    await logs('the certificate was renewed');
    expect(await servedSerial()).toBe(serialOf(renewed.certificate));
    expect((await ask(`${url()}/healthz`, { ca })).status).toBe(200);
  }, 60_000);

  test('a process is not started plainly beyond this machine, and says which variable to set', async () => {
    const { ABLAUF_TLS_CERT_FILE: _cert, ABLAUF_TLS_KEY_FILE: _key, ...rest } = env;
    const refused = await start('server', { ...rest, ABLAUF_PORT: '0' });
    expect(await refused.exited).toContain('1');
    expect(logged('server')).toContain('ABLAUF_HOST: 0.0.0.0 is reached from other machines');
  }, 60_000);

  async function servedSerial(): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connectTls({ port, host: 'localhost', ca, servername: 'localhost' }, () => {
        resolve(serialOf(socket.getPeerX509Certificate()?.toString() ?? ''));
        socket.destroy();
      });
      socket.once('error', reject);
    });
  }
});

function serialOf(certificate: string): string {
  return new X509Certificate(certificate).serialNumber;
}
