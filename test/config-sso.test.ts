/** Configuring how people sign in: everything wrong with it is said at the start, by name (R26). */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../src/config';
import { complete, flawsIn } from './helpers/configuration';

const tenant = '9122040d-6c67-4c5b-b112-36a304b66dad';
const keycloak = {
  id: 'keycloak',
  kind: 'keycloak',
  issuer: 'https://sso.example.org/realms/ours',
  clientId: 'ablauf',
  clientSecret: 'secret',
  roles: [{ claim: 'realm_access.roles', value: 'ablauf-admin', role: 'admin' }],
};
const google = {
  ...keycloak,
  id: 'google',
  kind: 'google',
  issuer: 'https://accounts.google.com',
  hostedDomains: ['Example.org'],
  roles: [{ claim: 'email', value: 'ada@example.org', role: 'admin' }],
};
const microsoft = {
  ...keycloak,
  id: 'entra',
  kind: 'microsoft',
  issuer: 'https://login.microsoftonline.com/organizations/v2.0',
  tenants: [tenant.toUpperCase()],
  roles: [{ claim: 'roles', value: 'Ablauf.Admin', role: 'admin' }],
};

const withSso = (value: unknown, more: Readonly<Record<string, string>> = {}) => ({
  ...complete,
  ABLAUF_SSO: typeof value === 'string' ? value : JSON.stringify(value),
  ...more,
});
const flaws = (value: unknown, more?: Readonly<Record<string, string>>) => flawsIn(withSso(value, more));

