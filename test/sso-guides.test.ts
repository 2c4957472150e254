/** The guides' entries of `ABLAUF_SSO` are taken as they are, and let in whom they say, from a provider with those habits (R26). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ssoConfig } from '../src/config-sso';
import type { ProviderSettings } from '../src/sso';
import { startApi, type Api } from './helpers/api';
import { Browser } from './helpers/browser';
import { startIdentityProvider, type Claims, type IdentityProvider } from './helpers/identity-provider';
import { askIn, introduce, signIn } from './helpers/sign-in';
import { randomAccountId } from './helpers/system';

const folder = mkdtempSync(join(tmpdir(), 'ablauf-guides-'));
const secretFile = join(folder, 'secret');
writeFileSync(secretFile, 'a-secret\n');

/** What the guides call `acme`: one Temporal serves all tests, and another may know an account of that name. */
const acme = randomAccountId();

/** What the guide has its reader paste, with a secret that is there. */
function settingsIn(guide: string): ProviderSettings {
  const page = readFileSync(join(__dirname, '..', 'docs', 'guides', `sso-${guide}.md`), 'utf8');
  const [, entry = ''] = /```json\n([\s\S]*?)```/.exec(page) ?? [];
  const flaws: string[] = [];
  const { providers } = ssoConfig(
    {
      ABLAUF_SSO: entry.replace(`/run/secrets/${guide}`, secretFile).replaceAll('"acme"', JSON.stringify(acme)),
      ABLAUF_SESSION_IDLE: 'PT1H',
      ABLAUF_SESSION_LIFETIME: 'PT12H',
      ABLAUF_STEP_UP_AGE: 'PT10M',
      ABLAUF_HOST: '127.0.0.1',
    },
    flaws,
  );
  expect(flaws).toEqual([]);
  const [settings] = providers;
  if (settings === undefined) throw new Error(`there is no entry in the guide of ${guide}`);
  expect(settings.id).toBe(guide);
  expect(page).toContain(`/auth/${guide}/callback`);
  return settings;
}

const client = 'resource_access';
const foreign = '11111111-2222-3333-4444-555555555555';

/** Who is let in as what, and who is not, by what the provider says of them. */
const cases: Record<'google' | 'okta' | 'microsoft' | 'keycloak', readonly [claims: Claims, outcome: string][]> = {
  google: [
    [{ hd: 'example.com', email: 'ada@example.com' }, 'admin'],
    [{ hd: 'example.com', email: 'somebody@example.com' }, 'auditor'],
    [{ hd: 'customer.example', email: 'chris@customer.example' }, 'customer of ACME'],
    // Nothing but the organisation's own word for an address counts.
    [{ hd: 'example.com', email: 'ada@example.com', email_verified: false }, 'auditor'],
    [{ email: 'ada@example.com' }, 'organisation'],
    [{ hd: 'elsewhere.example', email: 'ada@example.com' }, 'organisation'],
    [{ hd: ['example.com'], email: 'ada@example.com' }, 'organisation'],
  ],
  okta: [
    [{ groups: ['Everyone', 'ablauf-legal'] }, 'legal'],
    [{ groups: ['ablauf-customers'], account: acme }, 'customer of ACME'],
    [{ groups: ['ablauf-customers'] }, 'no-account'],
    [{ groups: ['Everyone'] }, 'no-role'],
    [{ groups: 'ablauf-admins-not' }, 'no-role'],
    [{}, 'no-role'],
  ],
  microsoft: [
    [{ roles: ['Ablauf.Operator'], email: 'o@example.com' }, 'operator'],
    [{ roles: ['Ablauf.Customer'] }, 'customer of ACME'],
    [{ roles: ['Ablauf.Admin', 'Ablauf.Auditor'] }, 'admin'],
    [{ email: 'admin@example.com' }, 'no-role'],
    // A tenant that says it is another, under a key that is good for both.
    [{ roles: ['Ablauf.Admin'], tid: foreign }, 'token'],
  ],
  keycloak: [
    [{ [client]: { ablauf: { roles: ['admin'] } } }, 'admin'],
    [{ realm_access: { roles: ['offline_access', 'ablauf-auditor'] } }, 'auditor'],
    [{ [client]: { ablauf: { roles: ['customer'] } }, account: acme }, 'customer of ACME'],
    [{ [client]: { another: { roles: ['admin'] } } }, 'no-role'],
    [{ realm_access: { roles: ['admin'] } }, 'no-role'],
    [{ 'realm_access.roles': ['ablauf-auditor'] }, 'auditor'],
  ],
};

const kinds = Object.keys(cases) as (keyof typeof cases)[];
const idps = new Map<string, IdentityProvider>();
let api: Api;

beforeAll(async () => {
  const providers: ProviderSettings[] = [];
  for (const kind of kinds) {
    const idp = await startIdentityProvider({ kind });
    idps.set(kind, idp);
    const { issuer, clientId, clientSecret } = idp;
    providers.push({ ...settingsIn(kind), issuer: new URL(issuer), clientId, clientSecret });
  }
  api = await startApi({ signIn: { providers } });
  await api.system.createAccount({ id: acme });
  for (const idp of idps.values()) introduce(idp, api);
}, 180_000);

afterAll(async () => {
  await api.stop();
  for (const idp of idps.values()) await idp.stop();
  rmSync(folder, { recursive: true, force: true });
});

test.each(kinds.flatMap((kind) => cases[kind].map(([claims, outcome], at) => [kind, claims, outcome, at] as const)))(
  'R26: %s, %j: %s',
  async (kind, claims, outcome, at) => {
    const idp = idps.get(kind);
    if (idp === undefined) throw new Error('there is none');
    const person = `person-${at}`;
    idp.people.set(person, { name: 'Somebody', ...claims });
    const browser = new Browser();
    const page = await signIn(browser, api, idp, person);
    const { status, body } = await askIn(browser, api, 'GET', '/auth/me');
    const account = typeof body['account'] === 'string' ? ` of ${body['account'].replace(acme, 'ACME')}` : '';
    const faults = api.logged.map((line) => JSON.parse(line) as { msg?: string; fault?: string });
    const fault = faults.findLast(({ msg }) => msg === 'nobody was signed in')?.fault;
    expect(status === 200 ? `${String(body['role'])}${account}` : fault).toBe(outcome);
    expect(page.url.origin).toBe(api.url);
  },
);
