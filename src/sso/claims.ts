/** From what a provider says of a person to what the person may be here. */
import type { Role } from '../lifecycle';
import { SignInError } from './errors';
import type { ProviderSettings, RoleRule } from './settings';

export type Claims = Readonly<Record<string, unknown>>;

/** What a person is here, and of a customer in which account. */
export interface Standing {
  readonly role: Role;
  readonly account?: string;
}

/** The value at a claim's path. Names may hold dots of their own, as URLs and ids of clients do: the longest that is there counts. */
export function claimAt(claims: Claims, path: readonly string[]): unknown {
  for (let length = path.length; length > 0; length -= 1) {
    const name = path.slice(0, length).join('.');
    if (!Object.hasOwn(claims, name)) continue;
    const value = claims[name];
    const rest = path.slice(length);
    if (rest.length === 0) return value;
    return typeof value === 'object' && value !== null ? claimAt(value as Claims, rest) : undefined;
  }
  return undefined;
}

/**
 * The role the first applying rule gives.
 *
 * @throws {SignInError} `no-role` where none applies, `no-account` where it names no account
 */
export function standingOf({ name, roles }: Pick<ProviderSettings, 'name' | 'roles'>, claims: Claims): Standing {
  const rule = roles.find((candidate) => applies(candidate, claims));
  if (rule === undefined) {
    throw new SignInError('no-role', `${name} signs you in, but gives you no role here`);
  }
  if (rule.account === undefined) return { role: rule.role };
  const account = 'id' in rule.account ? rule.account.id : claimAt(claims, rule.account.claim);
  if (typeof account !== 'string' || account === '') {
    throw new SignInError('no-account', `${name} signs you in, but names no account of yours`);
  }
  return { role: rule.role, account };
}

function applies({ claim, value }: RoleRule, claims: Claims): boolean {
  const found = claimAt(claims, claim);
  // Anybody may enter any address with most providers; the one that is allowed here has to vouch for it.
  if (claim.join('.') === 'email' && claims['email_verified'] !== true) return false;
  return Array.isArray(found) ? found.includes(value) : found === value;
}

/**
 * Checks that a person is of an organisation that is let in: Google's hosted domain, Microsoft's tenant. Both are claims of
 * the token; what was asked for when the sign-in began proves nothing.
 *
 * @throws {SignInError} `organisation`
 */
export function assertOrganisation({ kind, name, hostedDomains, tenants }: ProviderSettings, claims: Claims): void {
  if (kind === 'google' && !includes(hostedDomains, claims['hd'])) {
    throw new SignInError('organisation', `your account at ${name} is of no organisation that is let in here`);
  }
  if (kind === 'microsoft' && !includes(tenants, claims['tid'])) {
    throw new SignInError('organisation', `your account at ${name} is of no tenant that is let in here`);
  }
}

function includes(list: readonly string[], value: unknown): boolean {
  return typeof value === 'string' && list.includes(value.toLowerCase());
}
