/** Sessions: their limits, ending them from anywhere, and what a customer's session is worth as the account stands (R15). */
import { createSessions, followedCollections, registerSessions } from '../src/access';
import { followChanges } from '../src/database';
import { startTimeSkippingApi, startApi, type Api } from './helpers/api';
import { Browser } from './helpers/browser';
import { startIdentityProvider, type IdentityProvider } from './helpers/identity-provider';
import { eventually } from './helpers/eventually';
import { askIn, introduce, settingsOf, signIn } from './helpers/sign-in';
import { loudly } from './helpers/system';

const minute = 60_000;
const day = 24 * 60 * minute;

let idp: IdentityProvider;
let api: Api;
/** By how much the API's clock is ahead, in milliseconds. */
let ahead = 0;

beforeAll(async () => {
  idp = await startIdentityProvider({
    people: {
      ada: { name: 'Ada', email: 'ada@example.org', groups: ['admin'] },
      olga: { name: 'Olga', groups: ['operator'] },
    },
  });
  api = await startApi({ signIn: { providers: [settingsOf(idp)] }, clock: () => new Date(Date.now() + ahead) });
  introduce(idp, api);
}, 120_000);
afterAll(async () => {
  await api.stop();
  await idp.stop();
});
afterEach(() => {
  ahead = 0;
});

async function signedIn(person: string, at: Pick<Api, 'url'> = api, query = ''): Promise<Browser> {
  const browser = new Browser();
  const page = await signIn(browser, at, idp, person, query);
  expect(page.status).toBe(200);
  return browser;
}

const tokenIn = (browser: Browser): string => browser.cookiesFor(api.url).get('ablauf_session') ?? '';
const me = (browser: Browser, at: Pick<Api, 'url'> = api) => askIn(browser, at, 'GET', '/auth/me');
const sessionsOf = async (browser: Browser) =>
  (await askIn(browser, api, 'GET', '/auth/sessions')).body['items'] as { id: string; current: boolean }[];
const actions = async (action: string) =>
  (await api.ask('GET', `/v1/audit?action=${action}`)).body['items'] as {
    actor: { id: string; type: string };
    details: Record<string, unknown>;
  }[];

const refused = async (cause: string) =>
  (await actions('auth.refused')).find(({ details }) => details['cause'] === cause);

describe('a session', () => {
  it('is opened by a token that is stored nowhere, in a cookie no script reads', async () => {
    const browser = await signedIn('ada');
    const token = tokenIn(browser);
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(browser.howSet('ablauf_session')).toBe(`ablauf_session=${token}; Path=/; HttpOnly; SameSite=Lax`);
    const stored = await api.system.store.connection.collection('sessions').find().toArray();
    expect(JSON.stringify(stored)).not.toContain(token);
    const [entry] = await actions('auth.signed-in');
    expect(entry).toMatchObject({ actor: { type: 'user' }, details: { provider: 'oidc' } });
  });

  it('ends when it was not used for an hour, and twelve hours after it began however much it was used', async () => {
    const [idle, busy] = [await signedIn('ada'), await signedIn('ada')];
    for (let hours = 0; hours < 11.5; hours += 0.5) {
      ahead += 30 * minute;
      expect((await me(busy)).status).toBe(200);
    }
    expect((await me(idle)).status).toBe(401);
    ahead += 31 * minute;
    expect((await me(busy)).status).toBe(401);
  });

  it('notes its use once a minute, and not with each request', async () => {
    const browser = await signedIn('ada');
    const stored = async () => {
      const { session } = (await me(browser)).body;
      const found = await api.system.store.connection
        .collection<{ _id: string }>('sessions')
        .findOne({ _id: String(session) });
      return (found as unknown as { usedAt: Date }).usedAt.getTime();
    };
    const before = await stored();
    ahead += 30_000;
    expect(await stored()).toBe(before);
    ahead += 31_000;
    await eventually('the use is noted', async () => ((await stored()) > before ? true : undefined), 5000);
  });

  it('is another with each sign-in, and the one before has ended: nothing is foisted on anybody', async () => {
    const browser = await signedIn('ada');
    const [token, before] = [tokenIn(browser), (await me(browser)).body['session']];
    await signIn(browser, api, idp, 'ada', '?fresh=1');
    expect(tokenIn(browser)).not.toBe(token);
    expect((await me(browser)).body['session']).not.toBe(before);
    const old = new Browser();
    old.setCookie(api.url, 'ablauf_session', token);
    expect((await me(old)).status).toBe(401);
    // One somebody made up is none, whoever signs in with it.
    const fixed = new Browser();
    fixed.setCookie(api.url, 'ablauf_session', 'A'.repeat(43));
    await signIn(fixed, api, idp, 'ada');
    expect(tokenIn(fixed)).not.toBe('A'.repeat(43));
  });

  it('counts for nothing beside a key', async () => {
    const browser = await signedIn('olga');
    const wrong = await askIn(browser, api, 'GET', '/auth/me', undefined, { authorization: 'Bearer nonsense' });
    expect(wrong.status).toBe(401);
    const key = await api.keyFor('auditor');
    const asked = await askIn(browser, api, 'GET', '/auth/me', undefined, { authorization: `Bearer ${key}` });
    expect(asked.body).toMatchObject({ role: 'auditor' });
    expect(asked.body['session']).toBeUndefined();
  });

  it('acts as its person, with their role and address', async () => {
    const browser = await signedIn('olga');
    const account = await api.system.createAccount();
    expect((await askIn(browser, api, 'POST', `/v1/accounts/${account}/suspend`, { reason: 'other' })).status).toBe(
      200,
    );
    expect((await askIn(browser, api, 'GET', '/v1/users')).status).toBe(403);
    const { body } = await api.ask('GET', `/v1/accounts/${account}/timeline`);
    const user = ((await me(browser)).body['user'] as { id: string }).id;
    expect((body['items'] as { actor: unknown }[]).at(-1)?.actor).toMatchObject({ type: 'user', id: user });
  });
});

