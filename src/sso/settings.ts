/** What an operator says of an identity provider, and of whom it lets in as what. */
import type { Role } from '../lifecycle';

/** Those whose ways are known here; `oidc` is any other that speaks OpenID Connect. */
export const providerKinds = ['google', 'microsoft', 'okta', 'keycloak', 'oidc'] as const;
export type ProviderKind = (typeof providerKinds)[number];

/** One line of a provider's mapping: whoever has this value in this claim has this role. */
export interface RoleRule {
  /** The claim's name, or the way to it: `realm_access.roles`. */
  readonly claim: readonly string[];
  /** What it has to be, or to hold where it is a list. */
  readonly value: string;
  readonly role: Role;
  /** A customer's account: this one, or the one a claim names. */
  readonly account?: { readonly id: string } | { readonly claim: readonly string[] };
}

/** A provider, as configured. */
export interface ProviderSettings {
  /** How it is called in paths. */
  readonly id: string;
  readonly kind: ProviderKind;
  /** How it is called to people. */
  readonly name: string;
  readonly issuer: URL;
  readonly clientId: string;
  /** Absent of a public client, which shows nothing but its code verifier. */
  readonly clientSecret?: string;
  readonly scope: string;
  /** Google's organisations whose people are let in. */
  readonly hostedDomains: readonly string[];
  /** Microsoft's tenants whose people are let in, by id. */
  readonly tenants: readonly string[];
  /** The first that applies decides. */
  readonly roles: readonly RoleRule[];
}

/** Where Microsoft says of several tenants at once how they sign in. */
const severalTenants = /^\/(organizations|common)\/v2\.0\/?$/;

/** Whether a provider's issuer stands for several tenants of Microsoft's, each of which issues in its own name. */
export function isMultiTenant({ kind, issuer }: Pick<ProviderSettings, 'kind' | 'issuer'>): boolean {
  return kind === 'microsoft' && severalTenants.test(issuer.pathname);
}
