/** Who can be picked at the development identity provider, and what Ablauf takes them for. */

/** The two languages its pages speak. */
export type Language = 'en' | 'de';

/** Somebody to sign in as. */
export interface Person {
  /** Their subject. */
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly groups: readonly string[];
  /** What they are here, for whoever picks. */
  readonly about: Readonly<Record<Language, string>>;
}

/** Those that can be picked as they are. */
export const people: readonly Person[] = [
  person('ada', 'Ada Winter', ['ablauf-admins'], 'Administrator', 'Administratorin'),
  person('oskar', 'Oskar Brandt', ['ablauf-operators'], 'Operator', 'Betrieb'),
  person('mira', 'Mira Okafor', ['ablauf-auditors'], 'Auditor', 'Revision'),
  person('paul', 'Paul Lindgren', ['ablauf-legal'], 'Legal', 'Rechtsabteilung'),
  person('nora', 'Nora Haas', ['another-department'], 'No role: is refused', 'Ohne Rolle: wird abgewiesen'),
];

/** One more, whose account is entered when they are picked. */
export const customer: Person = person('chris', 'Chris Moreau', ['ablauf-customers'], 'Customer', 'Kundschaft');

/** The account the customer's field holds until another one is entered. */
export const standardAccount = 'acme';

/** How an account may be called; as everywhere in Ablauf. */
export const accountPattern = '[A-Za-z0-9._\\-]{1,64}';

/** The subject of a customer of that account. */
export function customerOf(account: string): string {
  return `${customer.id}:${account}`;
}

/** The claims of a person. */
export const claimNames = ['name', 'email', 'email_verified', 'groups', 'account'] as const;

/** What is said of a subject; `undefined` where nobody has it. */
export function claimsOf(subject: string): Readonly<Record<string, unknown>> | undefined {
  const [, account] = new RegExp(`^${customer.id}:(${accountPattern})$`).exec(subject) ?? [];
  const found = account === undefined ? people.find(({ id }) => id === subject) : customer;
  if (found === undefined) return undefined;
  const { name, email, groups } = found;
  return { name, email, email_verified: true, groups, ...(account === undefined ? {} : { account }) };
}

/** How Ablauf is to read the groups: the mapping of `ABLAUF_SSO`. */
export const roleRules: readonly Readonly<Record<string, unknown>>[] = [
  { claim: 'groups', value: 'ablauf-admins', role: 'admin' },
  { claim: 'groups', value: 'ablauf-operators', role: 'operator' },
  { claim: 'groups', value: 'ablauf-auditors', role: 'auditor' },
  { claim: 'groups', value: 'ablauf-legal', role: 'legal' },
  { claim: 'groups', value: 'ablauf-customers', role: 'customer', account: { claim: 'account' } },
];

function person(id: string, name: string, groups: readonly string[], en: string, de: string): Person {
  return { id, name, email: `${id}@example.com`, groups, about: { en, de } };
}
