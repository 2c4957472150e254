/** What every answer carries and none does, and what bounds a request: its method, its size, its depth, and how long it takes. */
import { METHODS, request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { adminKey, startApi, type Api } from './helpers/api';

let api: Api;
let port: number;
let own: string;
let other: string;
let customer: string;

beforeAll(async () => {
  api = await startApi();
  port = Number(new URL(api.url).port);
  [own, other] = [await api.system.createAccount(), await api.system.createAccount()];
  customer = await api.keyFor('customer', own);
}, 120_000);
afterAll(() => api.stop());

/** Sends text as it is, and answers with what came back until the connection ended. */
function raw(text: string, more?: (write: (text: string) => void) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (bytes) => (answer += String(bytes)));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
    socket.write(text);
    more?.((next) => socket.writable && socket.write(next));
  });
}

describe('every answer', () => {
  const calls = [
    ['GET', '/v1/accounts', adminKey],
    ['GET', '/v1/accounts', null],
    ['GET', '/healthz', null],
    ['GET', '/nowhere', null],
    ['POST', '/healthz', null],
    ['GET', '/v1/accounts/%ff', adminKey],
    ['GET', '/v1/accounts?limit=x', adminKey],
  ] as const;

  test.each(calls)('%s %s forbids browsers to make anything of it', async (method, path, key) => {
    const { headers } = await api.ask(method, path, { key });
    expect(headers.get('content-security-policy')).toBe(
      "default-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'none'",
    );
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
  });

  test.each(calls)('%s %s names neither what serves it nor where that broke', async (method, path, key) => {
    const { headers, text } = await api.ask(method, path, { key });
    for (const name of ['server', 'x-powered-by', 'via']) expect(headers.get(name)).toBeNull();
    const said = `${JSON.stringify([...headers])}${text}`;
    expect(said).not.toMatch(/node_modules|\/src\/|\.ts:|\.js:|at \w+ \(|express|node\.js|v?\d+\.\d+\.\d+/i);
  });

  test('what is no HTTP at all is told nothing either', async () => {
    for (const text of [
      'nonsense\r\n\r\n',
      'FOO / HTTP/1.1\r\n\r\n',
      `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    ]) {
      const answer = await raw(text);
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(answer.split('\r\n\r\n')[1]).toBe('');
    }
  });
});

test('methods that are not offered answer 405 and say which are, whichever there may be', async () => {
  const offered = new Set(['GET', 'HEAD', 'POST']);
  // A tunnel is no method of a path, and a server that offers none ends the connection.
  for (const method of METHODS.filter((name) => !offered.has(name) && name !== 'CONNECT')) {
    const answer = await new Promise<{ status: number | undefined; allow: string | undefined }>((resolve, reject) => {
      request({ port, host: '127.0.0.1', method, path: '/v1/accounts' }, (response) => {
        response.resume();
        resolve({ status: response.statusCode, allow: response.headers.allow });
      })
        .on('error', reject)
        .end();
    });
    expect([method, answer]).toEqual([method, { status: 405, allow: 'POST, GET, HEAD' }]);
  }
});

describe('a body', () => {
  const post = (json: string) =>
    api.ask('POST', '/v1/accounts', { raw: json, headers: { 'content-type': 'application/json' } });

  test('is refused where it is nested deeper than 64 levels, before a schema walks through it', async () => {
    const nested = (levels: number) => `{"name":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
    expect((await post(nested(64))).body).not.toMatchObject({ detail: expect.stringContaining('nested') as unknown });
    for (const levels of [65, 1000, 100_000]) {
      const refused = await post(nested(levels));
      expect(refused).toMatchObject({ status: 400, body: { code: 'validation' } });
      expect(refused.text).toContain('must not be nested deeper than 64 levels');
    }
    const objects = `${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}`;
    expect((await post(objects)).text).toContain('must not be nested deeper');
  });

  test('is refused where it is larger than its call takes', async () => {
    const large = (bytes: number) => JSON.stringify({ name: 'n'.repeat(bytes) });
    expect(await post(large(300 * 1024))).toMatchObject({ status: 413, body: { code: 'payload-too-large' } });
    const path = '/v1/settings/allowed-ips';
    const headers = { 'content-type': 'application/json' };
    expect((await api.ask('PUT', path, { raw: large(300 * 1024), headers })).status).toBe(400);
    expect((await api.ask('PUT', path, { raw: large(1100 * 1024), headers })).status).toBe(413);
  });

  test('that arrives byte by byte is not waited for, and the connection ends', async () => {
    const head = [
      'POST /v1/accounts HTTP/1.1',
      'Host: localhost',
      `Authorization: Bearer ${adminKey}`,
      'Content-Type: application/json',
      'Content-Length: 1000',
      '',
      '{',
    ].join('\r\n');
    let drip: NodeJS.Timeout | undefined;
    const answer = await raw(head, (write) => {
      drip = setInterval(() => write(' '), 500);
    });
    clearInterval(drip);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toMatch(/Connection: close/i);
    expect(answer).toContain('"code":"request-timeout"');
  }, 60_000);
});

describe('R22: what is not theirs is nothing to a customer', () => {
  test("neither another's account nor one that never was: the same words, before anything is looked up or read", async () => {
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/timeline'],
      ['GET', '/allowed-ips'],
      ['POST', '/close'],
    ] as const) {
      const answers = await Promise.all(
        [other, 'nobody', `~${'x'.repeat(43)}`].map(async (id) => {
          const headers = { 'idempotency-key': `${id}${path}` };
          const raw = method === 'POST' ? { raw: 'not json' } : {};
          const asked = await api.ask(method, `/v1/accounts/${id}${path}`, { key: customer, headers, ...raw });
          const { requestId: _requestId, ...body } = asked.body;
          return [asked.status, body];
        }),
      );
      expect(answers[0]).toMatchObject([404, { code: 'not-found' }]);
      expect(answers[1]).toEqual(answers[0]);
      expect(answers[2]).toEqual(answers[0]);
    }
    const kept = api.system.store.connection.collection('idempotencyKeys');
    expect(await kept.countDocuments({ account: { $in: [other, 'nobody'] } })).toBe(0);
  });

  test('and how long it takes tells as little: reported, since machines differ', async () => {
    const took: Record<string, number[]> = { nobody: [], [other]: [] };
    for (let n = 0; n < 300; n += 1) {
      for (const [id, times] of Object.entries(took)) {
        const from = performance.now();
        await api.ask('GET', `/v1/accounts/${id}`, { key: customer });
        times.push(performance.now() - from);
      }
    }
    const [unknown, others] = Object.values(took).map((times) => times.sort((a, b) => a - b)[150] ?? 0);
    process.stdout.write(`unknown : another's account ${((unknown ?? 0) / (others ?? 1)).toFixed(2)}\n`);
  }, 60_000);
});
