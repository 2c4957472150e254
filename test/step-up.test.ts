/** Step-up for people: what needs a fresh sign-in, and what they are told who signed in too long ago. */
import type { Keyring } from '../src/access';
import { startApi, type Api } from './helpers/api';

const minute = 60_000;
let api: Api;

/** Somebody who signed in so many minutes ago: what shows it is their session, which stands behind the same principal as a key. */
function signedIn(keys: Keyring): Keyring {
  return {
    ...keys,
    find(key) {
      const ago = /^signed-in-(-?\d+)$/.exec(key)?.[1];
      if (ago === undefined) return keys.find(key);
      return Promise.resolve({
        actor: { type: 'user', id: 'user_somebody', role: 'admin' },
        role: 'admin',
        shown: {
          by: 'session',
          session: 'session-of-tests',
          provider: 'the office',
          authenticatedAt: new Date(Date.now() - Number(ago) * minute),
        },
      });
    },
  };
}

beforeAll(async () => {
  api = await startApi({
    dependencies: (given) => ({ ...given, keys: signedIn(given.keys), stepUpAge: 5 * minute }),
  });
}, 120_000);
afterAll(() => api.stop());

/** What a browser says of what a page of ours sends. */
const fromOurs = { 'sec-fetch-site': 'same-origin' };

const release = (minutes: number, headers: Readonly<Record<string, string>> = {}) =>
  api.ask('PUT', '/v1/settings/policy', {
    key: `signed-in-${minutes}`,
    body: { gracePeriod: 'P20D' },
    headers: { ...fromOurs, ...headers },
  });

describe('a signed-in administrator', () => {
  it('does what needs a fresh sign-in for as long as it is fresh', async () => {
    expect(await release(4)).toMatchObject({ status: 200, body: { gracePeriod: 'P20D' } });
  });

  it('is told afterwards how fresh it has to be, and where to sign in again; nothing has changed', async () => {
    const before = await api.ask('GET', '/v1/settings/policy');
    const refused = await release(6);
    expect(refused).toMatchObject({
      status: 403,
      body: { code: 'step-up-required', maxAge: 300, login: '/auth/the%20office/login?fresh=1' },
    });
    expect(refused.headers.get('www-authenticate')).toBe(
      'Bearer error="insufficient_user_authentication", max_age="300"',
    );
    expect((await api.ask('GET', '/v1/settings/policy')).headers.get('etag')).toBe(before.headers.get('etag'));
  });

  it('is told so before anything else of the request is judged, and each time: no is not kept for a repeat', async () => {
    const headers = { 'idempotency-key': 'stepped-up' };
    expect(await release(6, headers)).toMatchObject({ status: 403, body: { code: 'step-up-required' } });
    expect(await release(1, headers)).toMatchObject({ status: 200 });
    expect(await release(6, headers)).toMatchObject({ status: 403, body: { code: 'step-up-required' } });
  });

  it('is not believed to have signed in tomorrow', async () => {
    expect(await release(-2)).toMatchObject({ status: 403, body: { code: 'step-up-required' } });
    expect(await release(0)).toMatchObject({ status: 200 });
  });

  it('needs none of it to look, or for everyday work', async () => {
    const id = await api.system.createAccount();
    expect((await api.ask('GET', '/v1/settings/policy', { key: 'signed-in-600' })).status).toBe(200);
    const suspended = { key: 'signed-in-600', body: { reason: 'other' } };
    expect((await api.ask('POST', `/v1/accounts/${id}/suspend`, { ...suspended, headers: fromOurs })).status).toBe(200);
  });

  it('makes a key with any scope: who has just signed in holds them all', async () => {
    const body = { role: 'admin', scopes: ['holds', 'reopen', 'keys', 'settings'] };
    expect(await api.ask('POST', '/v1/api-keys', { key: 'signed-in-1', body, headers: fromOurs })).toMatchObject({
      status: 201,
    });
  });
});
