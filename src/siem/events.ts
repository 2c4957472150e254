/** What each action of the audit log is in the Open Cybersecurity Schema Framework: its class, and the activity in it. Data, in one place. */
import type { Action } from '../audit';

/** The classes of OCSF that are used, with what their events have in common. */
export const classes = {
  account: { uid: 3001, category: 3, name: 'Account Change' },
  authentication: { uid: 3002, category: 3, name: 'Authentication' },
  entity: { uid: 3004, category: 3, name: 'Entity Management' },
  api: { uid: 6003, category: 6, name: 'API Activity' },
  datastore: { uid: 6005, category: 6, name: 'Datastore Activity' },
} as const;
export type ClassName = keyof typeof classes;

/** The activities of each class, by OCSF's own names. */
export const activities = {
  account: { Create: 1, Enable: 2, Disable: 5, Other: 99 },
  authentication: { Logon: 1, Logoff: 2, Other: 99 },
  entity: {
    Create: 1,
    Read: 2,
    Update: 3,
    Delete: 4,
    Activate: 10,
    Deactivate: 11,
    Suspend: 12,
    Resume: 13,
    Other: 99,
  },
  api: { Create: 1, Read: 2, Update: 3, Delete: 4, Other: 99 },
  datastore: { Read: 1, Delete: 7, Decrypt: 10, Other: 99 },
} as const satisfies Record<ClassName, Readonly<Record<string, number>>>;

/** What is managed, where it is an entity: OCSF knows organisations and policies, and takes our word for others. */
export type EntityType =
  'Organization' | 'Policy' | 'Legal hold' | 'Export' | 'Processor' | 'Provider' | 'Audit log' | 'Key';

/** How much it matters, by OCSF's own names. */
export const severities = { Informational: 1, Low: 2, Medium: 3, High: 4 } as const;
export type Severity = keyof typeof severities;

/** What an action is. */
export type EventKind = {
  [Class in ClassName]: {
    readonly class: Class;
    readonly activity: keyof (typeof activities)[Class];
    /** @default 'Informational' */
    readonly severity?: Severity;
    /** It was tried, and did not come about. @default false */
    readonly failed?: true;
  } & (Class extends 'entity' ? { readonly entity: EntityType } : object);
}[ClassName];

const organization = { class: 'entity', entity: 'Organization' } as const;
const processor = { class: 'entity', entity: 'Processor' } as const;
const provider = { class: 'entity', entity: 'Provider' } as const;
const ownKey = { class: 'entity', entity: 'Key' } as const;
const exported = { class: 'entity', entity: 'Export' } as const;
const update = 'Update';

