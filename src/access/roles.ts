/** Who may do what (the table "Roles" of the contract), by what is asked. Transitions take theirs from the lifecycle's table. */
import { roles, rolesFor, type Role } from '../lifecycle';
import type { Scope } from './principal';

/** The roles of everything that is not a transition of an account. */
export const permissions = {
  createAccount: ['admin', 'operator'],
  /** Taking over an account in a state other than active. */
  adoptAccount: ['admin'],
  readAccounts: ['admin', 'operator', 'auditor', 'legal', 'customer'],
  changeProfile: ['admin', 'operator'],
  checkAccess: roles,
  suspend: rolesFor('suspend'),
  reinstate: rolesFor('reinstate'),
  close: rolesFor('close'),
  reopen: rolesFor('reopen'),
  readPolicy: ['admin', 'operator', 'auditor', 'legal', 'customer'],
  changePolicy: rolesFor('changePolicy'),
  readHolds: ['admin', 'operator', 'auditor', 'legal'],
  placeHold: rolesFor('placeHold'),
  releaseHold: rolesFor('releaseHold'),
  /** Whose view of an account includes its holds. */
  seeHolds: ['admin', 'legal', 'auditor'],
  /** The whole log, and having it verified. */
  readAudit: ['admin', 'auditor'],
  verifyAudit: ['admin', 'auditor'],
  readTimeline: ['admin', 'operator', 'auditor', 'legal', 'customer'],
  ingest: ['gateway', 'admin'],
  /** Customer content: the customer's own, and after closure the legal role's, on record (R15). Nobody else's. */
  readRecords: ['customer', 'legal'],
  /** R10: what the law keeps; on record. */
  readRetained: ['legal'],
  /** A data subject's request. It does not wait until the account is in good standing, but for the customer's own. */
  erasePersons: ['admin', 'operator', 'legal', 'customer'],
  readPersonRequests: ['admin', 'operator', 'auditor', 'legal', 'customer'],
  /** What erasing an account would do; customers do not see holds (R9). */
  readErasurePlan: ['admin', 'operator', 'auditor', 'legal'],
  /** Letting go what the breaker keeps back. */
  releaseErasures: ['admin'],
  /** Asking for an export and fetching its file: customer content, as above (R14, R15). */
  createExport: ['customer', 'legal'],
  downloadExport: ['customer', 'legal'],
  /** That there is one, and what has become of it. */
  readExports: ['admin', 'operator', 'auditor', 'legal', 'customer'],
  /** Daily totals: nothing of a person, and no content. */
  readUsage: ['admin', 'operator', 'auditor', 'customer'],
  storeInvoice: ['admin', 'operator'],
  readInvoices: ['admin', 'operator', 'legal', 'customer'],
  readSettings: ['admin', 'operator', 'auditor', 'legal'],
  changeSettings: ['admin', 'operator'],
  /** R7: what brings an erasure nearer. */
  shortenPeriods: ['admin'],
  /** R27: who reaches the instance, and whom gateways serve. */
  changeAddresses: ['admin'],
  readAccountAddresses: ['admin', 'operator', 'auditor', 'customer'],
  changeAccountAddresses: ['admin', 'operator', 'customer'],
  /** What waits for a second person; agreeing takes being allowed to do it as well. */
  readApprovals: ['admin', 'operator', 'auditor', 'legal'],
  decideApprovals: ['admin', 'operator', 'legal'],
  readKeys: ['admin', 'auditor'],
  manageKeys: ['admin'],
  /** The register of R24. */
  readProviders: ['admin', 'operator', 'auditor', 'legal'],
  manageProviders: ['admin'],
  readUsers: ['admin', 'auditor'],
  manageUsers: ['admin'],
  /** Whoever is signed in, of themselves: who they are, and their sessions. */
  readOwnSession: roles,
  readProcessors: ['admin', 'operator', 'auditor', 'legal'],
  manageProcessors: ['admin'],
  /** What Temporal stores encrypted: operators read courses in its Web UI. */
  readPayloads: ['admin', 'operator'],
} as const satisfies Record<string, readonly Role[]>;

export type Permission = keyof typeof permissions;

/** Whether a role may do something. */
export function may(role: Role, permission: Permission): boolean {
  return (permissions[permission] as readonly Role[]).includes(role);
}

/** Whose keys may be given a scope: those of the roles that may do something which needs it. */
export const scopeRoles = {
  holds: permissions.releaseHold,
  reopen: permissions.reopen,
  keys: permissions.manageKeys,
  settings: permissions.changeSettings,
} as const satisfies Record<Scope, readonly Role[]>;