describe('identity providers', () => {
  it('are nobody where none is named', () => {
    const { sso } = readConfig(complete);
    expect(sso).toEqual({
      providers: [],
      limits: { idle: 3_600_000, lifetime: 43_200_000 },
      stepUpAge: 600_000,
    });
  });

  it('are read whole, several at once, with their names and what they let in', () => {
    const customer = { claim: 'groups', value: 'customers', role: 'customer', account: { claim: 'org.account' } };
    const { providers } = readConfig(
      withSso([google, microsoft, { ...keycloak, scope: 'profile groups', roles: [...keycloak.roles, customer] }]),
    ).sso;
    expect(providers.map(({ name }) => name)).toEqual(['Google', 'Microsoft', 'Keycloak']);
    expect(providers[0]?.hostedDomains).toEqual(['example.org']);
    expect(providers[1]?.tenants).toEqual([tenant]);
    expect(providers[2]).toMatchObject({
      scope: 'openid profile groups',
      roles: [{ claim: ['realm_access', 'roles'], role: 'admin' }, { account: { claim: ['org', 'account'] } }],
    });
  });

  it('have their secrets in files, one each', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'sso-')), 'secret');
    writeFileSync(file, 'from a file\n');
    const { clientSecret: _, ...secretless } = keycloak;
    const { providers } = readConfig(withSso([{ ...secretless, clientSecretFile: file }])).sso;
    expect(providers[0]?.clientSecret).toBe('from a file');
    expect(readConfig(withSso([secretless])).sso.providers[0]?.clientSecret).toBeUndefined();
    expect(flaws([{ ...keycloak, clientSecretFile: file }])).toEqual([
      'ABLAUF_SSO[0].clientSecret: is given twice, also as clientSecretFile',
    ]);
    expect(flaws([{ ...secretless, clientSecretFile: `${file}.none` }])[0]).toMatch(
      /^ABLAUF_SSO\[0\]\.clientSecretFile: cannot be read/,
    );
  });

  it('may be named in a file as a whole', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'sso-')), 'sso.json');
    writeFileSync(file, JSON.stringify([keycloak]));
    expect(readConfig({ ...complete, ABLAUF_SSO_FILE: file }).sso.providers).toHaveLength(1);
  });

  it.each<[string, unknown, RegExp]>([
    ['what is no JSON', '{"secret', /^ABLAUF_SSO: is not JSON$/],
    ['none at all', [], /must name at least one provider/],
    ['an unknown kind', [{ ...keycloak, kind: 'facebook' }], /^ABLAUF_SSO\[0\]\.kind: /],
    ['a field nobody knows', [{ ...keycloak, hostedDomain: 'x.org' }], /hostedDomain/],
    ['two of the same id', [keycloak, keycloak], /^ABLAUF_SSO\[1\]\.id: keycloak is the id of another provider, too$/],
    ['an id that is a path of its own', [{ ...keycloak, id: 'sessions' }], /\.id: sessions has a meaning of its own/],
    ['an id that is no part of a path', [{ ...keycloak, id: '../x' }], /^ABLAUF_SSO\[0\]\.id: must be 1–32/],
    ['an issuer without TLS', [{ ...keycloak, issuer: 'http://sso.example.org' }], /\.issuer: must begin with https/],
    ['an issuer with a user', [{ ...keycloak, issuer: 'https://a:b@sso.example.org' }], /\.issuer: must be an issuer/],
    [
      'metadata in place of the issuer',
      [{ ...keycloak, issuer: `${keycloak.issuer}/.well-known/openid-configuration` }],
      /\.issuer: must be the issuer/,
    ],
    [
      'Google elsewhere',
      [{ ...google, issuer: 'https://accounts.google.org' }],
      /\.issuer: must be https:\/\/accounts/,
    ],
    ['Google for everybody', [{ ...google, hostedDomains: undefined }], /\.hostedDomains: is missing: anybody/],
    ['Google for no domain', [{ ...google, hostedDomains: ['*'] }], /\.hostedDomains\[0\]: must be a domain/],
    ['Microsoft for everybody', [{ ...microsoft, tenants: undefined }], /\.tenants: is missing/],
    ['a tenant by its name', [{ ...microsoft, tenants: ['contoso'] }], /\.tenants\[0\]: must be ids of tenants/],
    ['tenants of another kind', [{ ...keycloak, tenants: [tenant] }], /\.tenants: is for microsoft alone/],
    ['domains of another kind', [{ ...keycloak, hostedDomains: ['x.org'] }], /\.hostedDomains: is for google alone/],
    ['nobody let in', [{ ...keycloak, roles: [] }], /\.roles: must say whom/],
    ['an unknown role', [{ ...keycloak, roles: [{ claim: 'a', value: 'b', role: 'root' }] }], /\.roles\[0\]\.role: /],
    [
      'a person as a machine',
      [{ ...keycloak, roles: [{ claim: 'a', value: 'b', role: 'gateway' }] }],
      /\.role: is for machines/,
    ],
    [
      'a customer without account',
      [{ ...keycloak, roles: [{ claim: 'a', value: 'b', role: 'customer' }] }],
      /\.roles\[0\]\.account: is missing/,
    ],
    [
      'staff with an account',
      [{ ...keycloak, roles: [{ claim: 'a', value: 'b', role: 'admin', account: { id: 'acct-1' } }] }],
      /\.account: is for customers alone/,
    ],
    [
      'people by their mail, with whoever proves none',
      [{ ...microsoft, roles: [{ claim: 'email', value: 'a@b.c', role: 'admin' }] }],
      /\.roles\[0\]\.claim: email proves nobody/,
    ],
    [
      'people by a name they choose',
      [{ ...google, roles: [{ claim: 'preferred_username', value: 'ada', role: 'admin' }] }],
      /preferred_username proves nobody/,
    ],
  ])('are refused with %s', (_name, value, expected) => {
    const found = flaws(value);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
    expect(found.join()).not.toContain('secret"');
  });

  it('send people back to a public URL without a path, which only this machine does without', () => {
    const tls = { ABLAUF_HOST: '0.0.0.0', ABLAUF_TLS: 'proxy' };
    expect(flaws([keycloak], tls)).toEqual([
      'ABLAUF_PUBLIC_URL: is missing, though people sign in: providers send them back to it',
    ]);
    expect(flaws([keycloak], { ...tls, ABLAUF_PUBLIC_URL: 'https://ablauf.example.org' })).toEqual([]);
    expect(flaws([keycloak], { ABLAUF_PUBLIC_URL: 'https://example.org/ablauf' })[0]).toMatch(/must name no path/);
  });

  it('stand on this machine without TLS, for trying it out', () => {
    expect(flaws([{ ...keycloak, issuer: 'http://127.0.0.1:8080/realms/ours' }])).toEqual([]);
  });
});

describe('sessions', () => {
  it.each<[string, Readonly<Record<string, string>>, string]>([
    ['too short an idle time', { ABLAUF_SESSION_IDLE: 'PT0S' }, 'ABLAUF_SESSION_IDLE: must be at least PT1S'],
    [
      'a lifetime below it',
      { ABLAUF_SESSION_IDLE: 'PT2H', ABLAUF_SESSION_LIFETIME: 'PT1H' },
      'ABLAUF_SESSION_LIFETIME: must not be shorter than ABLAUF_SESSION_IDLE',
    ],
    ['a lifetime beyond a month', { ABLAUF_SESSION_LIFETIME: 'P31D' }, 'ABLAUF_SESSION_LIFETIME: must be at most P30D'],
    ['no time to step up', { ABLAUF_STEP_UP_AGE: 'PT0S' }, 'ABLAUF_STEP_UP_AGE: must be at least PT1S'],
  ])('are refused with %s', (_name, environment, flaw) => {
    expect(flawsIn({ ...complete, ...environment })).toEqual([flaw]);
  });
});