/** Refusals apart, which are what was refused; see `ocsf.ts`. */
export const eventKinds: Readonly<Record<Exclude<Action, 'auth.refused'>, EventKind>> = {
  'account.cause-added': { ...organization, activity: update },
  'account.cause-resolved': { ...organization, activity: update },
  'account.created': { ...organization, activity: 'Create' },
  'account.erased': { ...organization, activity: 'Delete' },
  'account.erasure-delayed': { ...organization, activity: update, severity: 'Low' },
  'account.erasure-escalated': { ...organization, activity: update, severity: 'High' },
  'account.erasure-overdue': { ...organization, activity: update, severity: 'Medium' },
  'account.erasure-paused': { ...organization, activity: update, severity: 'Low' },
  'account.erasure-released': { ...organization, activity: update, severity: 'Low' },
  'account.erasure-started': { ...organization, activity: 'Delete' },
  'account.expired': { ...organization, activity: 'Deactivate' },
  'account.message-ignored': { ...organization, activity: update, severity: 'Low', failed: true },
  'account.re-erased': { ...organization, activity: 'Delete', severity: 'Medium' },
  'account.record-restored': { ...organization, activity: update, severity: 'Medium' },
  'account.reinstated': { ...organization, activity: 'Resume' },
  'account.reopened': { ...organization, activity: 'Activate', severity: 'Low' },
  'account.suspended': { ...organization, activity: 'Suspend' },
  'account.updated': { ...organization, activity: update },
  'addresses.changed': { class: 'entity', entity: 'Policy', activity: update, severity: 'Medium' },
  'approval.granted': { class: 'entity', entity: 'Policy', activity: update, severity: 'Medium' },
  'approval.rejected': { class: 'entity', entity: 'Policy', activity: update, severity: 'Low' },
  'approval.requested': { class: 'entity', entity: 'Policy', activity: 'Create', severity: 'Low' },
  'approval.used': { class: 'entity', entity: 'Policy', activity: 'Delete', severity: 'Low' },
  'audit.exported': { class: 'datastore', activity: 'Read', severity: 'Low' },
  'audit.pruned': { class: 'entity', entity: 'Audit log', activity: 'Delete' },
  'audit.read': { class: 'datastore', activity: 'Read' },
  'auth.signed-in': { class: 'authentication', activity: 'Logon' },
  'auth.signed-out': { class: 'authentication', activity: 'Logoff' },
  'erasure-guard.released': { class: 'entity', entity: 'Policy', activity: update, severity: 'Medium' },
  'export.created': { ...exported, activity: 'Create' },
  'export.downloaded': { ...exported, activity: 'Read', severity: 'Low' },
  'export.expired': { ...exported, activity: 'Delete' },
  'export.failed': { ...exported, activity: 'Create', severity: 'Low', failed: true },
  'export.ready': { ...exported, activity: update },
  'export.withdrawn': { ...exported, activity: 'Delete' },
  'hold.placed': { class: 'entity', entity: 'Legal hold', activity: 'Create', severity: 'Low' },
  'hold.released': { class: 'entity', entity: 'Legal hold', activity: 'Delete', severity: 'Medium' },
  'invoice.stored': { class: 'datastore', activity: 'Other' },
  'key.created': { class: 'account', activity: 'Create', severity: 'Low' },
  'key.destroyed': { ...ownKey, activity: 'Delete' },
  'key.re-destroyed': { ...ownKey, activity: 'Delete', severity: 'Medium' },
  'key.revoked': { class: 'account', activity: 'Disable', severity: 'Low' },
  'key.rotated': { class: 'account', activity: 'Create', severity: 'Low' },
  'key.used': { class: 'api', activity: 'Other', severity: 'Low' },
  'keys.data-rotated': { ...ownKey, activity: update },
  'keys.data-rotation-started': { ...ownKey, activity: update },
  'keys.read': { class: 'api', activity: 'Read' },
  'keys.rotated': { ...ownKey, activity: update },
  'keys.rotation-incomplete': { ...ownKey, activity: update, severity: 'Medium', failed: true },
  'keys.rotation-started': { ...ownKey, activity: update },
  'keys.signing-rotated': { ...ownKey, activity: update, severity: 'Low' },
  'payloads.decoded': { class: 'datastore', activity: 'Decrypt', severity: 'Low' },
  'person.erased': { class: 'datastore', activity: 'Delete' },
  'person.erasure-held': { class: 'datastore', activity: 'Delete', failed: true },
  'person.erasure-requested': { class: 'api', activity: 'Create' },
  'policy.changed': { class: 'entity', entity: 'Policy', activity: update },
  'processor.callback-refused': { ...processor, activity: update, severity: 'Medium', failed: true },
  'processor.cancelled': { ...processor, activity: update, severity: 'Medium' },
  'processor.certificate-renewed': { ...processor, activity: update },
  'processor.confirmed': { ...processor, activity: update },
  'processor.escalated': { ...processor, activity: update, severity: 'High' },
  'processor.failed': { ...processor, activity: update, severity: 'Medium', failed: true },
  'processor.registered': { ...processor, activity: 'Create', severity: 'Low' },
  'processor.removed': { ...processor, activity: 'Delete', severity: 'Low' },
  'provider.created': { ...provider, activity: 'Create' },
  'provider.deleted': { ...provider, activity: 'Delete' },
  'provider.disclosure-missing': { ...provider, activity: update, severity: 'Medium' },
  'provider.disclosure-overdue': { ...provider, activity: update, severity: 'Medium' },
  'provider.disclosure-settled': { ...provider, activity: update },
  'provider.updated': { ...provider, activity: update },
  'records.purged': { class: 'datastore', activity: 'Delete' },
  'records.re-erased': { class: 'datastore', activity: 'Delete', severity: 'Medium' },
  'records.read': { class: 'datastore', activity: 'Read', severity: 'Low' },
  'retained.erased': { class: 'datastore', activity: 'Delete' },
  'retained.erasure-delayed': { class: 'datastore', activity: 'Delete', severity: 'Low', failed: true },
  'retained.re-erased': { class: 'datastore', activity: 'Delete', severity: 'Medium' },
  'retained.read': { class: 'datastore', activity: 'Read', severity: 'Low' },
  'session.ended': { class: 'authentication', activity: 'Logoff' },
  'settings.changed': { class: 'entity', entity: 'Policy', activity: update, severity: 'Medium' },
  'user.blocked': { class: 'account', activity: 'Disable', severity: 'Medium' },
  'user.unblocked': { class: 'account', activity: 'Enable', severity: 'Medium' },
  'users.read': { class: 'api', activity: 'Read' },
};