describe('ending sessions', () => {
  it('is for whoever has them, one or all others, and for nobody else', async () => {
    const [one, two, three] = [await signedIn('ada'), await signedIn('ada'), await signedIn('ada')];
    const other = await signedIn('olga');
    const id = String((await me(two)).body['session']);
    expect((await askIn(other, api, 'DELETE', `/auth/sessions/${id}`)).status).toBe(404);
    expect((await me(two)).status).toBe(200);
    expect((await askIn(one, api, 'DELETE', `/auth/sessions/${id}`)).status).toBe(204);
    expect((await me(two)).status).toBe(401);
    expect((await askIn(one, api, 'DELETE', '/auth/sessions')).status).toBe(204);
    expect((await me(three)).status).toBe(401);
    expect(await sessionsOf(one)).toMatchObject([{ current: true }]);
    expect((await me(other)).status).toBe(200);
    expect((await api.ask('GET', '/auth/sessions')).body['code']).toBe('forbidden');
  });

  it('works from the page, without a script', async () => {
    const [one, two] = [await signedIn('ada'), await signedIn('ada')];
    const page = await one.visit(`${api.url}/auth`);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    const id = String((await me(two)).body['session']);
    expect(page.text).toContain(`/auth/sessions/${id}/end`);
    const form = { ...page, text: page.text.slice(page.text.indexOf('<form', page.text.indexOf('<h2'))) };
    const token = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    const after = await one.visit(`${api.url}/auth/sessions/${id}/end`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `csrf=${token}`,
    });
    expect([form.status, after.status, after.url.pathname]).toEqual([200, 200, '/auth']);
    expect((await me(two)).status).toBe(401);
  });

  it('by an administrator ends all of a person, and takes effect in another process within a second', async () => {
    const [ada, olga] = [await signedIn('ada'), await signedIn('olga')];
    const { store } = api.system;
    const feed = followChanges(store.connection, { collections: followedCollections, log: loudly });
    const elsewhere = createSessions({
      models: registerSessions(store.connection),
      vault: store.vault,
      feed,
      limits: { idle: 60 * minute, lifetime: day },
      clock: () => new Date(),
      log: loudly,
    });
    await feed.caughtUp(5000);
    expect(await elsewhere.find(tokenIn(olga), {})).toMatchObject({ role: 'operator' });
    const { id } = (await me(olga)).body['user'] as { id: string };
    const listed = await askIn(ada, api, 'GET', `/v1/users/${id}/sessions`);
    expect((listed.body['items'] as unknown[]).length).toBeGreaterThan(0);
    const from = performance.now();
    expect((await askIn(ada, api, 'DELETE', `/v1/users/${id}/sessions`)).status).toBe(204);
    expect((await me(olga)).status).toBe(401);
    while ((await elsewhere.find(tokenIn(olga), {})) !== undefined) {
      if (performance.now() - from > 10_000) throw new Error('it is still open elsewhere');
    }
    expect((await actions('session.ended'))[0]).toMatchObject({ details: { user: id } });
    await feed.stop();
  });

  it('blocking somebody does it at once, and they do not come back until they are let', async () => {
    const [ada, olga] = [await signedIn('ada'), await signedIn('olga')];
    const { id } = (await me(olga)).body['user'] as { id: string };
    const own = ((await me(ada)).body['user'] as { id: string }).id;
    expect((await askIn(ada, api, 'POST', `/v1/users/${own}/block`)).body['code']).toBe('conflict');
    expect((await askIn(ada, api, 'POST', `/v1/users/${id}/block`)).body).toMatchObject({ name: 'Olga' });
    expect((await me(olga)).status).toBe(401);
    const page = await signIn(olga, api, idp, 'olga');
    expect([page.status, page.text.includes('You are blocked here')]).toEqual([403, true]);
    expect(await refused('blocked')).toMatchObject({ actor: { id } });
    expect((await askIn(ada, api, 'POST', `/v1/users/${id}/unblock`)).status).toBe(200);
    expect((await askIn(ada, api, 'POST', `/v1/users/${id}/unblock`)).status).toBe(200);
    expect((await signIn(olga, api, idp, 'olga')).status).toBe(200);
    expect(await actions('user.unblocked')).toHaveLength(1);
  });

  it('leaves the fifty last used of a person, with the one that begins', async () => {
    const { store } = api.system;
    const [first] = [await signedIn('ada')];
    const { user, session } = (await me(first)).body as { user: { id: string }; session: string };
    const sessions = store.connection.collection<{ _id: string }>('sessions');
    const pattern = await sessions.findOne({ _id: session });
    // Sealed values are bound to their document: these have none but the one that is never opened here.
    await sessions.insertMany(
      Array.from({ length: 55 }, (_, at) => {
        const { address: _address, userAgent: _userAgent, ...rest } = pattern as unknown as Record<string, unknown>;
        const usedAt = new Date(Date.now() - at * 1000);
        return { ...rest, _id: `ses_${String(at).padStart(24, '0')}`, hash: `unknown-${at}`, usedAt };
      }),
    );
    await signedIn('ada');
    expect(await sessions.countDocuments({ user: user.id })).toBe(50);
    expect((await api.ask('DELETE', `/v1/users/${user.id}/sessions`)).status).toBe(204);
    expect(await sessions.countDocuments({ user: user.id })).toBe(0);
  });

  it('follows a change of role: what somebody was let in as ends when they are let in as something else', async () => {
    idp.people.set('rita', { groups: ['operator'] });
    const before = await signedIn('rita');
    idp.people.set('rita', { groups: ['auditor'] });
    const after = await signedIn('rita');
    expect((await me(after)).body['role']).toBe('auditor');
    expect((await me(before)).status).toBe(401);
  });

  it('follows the provider, which says who has signed out there, once', async () => {
    const [olga, ada] = [await signedIn('olga'), await signedIn('ada')];
    const tell = (token: string) =>
      fetch(`${api.url}/auth/oidc/backchannel-logout`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ logout_token: token }),
      });
    for (const forged of [
      await idp.logoutToken({ sub: 'olga' }, { forge: 'none' }),
      await idp.logoutToken({ sub: 'olga' }, { forge: 'client-secret' }),
      await idp.logoutToken({ sub: 'olga' }, { forge: 'stranger' }),
      await idp.logoutToken({ sub: 'olga', aud: 'another' }),
      await idp.logoutToken({ sub: 'olga', iss: 'https://elsewhere.example' }),
      await idp.logoutToken({ sub: 'olga', nonce: 'n' }),
      await idp.logoutToken({ sub: 'olga', events: {} }),
      await idp.logoutToken({ sub: 'olga', jti: undefined }),
      await idp.logoutToken({ sub: undefined }),
      await idp.logoutToken({ sub: 'olga', iat: Math.floor(Date.now() / 1000) - 600 }),
      await idp.logoutToken({ sub: 'olga' }, { type: 'at+jwt' }),
      idp.issued.at(-1) ?? '',
      'nonsense',
    ]) {
      expect((await tell(forged)).status).toBe(400);
    }
    expect((await me(olga)).status).toBe(200);
    const token = await idp.logoutToken({ sub: 'olga' });
    expect((await tell(token)).status).toBe(200);
    expect((await me(olga)).status).toBe(401);
    expect((await me(ada)).status).toBe(200);
    expect((await tell(token)).status).toBe(400);
  });
});

