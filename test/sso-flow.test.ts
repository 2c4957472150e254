/** Signing in with a real OpenID provider on this machine, all the way, and out again (R26). */
import { startApi, type Api } from './helpers/api';
import { Browser } from './helpers/browser';
import { startIdentityProvider, type IdentityProvider } from './helpers/identity-provider';
import { askIn, introduce, settingsOf, signIn } from './helpers/sign-in';

let idp: IdentityProvider;
let api: Api;

beforeAll(async () => {
  idp = await startIdentityProvider({
    people: {
      ada: { name: 'Ada', email: 'ada@example.org', groups: ['others', 'admin'] },
      carl: { name: 'Carl', groups: ['nothing of ours'] },
    },
  });
  api = await startApi({ signIn: { providers: [settingsOf(idp)] } });
  introduce(idp, api);
});

afterAll(async () => {
  await api.stop();
  await idp.stop();
});

test('R26: a person signs in, is known by role, and signs out', async () => {
  const browser = new Browser();
  const page = await signIn(browser, api, idp, 'ada', '?returnTo=/auth?lang=de');
  expect(page.url.href).toBe(`${api.url}/auth?lang=de`);
  expect(page.text).toContain('Ada');
  const me = await askIn(browser, api, 'GET', '/auth/me');
  expect(me.body).toMatchObject({
    user: { name: 'Ada', email: 'ada@example.org' },
    role: 'admin',
    provider: { id: 'oidc', kind: 'oidc' },
    permissions: expect.arrayContaining(['manageKeys', 'suspend']) as unknown,
  });
  const [asked] = page.redirects;
  expect(Object.fromEntries(asked?.searchParams ?? [])).toMatchObject({
    response_type: 'code',
    code_challenge_method: 'S256',
    state: expect.stringMatching(/^.{43}$/) as unknown,
    nonce: expect.stringMatching(/^.{43}$/) as unknown,
  });
  const out = await askIn(browser, api, 'POST', '/auth/logout', {});
  const logout = new URL(String(out.body['logoutUrl']));
  expect(logout.searchParams.get('post_logout_redirect_uri')).toBe(`${api.url}/auth`);
  expect(logout.searchParams.get('id_token_hint')).toBe(idp.issued.at(-1));
  expect((await askIn(browser, api, 'GET', '/auth/me')).status).toBe(401);
});

test('R26: somebody whose claims give no role is told so, and it is on record', async () => {
  const browser = new Browser();
  const page = await signIn(browser, api, idp, 'carl');
  expect(page.status).toBe(403);
  expect(page.text).toContain('nothing gives you a role here');
  expect((await askIn(browser, api, 'GET', '/auth/me')).status).toBe(401);
  const { body } = await api.ask('GET', '/v1/audit?action=auth.refused');
  expect(body['items']).toMatchObject([{ details: { reason: 'sign-in', cause: 'no-role' } }]);
});
