/** Configuring how people sign in (R26): `ABLAUF_SSO` names the providers, and whom they let in as what. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { accountIdPattern } from './data';
import { parseDuration, roles } from './lifecycle';
import { durationSchema } from './lifecycle/schemas';
import { providerKinds, type ProviderSettings, type RoleRule } from './sso';
import { isLoopback } from './transit';

/** The variables, with their documentation. */
export const ssoVariables = {
  ABLAUF_SSO: z
    .string()
    .optional()
    .describe('Identity providers people sign in with, as a JSON array; see docs/signin.md (R26)'),
  ABLAUF_SESSION_IDLE: durationSchema.default('PT1H').describe('How long a session lasts without use'),
  ABLAUF_SESSION_LIFETIME: durationSchema.default('PT12H').describe('How long a session lasts at most'),
  ABLAUF_STEP_UP_AGE: durationSchema
    .default('PT10M')
    .describe('How long after signing in somebody counts as freshly signed in, for what asks for that'),
} as const;

/** How people sign in. */
export interface SsoConfig {
  readonly providers: readonly ProviderSettings[];
  /** Of sessions, in milliseconds. */
  readonly limits: { readonly idle: number; readonly lifetime: number };
  /** How long a sign-in counts as fresh, in milliseconds. */
  readonly stepUpAge: number;
}

interface Values extends z.output<z.ZodObject<typeof ssoVariables>> {
  readonly ABLAUF_HOST: string;
  readonly ABLAUF_PUBLIC_URL?: string | undefined;
}

const variable = 'ABLAUF_SSO';
/** Browsers keep cookies for 400 days at most; nobody ought to be signed in for longer than a month. */
const longestLifetime = 30 * 24 * 60 * 60 * 1000;

const path = z
  .string()
  .max(200)
  .regex(/^[^.\s]+(\.[^.\s]+)*$/, 'must be the name of a claim, or the dotted way to one');
const rule = z
  .strictObject({
    claim: path,
    value: z.string().min(1).max(500),
    role: z.enum(roles),
    account: z
      .union([
        z.strictObject({ claim: path }),
        z.strictObject({ id: z.string().regex(accountIdPattern, 'must be the id of an account') }),
      ])
      .optional(),
  })
  .superRefine(({ role, account }, context) => {
    const flaw = (message: string) => context.addIssue({ code: 'custom', path: ['account'], message });
    if (role === 'customer' && account === undefined) flaw('is missing: a customer is one of an account');
    if (role !== 'customer' && account !== undefined) flaw('is for customers alone');
    if (role === 'gateway') context.addIssue({ code: 'custom', path: ['role'], message: 'is for machines, with keys' });
  });

const domain = z
  .string()
  .toLowerCase()
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'must be a domain such as example.com');

const provider = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be 1–32 of a–z 0–9 and -'),
  kind: z.enum(providerKinds),
  name: z
    .string()
    .trim()
    .min(1)
    .max(60)
    .regex(/^\P{Cc}*$/u, 'must not hold control characters')
    .optional(),
  issuer: z.url({ protocol: /^https?$/ }),
  clientId: z.string().min(1).max(500),
  clientSecret: z.string().min(1).optional(),
  clientSecretFile: z.string().min(1).optional(),
  scope: z
    .string()
    .regex(/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/, 'must be names of scopes, separated by blanks')
    .optional(),
  hostedDomains: z.array(domain).min(1).optional(),
  tenants: z.array(z.guid('must be ids of tenants').toLowerCase()).min(1).optional(),
  roles: z.array(rule).min(1, 'must say whom the provider lets in').max(500),
});
type GivenProvider = z.output<typeof provider>;

const names = { google: 'Google', microsoft: 'Microsoft', okta: 'Okta', keycloak: 'Keycloak', oidc: 'OpenID Connect' };
const googleIssuer = 'https://accounts.google.com';
/** What a person may choose or an administrator may hand on to the next: it names nobody for long. */
const changeable = new Set(['email', 'preferred_username', 'upn', 'unique_name', 'nickname', 'name']);
/** Paths under `/auth/` that are no provider's. */
const reserved = new Set(['providers', 'me', 'sessions', 'logout']);

/** @param flaws are added to */
export function ssoConfig(values: Values, flaws: string[]): SsoConfig {
  const limits = {
    idle: parseDuration(values.ABLAUF_SESSION_IDLE),
    lifetime: parseDuration(values.ABLAUF_SESSION_LIFETIME),
  };
  const stepUpAge = parseDuration(values.ABLAUF_STEP_UP_AGE);
  if (limits.idle < 1000) flaws.push('ABLAUF_SESSION_IDLE: must be at least PT1S');
  if (limits.lifetime < limits.idle)
    flaws.push('ABLAUF_SESSION_LIFETIME: must not be shorter than ABLAUF_SESSION_IDLE');
  if (limits.lifetime > longestLifetime) flaws.push('ABLAUF_SESSION_LIFETIME: must be at most P30D');
  if (stepUpAge < 1000) flaws.push('ABLAUF_STEP_UP_AGE: must be at least PT1S');
  const providers = values.ABLAUF_SSO === undefined ? [] : providersIn(values.ABLAUF_SSO, flaws);
  if (providers.length > 0) checkPublicUrl(values, flaws);
  return { providers, limits, stepUpAge };
}

