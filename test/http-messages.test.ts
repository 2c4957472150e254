/** Messages no honest client sends: where one ends is never a matter of opinion, and unpacking one costs no more than its limit. */
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { adminKey, startApi, type Api } from './helpers/api';

let api: Api;
beforeAll(async () => {
  api = await startApi();
}, 120_000);
afterAll(() => api.stop());

/** What a connection answers to these bytes, until it is closed. */
function say(...lines: readonly string[]): Promise<string> {
  const { hostname, port } = new URL(api.url);
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket = connect(Number(port), hostname, () => socket.end(lines.join('\r\n')));
    socket.on('data', (bytes) => (heard += bytes.toString()));
    socket.on('error', reject);
    socket.on('close', () => resolve(heard));
  });
}

const statusesOf = (heard: string) => [...heard.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
const head = ['Host: localhost', `Authorization: Bearer ${adminKey}`, 'Content-Type: application/json'];

it.each([
  ['both a length and an encoding', ['Content-Length: 4', 'Transfer-Encoding: chunked']],
  ['two lengths', ['Content-Length: 4', 'Content-Length: 5']],
  ['a length that is none', ['Content-Length: +4']],
  ['an encoding that is not the last', ['Transfer-Encoding: chunked, identity']],
  ['an encoding nobody knows', ['Transfer-Encoding: xchunked']],
  ['a blank before the colon', ['Content-Length : 4']],
  ['a header that goes on in the next line', ['X-Long: a', ' b', 'Content-Length : 4']],
])('a request with %s is refused, and the connection ends with it', async (_, headers) => {
  const smuggled = ['GET /healthz HTTP/1.1', 'Host: localhost', '', ''];
  const heard = await say('POST /v1/accounts HTTP/1.1', ...head, ...headers, '', '0', '', ...smuggled);
  expect(statusesOf(heard)).toEqual([400]);
});

it('TRACE is offered by no path', async () => {
  for (const path of ['/v1/accounts', '/healthz', '/v1/accounts/acme']) {
    const heard = await say(`TRACE ${path} HTTP/1.1`, ...head, 'Connection: close', '', '');
    expect(statusesOf(heard)).toEqual([405]);
    expect(heard).not.toContain(adminKey);
  }
});

it('a compressed body counts as what it unpacks to', async () => {
  const raw = gzipSync(Buffer.alloc(50 * 1024 * 1024, ' '));
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  for (const path of ['/v1/accounts', '/v1/ingest/litellm']) {
    const { status, body } = await api.ask('POST', path, { raw, headers });
    expect([path, status, body['code']]).toEqual([path, 413, 'payload-too-large']);
  }
});

it('a parameter that is given twice is refused, and one in the query is not taken for one of the body', async () => {
  expect((await api.ask('GET', '/v1/accounts?limit=1&limit=2')).status).toBe(400);
  const body = { id: 'acme', name: 'Acme', email: 'a@example.org' };
  expect((await api.ask('POST', '/v1/accounts?plan=standard', { body })).status).toBe(400);
});
