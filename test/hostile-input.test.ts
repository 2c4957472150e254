/**
 * What somebody sends who means harm: to every declared call, as it is declared. None of it may break anything, change
 * anything, show a stack or somebody else's data, or keep the next request waiting.
 */
import { request as send, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { Route } from '../src/api';
import { adminKey, startApi, type Api } from './helpers/api';

interface Sent {
  readonly method: string;
  /** As it goes over the wire. */
  readonly path: string;
  readonly key?: string | null;
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

let api: Api;
let customer: string;
const own = 'hostile-own';
const other = 'hostile-other';
const secret = 'Nobody else may read this name';

beforeAll(async () => {
  api = await startApi();
  for (const [id, name] of [
    [own, 'Own'],
    [other, secret],
  ] as const) {
    const body = { id, name, email: `${id}@example.org`, plan: 'enterprise' };
    expect((await api.ask('POST', '/v1/accounts', { body })).status).toBe(201);
  }
  customer = await api.keyFor('customer', own);
});
afterAll(() => api.stop());

/** Sends just this: no client of our own corrects it. */
function ask({ method, path, key = adminKey, body, headers = {} }: Sent): Promise<Got> {
  const { hostname, port } = new URL(api.url);
  return new Promise((resolve, reject) => {
    const asked = send(
      {
        hostname,
        port,
        method,
        path,
        headers: {
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...headers,
        },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (bytes: Buffer) => parts.push(bytes));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(parts).toString(),
          }),
        );
        response.on('error', reject);
      },
    );
    // Whoever is refused in the middle of a large body may find the connection closed before the answer was read.
    asked.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EPIPE' || error.code === 'ECONNRESET'
        ? resolve({ status: 413, headers: {}, text: '' })
        : reject(error),
    );
    asked.end(body);
  });
}

/** Refused by a proper name, with nothing of our insides. */
function refused({ method, path, body }: Sent, { status, text }: Got): string | undefined {
  const said = `${method} ${path.slice(0, 200)} ${String(body ?? '').slice(0, 120)}: ${status} ${text.slice(0, 300)}`;
  if (status < 400 || status >= 500) return said;
  return tells(text) ? said : undefined;
}

