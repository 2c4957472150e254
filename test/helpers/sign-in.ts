/** Signing in to the API under test, with a provider of the test's own. */
import type { ProviderSettings, RoleRule } from '../../src/sso';
import type { Api } from './api';
import type { Browser, Page } from './browser';
import type { IdentityProvider } from './identity-provider';

/** A provider's configuration, as `ABLAUF_SSO` would have it. */
export function settingsOf(idp: IdentityProvider, more: Partial<ProviderSettings> = {}): ProviderSettings {
  return {
    id: idp.kind,
    kind: idp.kind,
    name: 'Provider of the test',
    issuer: new URL(idp.issuer),
    clientId: idp.clientId,
    clientSecret: idp.clientSecret,
    scope: 'openid profile email',
    hostedDomains: [],
    tenants: [],
    roles: groupRules,
    ...more,
  };
}

/** A group for each role of staff, and one for customers, whose account a claim names. */
export const groupRules: readonly RoleRule[] = [
  ...(['admin', 'operator', 'auditor', 'legal'] as const).map((role) => ({ claim: ['groups'], value: role, role })),
  { claim: ['groups'], value: 'customers', role: 'customer', account: { claim: ['account'] } },
];

/** Tells a provider where the API listens. */
export function introduce(idp: IdentityProvider, { url }: Pick<Api, 'url'>, id: string = idp.kind): void {
  idp.register({
    redirect: [`${url}/auth/${id}/callback`],
    afterLogout: [`${url}/auth`],
    backChannel: `${url}/auth/${id}/backchannel-logout`,
  });
}

/** Signs somebody in with a browser, and comes out wherever that leads. */
export async function signIn(
  browser: Browser,
  { url }: Pick<Api, 'url'>,
  idp: IdentityProvider,
  person: string,
  query = '',
): Promise<Page> {
  idp.person = person;
  return browser.visit(`${url}/auth/${idp.kind}/login${query}`);
}

/** What the API answers somebody signed in, as a script of one of its pages would ask. */
export async function askIn(
  browser: Browser,
  { url }: Pick<Api, 'url'>,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = { 'sec-fetch-site': 'same-origin' },
) {
  const page = await browser.visit(`${url}${path}`, {
    method,
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const isJson = page.headers.get('content-type')?.includes('json') === true;
  return { ...page, body: (isJson && page.text !== '' ? JSON.parse(page.text) : {}) as Record<string, unknown> };
}