function checkPublicUrl({ ABLAUF_HOST: host, ABLAUF_PUBLIC_URL: url }: Values, flaws: string[]): void {
  if (url === undefined) {
    if (!isLoopback(host))
      flaws.push('ABLAUF_PUBLIC_URL: is missing, though people sign in: providers send them back to it');
  } else if (new URL(url).pathname !== '/') {
    flaws.push('ABLAUF_PUBLIC_URL: must name no path, since people sign in: cookies are for a whole host');
  }
}

function providersIn(text: string, flaws: string[]): ProviderSettings[] {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    // What is wrong with it could quote a secret.
    flaws.push(`${variable}: is not JSON`);
    return [];
  }
  const parsed = z.array(provider).min(1, 'must name at least one provider').max(20).safeParse(given);
  if (!parsed.success) {
    flaws.push(...parsed.error.issues.map(({ path: at, message }) => `${variable}${placeOf(at)}: ${message}`));
    return [];
  }
  const ids = new Set<string>();
  return parsed.data.map((one, index) => {
    const flaw = (where: string, detail: string) => void flaws.push(`${variable}[${index}]${where}: ${detail}`);
    if (ids.has(one.id)) flaw('.id', `${one.id} is the id of another provider, too`);
    if (reserved.has(one.id)) flaw('.id', `${one.id} has a meaning of its own in paths`);
    ids.add(one.id);
    checkIssuer(one, flaw);
    checkOrganisations(one, flaw);
    checkRules(one, flaw);
    return settingsOf(one, secretOf(one, flaw));
  });
}

type Flaw = (where: string, detail: string) => void;

function placeOf(at: readonly PropertyKey[]): string {
  return at.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
}

function checkIssuer({ kind, issuer: text }: GivenProvider, flaw: Flaw): void {
  const issuer = new URL(text);
  if (issuer.protocol === 'http:' && !isLoopback(issuer.hostname)) flaw('.issuer', 'must begin with https://');
  if (issuer.username !== '' || issuer.search !== '' || issuer.hash !== '') {
    flaw('.issuer', 'must be an issuer, without user, query or fragment');
  }
  if (issuer.pathname.includes('/.well-known/')) flaw('.issuer', 'must be the issuer, not the address of its metadata');
  if (kind === 'google' && !isLoopback(issuer.hostname) && issuer.origin !== googleIssuer) {
    flaw('.issuer', `must be ${googleIssuer}`);
  }
}

function checkOrganisations({ kind, hostedDomains, tenants }: GivenProvider, flaw: Flaw): void {
  if (kind === 'google' && hostedDomains === undefined) {
    flaw('.hostedDomains', 'is missing: anybody in the world has an account at Google');
  }
  if (kind !== 'google' && hostedDomains !== undefined) flaw('.hostedDomains', 'is for google alone');
  if (kind === 'microsoft' && tenants === undefined) {
    flaw('.tenants', 'is missing: any organisation in the world may have a tenant at Microsoft');
  }
  if (kind !== 'microsoft' && tenants !== undefined) flaw('.tenants', 'is for microsoft alone');
}

function checkRules({ kind, roles: rules }: GivenProvider, flaw: Flaw): void {
  for (const [index, { claim }] of rules.entries()) {
    // Google hands a mail address of an organisation's to nobody else, and says when it has not checked one.
    const isProven = kind === 'google' && claim === 'email';
    if (changeable.has(claim) && !isProven) {
      flaw(
        `.roles[${index}].claim`,
        `${claim} proves nobody, since it may be changed or handed on; take groups, roles or sub`,
      );
    }
  }
}

function secretOf({ clientSecret, clientSecretFile }: GivenProvider, flaw: Flaw): string | undefined {
  if (clientSecretFile === undefined) return clientSecret;
  if (clientSecret !== undefined) {
    flaw('.clientSecret', 'is given twice, also as clientSecretFile');
    return undefined;
  }
  try {
    const secret = readFileSync(clientSecretFile, 'utf8').trim();
    if (secret === '') flaw('.clientSecretFile', 'is empty');
    return secret;
  } catch (error) {
    flaw('.clientSecretFile', `cannot be read (${error instanceof Error ? error.message : 'unknown'})`);
    return undefined;
  }
}

function settingsOf(given: GivenProvider, clientSecret: string | undefined): ProviderSettings {
  const { id, kind, name = names[kind], issuer, clientId, scope = 'openid profile email' } = given;
  return {
    id,
    kind,
    name,
    issuer: new URL(issuer),
    clientId,
    ...(clientSecret === undefined ? {} : { clientSecret }),
    scope: scope.split(' ').includes('openid') ? scope : `openid ${scope}`,
    hostedDomains: given.hostedDomains ?? [],
    tenants: given.tenants ?? [],
    roles: given.roles.map((one): RoleRule => ({
      claim: one.claim.split('.'),
      value: one.value,
      role: one.role,
      ...(one.account === undefined
        ? {}
        : { account: 'id' in one.account ? one.account : { claim: one.account.claim.split('.') } }),
    })),
  };
}
