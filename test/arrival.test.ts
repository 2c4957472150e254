/** How a request has to come: over TLS where a proxy is declared (R21), and to the region it is meant for (R25). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApi, type Api } from './helpers/api';

let api: Api;
beforeAll(async () => {
  api = await startApi({ dependencies: (given) => ({ ...given, tls: 'proxy' }) });
});
afterAll(() => api.stop());

describe('R21: behind a declared proxy', () => {
  test('what its client sent plainly is refused, before its key or body is looked at', async () => {
    for (const proto of ['http', 'HTTP', 'http, https']) {
      const headers = { 'x-forwarded-proto': proto };
      const refused = await api.ask('GET', '/v1/accounts', { headers, key: null });
      expect([refused.status, refused.body['code']]).toEqual([403, 'forbidden']);
    }
  });

  test('what came over TLS is served, also through proxies of its own behind it, and told to stay there', async () => {
    for (const headers of [{ 'x-forwarded-proto': 'https' }, { 'x-forwarded-proto': 'https, http' }, {}]) {
      const served = await api.ask('GET', '/v1/accounts', { headers });
      expect(served.status).toBe(200);
      expect(served.headers.get('strict-transport-security')).toBe('max-age=63072000');
    }
  });
});

describe('R25: a request that names its region', () => {
  test.each(['eu-central-1', 'EU', 'eu'])('is served where it means us: %s', async (meant) => {
    expect((await api.ask('GET', '/v1/accounts', { headers: { 'ablauf-region': meant } })).status).toBe(200);
  });

  test.each(['us-east-1', 'US', 'eu-west-1', 'x'])('is turned away unread where it does not: %s', async (meant) => {
    const headers = { 'ablauf-region': meant };
    const refused = await api.ask('POST', '/v1/ingest/litellm', { headers, raw: '{"not": "read' });
    expect([refused.status, refused.body['code']]).toEqual([421, 'wrong-region']);
    expect((await api.ask('GET', '/healthz', { headers, key: null })).status).toBe(421);
  });
});