describe("R15: a customer's session", () => {
  it('is worth nothing but the state and closing while suspended, and nothing but exports once closed', async () => {
    const account = await api.system.createAccount();
    idp.people.set('kim', { name: 'Kim', groups: ['customers'], account });
    const kim = await signedIn('kim');
    const asked = async (method: string, path: string, body?: unknown) => {
      const { status, body: answer } = await askIn(kim, api, method, `/v1/accounts/${account}${path}`, body);
      return answer['code'] ?? status;
    };
    expect(await asked('GET', '/records')).toBe(200);
    expect((await askIn(kim, api, 'GET', `/v1/accounts/${await api.system.createAccount()}`)).status).toBe(404);
    await api.ask('POST', `/v1/accounts/${account}/suspend`, { body: { reason: 'non_payment' } });
    expect(await asked('GET', '')).toBe(200);
    expect(await asked('GET', '/records')).toBe('account-suspended');
    expect(await asked('POST', '/exports', {})).toBe('account-suspended');
    expect(await asked('PATCH', '/policy', { activeRetentionDays: 3 })).toBe('account-suspended');
    expect(await asked('POST', '/close', {})).toBe(200);
    expect(await asked('GET', '/records')).toBe('account-expired');
    const entries = (await api.ask('GET', `/v1/accounts/${account}/timeline`)).body['items'] as { actor: unknown }[];
    expect(entries.at(-1)?.actor).toMatchObject({ type: 'user' });

    const other = await api.system.createAccount();
    idp.people.set('lee', { groups: ['customers'], account: other });
    const lee = await signedIn('lee');
    expect((await askIn(lee, api, 'POST', `/v1/accounts/${other}/close`, {})).status).toBe(200);
    expect((await askIn(lee, api, 'POST', `/v1/accounts/${other}/exports`, {})).status).toBe(202);
    expect((await askIn(lee, api, 'GET', `/v1/accounts/${other}/records`)).body['code']).toBe('account-expired');
    const again = await signedIn('lee');
    expect((await me(again)).body['account']).toBe(other);
  });

  it('is not begun for an account that is not known', async () => {
    idp.people.set('noa', { groups: ['customers'], account: 'acct-unknown' });
    expect((await signIn(new Browser(), api, idp, 'noa')).status).toBe(403);
    idp.people.set('noa', { groups: ['customers'] });
    expect((await signIn(new Browser(), api, idp, 'noa')).status).toBe(403);
    expect(await refused('no-account')).toBeDefined();
  });
});

test('R6: an erased account takes its people and their sessions with it', async () => {
  const skipping = await startTimeSkippingApi({ signIn: { providers: [settingsOf(idp)] } });
  try {
    introduce(idp, skipping);
    const account = await skipping.system.createAccount();
    idp.people.set('eve', { name: 'Eve', groups: ['customers'], account });
    const eve = await signedIn('eve', skipping);
    expect((await askIn(eve, skipping, 'POST', `/v1/accounts/${account}/close`, {})).status).toBe(200);
    await skipping.system.sleep(31 * day);
    await eventually('the account is erased', async () => {
      const { body } = await skipping.ask('GET', `/v1/accounts/${account}`);
      return body['state'] === 'erased' ? true : undefined;
    });
    expect((await me(eve, skipping)).status).toBe(401);
    const { connection } = skipping.system.store;
    expect(await connection.collection('users').countDocuments()).toBe(0);
    expect(await connection.collection('sessions').countDocuments()).toBe(0);
    expect((await signIn(eve, skipping, idp, 'eve')).status).toBe(403);
  } finally {
    await skipping.stop();
  }
}, 120_000);