/** Whether an answer says what is nobody's business. */
function tells(text: string): boolean {
  return (
    /node_modules|\bat [\w.<>]+ \(|\.ts:\d|\.js:\d|Mongo(ose)?[A-Z]\w*Error|ZodError/.test(text) ||
    text.includes(secret)
  );
}

/** What must not have moved: everything but what says who asked. */
async function state(): Promise<string> {
  const { connection } = api.system.store;
  const names = [
    'accounts',
    'accountDrafts',
    'apiKeys',
    'settings',
    'processors',
    'providers',
    'exports',
    'invoices',
    'prompts',
  ];
  const all = await Promise.all(
    names.map(async (name) => [name, await connection.collection(name).find({}).sort({ _id: 1 }).toArray()] as const),
  );
  return JSON.stringify(all);
}

/** Nothing of this came through, nothing changed, and the process answers. */
async function allRefused(sent: readonly Sent[]): Promise<void> {
  const before = await state();
  const faults: string[] = [];
  for (const one of sent) {
    const fault = refused(one, await ask(one));
    if (fault !== undefined) faults.push(fault);
  }
  expect(faults).toEqual([]);
  expect(await state()).toBe(before);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  expect((await ask({ method: 'GET', path: '/healthz', key: null })).status).toBe(200);
}

const pathOf = ({ path }: Route) => path.replace('/accounts/:id', `/accounts/${own}`).replaceAll(/:\w+/g, 'none');
const methodOf = ({ method }: Route) => method.toUpperCase();
const takesJson = ({ body, text, signed }: Route) => body !== undefined && text !== true && signed !== true;
const all = (chosen: (route: Route) => boolean = () => true) => api.routes.filter(chosen);

/** The members a body may have, as the contract has them. */
async function membersOf({ method, path }: Route): Promise<string[]> {
  const { body } = await api.ask('GET', '/openapi.json');
  const paths = body['paths'] as Record<
    string,
    Record<string, { requestBody?: { content: Record<string, { schema: { properties?: object } }> } }>
  >;
  const operation = paths[path.replaceAll(/:(\w+)/g, '{$1}')]?.[method];
  return Object.keys(operation?.requestBody?.content['application/json']?.schema.properties ?? {});
}

describe('bodies', () => {
  it('of operators and prototypes, in place of every member and beside it', async () => {
    const sent: Sent[] = [];
    for (const route of all(takesJson)) {
      const members = await membersOf(route);
      const at = { method: methodOf(route), path: pathOf(route) };
      const bodies = [
        '{"__proto__":{"polluted":true},"unfit":1}',
        '{"constructor":{"prototype":{"polluted":true}}}',
        '{"$where":"while(true){}"}',
        '{"$gt":""}',
        '{"a.b":1}',
        '[{"$gt":""}]',
        '"text"',
        '7',
        ...members.flatMap((member) =>
          ['{"$gt":""}', '{"$ne":null}', '[{"$regex":".*"}]', '{"__proto__":{"polluted":true}}', '1e400'].map(
            (value) => `{${JSON.stringify(member)}:${value}}`,
          ),
        ),
      ];
      // An invoice's document may be anything: its number and day are missing here, so that nothing is stored.
      sent.push(...bodies.map((body) => ({ ...at, body })));
    }
    expect(sent.length).toBeGreaterThan(300);
    await allRefused(sent);
  });

  it('nested a hundred thousand deep, too large, or too long in one of their parts', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const deepObjects = `${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`;
    const long = 'x'.repeat(200_000);
    const sent = all(takesJson).flatMap((route): Sent[] => {
      const at = { method: methodOf(route), path: pathOf(route) };
      return [deep, deepObjects, `{"document":${deep},"issuedOn":"2026-01-01"}`, `{"name":"${long}"}`, `{"${long}":1}`]
        .concat(`[${'0,'.repeat(100_000)}0]`, `{"note":"${'x'.repeat(300_000)}"}`)
        .map((body) => ({ ...at, body }));
    });
    await allRefused(sent);
  });

  it('that are no JSON, no UTF-8, or of another type or encoding than they say', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20));
    const sent = all(takesJson).flatMap((route): Sent[] => {
      const at = { method: methodOf(route), path: pathOf(route) };
      const typed = (type: string, body: string | Buffer = '{"unfit":1}') => ({
        ...at,
        body,
        headers: { 'content-type': type },
      });
      const encoded = (encoding: string, body: Buffer) => ({ ...at, body, headers: { 'content-encoding': encoding } });
      return [
        { ...at, body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]) },
        { ...at, body: '{"unfit":1,' },
        { ...at, body: '{"unfit":NaN}' },
        { ...at, body: '\u0000' },
        { ...at, body: '{"unfit":"\\ud800"}' },
        { ...at, body: '{"unfit":1,"unfit":2}' },
        typed('text/plain'),
        typed('application/x-www-form-urlencoded', 'a[$gt]=&__proto__[polluted]=1'),
        typed('multipart/form-data; boundary=x', '--x--'),
        typed('application/json; charset=utf-7'),
        typed('application/json; charset='),
        typed('text/html, application/json'),
        typed('\u00e4/\u00f6'),
        encoded('gzip', bomb),
        encoded('gzip', bomb.subarray(0, 500)),
        encoded('gzip', Buffer.from('{"unfit":1}')),
        encoded('deflate', deflateSync('{"unfit":1}')),
        encoded('br', brotliCompressSync('{"unfit":1}')),
        encoded('gzip, gzip', gzipSync(gzipSync('{"unfit":1}'))),
        encoded('zstd', Buffer.from('{"unfit":1}')),
      ];
    });
    await allRefused(sent);
  });

  it('posted as a gateway does: each item is judged by itself, and a bomb is not unpacked beyond the limit', async () => {
    const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
      ask({ method: 'POST', path: '/v1/ingest/litellm', body, headers });
    const deep = `{"litellm_call_id":"deep","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const hostile = [
      '{"__proto__":{"polluted":true}}',
      '{"litellm_call_id":{"$gt":""}}',
      `{"litellm_call_id":"x","metadata":{"user_api_key_org_id":{"$gt":""}}}`,
      '{"litellm_call_id":"x","metadata":{"__proto__":{"user_api_key_org_id":"hostile-own"}}}',
      '{"constructor":{"prototype":{"polluted":true}}}',
      deep,
    ];
    for (const body of [...hostile, hostile.join('\n'), `[${hostile.join(',')}]`]) {
      const { status, text } = await post(body);
      expect([body.slice(0, 60), status, tells(text)]).toEqual([body.slice(0, 60), 202, false]);
      expect(JSON.parse(text)).toMatchObject({ accepted: 0, discarded: 0 });
    }
    const bomb = gzipSync(Buffer.alloc(512 * 1024 * 1024, 0x20));
    expect((await post(bomb, { 'content-encoding': 'gzip' })).status).toBe(413);
    expect((await post(Buffer.alloc(33 * 1024 * 1024, 0x20))).status).toBe(413);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect((await ask({ method: 'GET', path: '/healthz' })).status).toBe(200);
  });
});

/** A page that people are sent to by others takes no notice of what those add. */
const isStrict = ({ query }: Route) => query !== undefined && !query.safeParse({ unfit: '1' }).success;

describe('queries', () => {
  it('of operators, prototypes, repeated and endless parameters', async () => {
    const queries = [
      'a[$gt]=1',
      'limit[$gt]=1',
      'limit=1&limit=2',
      'limit=1e3',
      'limit=-1',
      'cursor=%00',
      'cursor=AAAAAAAAAAAAAAAA',
      'cursor=e30xxxxxxxx',
      '__proto__[polluted]=1',
      '__proto__=1',
      'constructor[prototype][polluted]=1',
      'toString=1',
      '$where=1',
      'a.b=1',
      'unfit=%ff%fe',
      'unfit=%0d%0aSet-Cookie:%20x=1',
      `unfit=${'x'.repeat(8000)}`,
      Array.from({ length: 1500 }, (_, index) => `p${index}=1`).join('&'),
    ];
    const sent = all(isStrict).flatMap((route) =>
      queries.map((query) => ({
        method: methodOf(route),
        path: `${pathOf(route)}?${query}`,
        ...(takesJson(route) ? { body: '{}' } : {}),
      })),
    );
    expect(sent.length).toBeGreaterThan(800);
    await allRefused(sent);
    const open = all((route) => route.query !== undefined && !isStrict(route));
    for (const route of open) {
      for (const query of queries) {
        const { status, text, headers } = await ask({ method: methodOf(route), path: `${pathOf(route)}?${query}` });
        expect([route.path, status < 500, tells(text), headers['set-cookie']]).toEqual([
          route.path,
          true,
          false,
          undefined,
        ]);
      }
    }
  });
});

describe('paths', () => {
  it('that try to leave their place, or to be somebody else’s', async () => {
    const tricks = [
      '%00',
      `${own}%00`,
      '%ff',
      '%',
      '%zz',
      '%2e%2e%2f%2e%2e',
      '..%2f..%2fetc%2fpasswd',
      '..;',
      `${own}%2f..%2f${other}`,
      `${own}%0d%0aSet-Cookie:x`,
      '%7B%22$gt%22:%22%22%7D',
      '$gt',
      '__proto__',
      'constructor',
      'x'.repeat(4000),
      '%F0%9F%92%A5',
    ];
    const sent = all(({ path }) => path.includes(':')).flatMap((route) =>
      tricks.map((trick) => ({
        method: methodOf(route),
        path: route.path.replaceAll(/:\w+/g, trick),
        ...(takesJson(route) ? { body: '{}' } : {}),
      })),
    );
    await allRefused(sent);
  });

  it('show a customer nothing of another account, however they are written', async () => {
    const ways = [
      other,
      `${own}/../${other}`,
      `${own}%2f..%2f${other}`,
      `.%2f${other}`,
      `${other}%20`,
      other.toUpperCase(),
      `${other};${own}`,
    ];
    const sent = all(({ path, method }) => method === 'get' && path.startsWith('/v1/accounts/:id')).flatMap((route) =>
      ways.map((way) => ({
        method: 'GET',
        path: route.path.replace(':id', way).replaceAll(/:\w+/g, 'none'),
        key: customer,
      })),
    );
    await allRefused(sent);
  });
});

describe('headers', () => {
  it('never let a value break out of its own', async () => {
    const number = 'R-1/x%0d%0aSet-Cookie:%20a=b';
    const invoice = {
      method: 'PUT',
      path: `/v1/accounts/${own}/invoices/${number}`,
      body: '{"issuedOn":"2026-01-01","document":1}',
    };
    const named = {
      method: 'POST',
      path: '/v1/accounts',
      body: '{"id":"a\\r\\nSet-Cookie: a=b","name":"x","email":"x@example.org","plan":"standard"}',
    };
    await allRefused([invoice, named]);
    const asked = {
      method: 'GET',
      path: '/healthz',
      headers: { 'x-request-id': 'a b;c', 'x-forwarded-for': '1.2.3.4, __proto__' },
    };
    const { headers } = await ask(asked);
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers['set-cookie']).toBeUndefined();
  });

  it('that make a request conditional, repeatable or another one are read strictly, or not at all', async () => {
    const path = `/v1/accounts/${own}`;
    const body = '{"name":"Own"}';
    await allRefused([
      { method: 'PATCH', path, body, headers: { 'if-match': '{"$gt":0}' } },
      { method: 'PATCH', path, body, headers: { 'if-match': `"${'9'.repeat(400)}"` } },
      { method: 'PATCH', path, body, headers: { 'idempotency-key': 'x'.repeat(256) } },
      { method: 'PATCH', path, body, headers: { 'idempotency-key': 'a b' } },
      { method: 'PATCH', path, body, headers: { authorization: `Bearer ${'x'.repeat(5000)}` } },
      { method: 'PATCH', path, body, headers: { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` } },
      { method: 'PATCH', path, body, headers: { 'ablauf-region': '__proto__' } },
    ]);
    const overridden = {
      method: 'GET',
      path,
      headers: { 'x-http-method-override': 'DELETE', 'x-method-override': 'PATCH' },
    };
    expect((await ask(overridden)).status).toBe(200);
  });
});

describe('methods', () => {
  it('nobody offers are refused, and named where there are others', async () => {
    const sent = all().flatMap((route) =>
      ['TRACE', 'PROPFIND', 'PURGE', 'SEARCH', 'MKCOL'].map((method) => ({ method, path: pathOf(route) })),
    );
    await allRefused(sent);
    expect((await ask({ method: 'TRACE', path: `/v1/accounts/${own}` })).headers.allow).toContain('GET');
  });
});

describe('the wire', () => {
  it('is held to HTTP: what is none is answered in a line, or with nothing', async () => {
    const { host } = new URL(api.url);
    const head = `Host: ${host}\r\n`;
    const lines = [
      'NONSENSE\r\n\r\n',
      `GET /healthz HTTP/9.9\r\n${head}\r\n`,
      `get /healthz HTTP/1.1\r\n${head}\r\n`,
      `GET /${'x'.repeat(70_000)} HTTP/1.1\r\n${head}\r\n`,
      `GET /healthz HTTP/1.1\r\n${head}X-Long: ${'x'.repeat(70_000)}\r\n\r\n`,
      `GET /healthz HTTP/1.1\r\n${head}Bad Header: x\r\n\r\n`,
      `POST /v1/accounts HTTP/1.1\r\n${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `POST /v1/accounts HTTP/1.1\r\n${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef`,
      `POST /v1/accounts HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
      `CONNECT example.org:443 HTTP/1.1\r\n${head}\r\n`,
      '\u0000\u0001\u0002\r\n\r\n',
    ];
    for (const line of lines) {
      const answered = await raw(line);
      expect([line.slice(0, 40), answered.slice(0, 12)]).toEqual([
        line.slice(0, 40),
        expect.stringMatching(/^$|^HTTP\/1\.1 4\d\d/),
      ]);
      expect(tells(answered)).toBe(false);
    }
    expect((await ask({ method: 'GET', path: '/healthz' })).status).toBe(200);
  });
});

/** Bytes as they are, and whatever comes back until the connection ends. */
function raw(text: string): Promise<string> {
  const { hostname, port } = new URL(api.url);
  return new Promise((resolve) => {
    let answered = '';
    const socket = connect(Number(port), hostname, () => socket.end(text, 'latin1'));
    socket.on('data', (bytes) => (answered += bytes.toString('latin1')));
    socket.on('error', () => resolve(answered));
    socket.on('close', () => resolve(answered));
  });
}
