/**
 * An entry of the audit log as an event of the Open Cybersecurity Schema Framework (OCSF), for a SIEM. Pure.
 *
 * What an event leaves out: notes and reasons in people's own words. Whoever reads the log by the API sees them, a SIEM keeps
 * what it was sent for longer than a customer may be named.
 */
import type { AuditEntry } from '../audit';
import { activities, classes, eventKinds, severities, type EventKind } from './events';

/** An entry with its place in the log. */
export interface PlacedEntry {
  /** As whoever may read it is shown it. */
  readonly entry: AuditEntry;
  /** Its details without what is personal. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly position: number;
  readonly sequencedAt: Date;
}

export const schemaVersion = '1.8.0';
const product = { name: 'Ablauf', vendor_name: 'Ablauf' };
/** Where something comes from that came over no network. */
const ourselves = { svc_name: 'ablauf' };
const database = { name: 'ablauf', type_id: 6, type: 'NoSQL' };

/** The types of entities OCSF has a number for. */
const entityTypes: Readonly<Record<string, number>> = { Organization: 4, Policy: 5 };

/** The event an entry is. */
export function toOcsf(placed: PlacedEntry): Record<string, unknown> {
  const { entry, facts, position, sequencedAt } = placed;
  const { uid, category, name } = classes[kindOf(placed).class];
  const kind = kindOf(placed);
  const activity = (activities[kind.class] as Readonly<Record<string, number>>)[kind.activity] ?? 99;
  const severity = kind.severity ?? 'Informational';
  const { count, from, to, reason } = facts;
  const isSum = typeof count === 'number' && entry.action === 'auth.refused';
  return {
    activity_id: activity,
    activity_name: activity === 99 ? entry.action : kind.activity,
    category_uid: category,
    class_uid: uid,
    class_name: name,
    type_uid: uid * 100 + activity,
    severity_id: severities[severity],
    severity,
    status_id: kind.failed === true ? 2 : 1,
    status: kind.failed === true ? 'Failure' : 'Success',
    ...(typeof reason === 'string' ? { status_detail: reason } : {}),
    time: isSum ? timeOf(from, entry.at) : entry.at.getTime(),
    ...(isSum ? { count, start_time: timeOf(from, entry.at), end_time: timeOf(to, entry.at) } : {}),
    message: entry.action,
    metadata: {
      version: schemaVersion,
      product,
      uid: entry.id,
      event_code: entry.action,
      log_name: 'audit',
      logged_time: sequencedAt.getTime(),
      sequence: position,
      ...(entry.requestId === undefined ? {} : { correlation_uid: entry.requestId }),
      ...(entry.account === undefined ? {} : { tenant_uid: entry.account }),
    },
    actor: { user: userOf(entry) },
    src_endpoint: entry.actor.address === undefined ? ourselves : { ip: entry.actor.address },
    ...subjectOf(kind, placed),
    unmapped: { ...(entry.actor.role === undefined ? {} : { role: entry.actor.role }), details: facts },
  };
}

/** Credentials that were not taken are a sign-in that failed; what somebody may not do is a call that failed. */
const ofCredentials: readonly unknown[] = ['unknown-key', 'revoked-key', 'expired-key', 'session-ended', 'sign-in'];
const methods: Readonly<Record<string, 'Create' | 'Read' | 'Update' | 'Delete'>> = {
  GET: 'Read',
  HEAD: 'Read',
  POST: 'Create',
  PUT: 'Update',
  PATCH: 'Update',
  DELETE: 'Delete',
};

function kindOf({ entry, facts }: PlacedEntry): EventKind {
  const { action } = entry;
  if (action in eventKinds) return eventKinds[action as keyof typeof eventKinds];
  if (action !== 'auth.refused') return { class: 'api', activity: 'Other' };
  const severity = typeof facts['count'] === 'number' ? 'Medium' : 'Low';
  if (ofCredentials.includes(facts['reason'])) {
    return { class: 'authentication', activity: 'Logon', severity, failed: true };
  }
  return { class: 'api', activity: methods[String(facts['method'])] ?? 'Other', severity, failed: true };
}

/** What the classes want to know beyond what all events say. */
function subjectOf(kind: EventKind, { entry, facts }: PlacedEntry): Record<string, unknown> {
  const { action, requestId } = entry;
  const { method, path } = facts;
  if (kind.class === 'authentication') return { user: userOf(entry), service: { name: product.name }, is_remote: true };
  if (kind.class === 'account') return { user: changedUserOf(entry, facts) };
  if (kind.class === 'entity') return { entity: entityOf(kind.entity, entry, facts) };
  if (kind.class === 'datastore') return { database, type_id: 1, type: 'Database' };
  const operation = typeof method === 'string' ? `${method} ${typeof path === 'string' ? path : ''}`.trim() : action;
  return { api: { operation, ...(requestId === undefined ? {} : { request: { uid: requestId } }) } };
}

/** Who acted. Keys are what services sign in with. */
function userOf({ actor: { type, id, role } }: AuditEntry): Record<string, unknown> {
  if (id === 'public') return { uid: id, name: 'unknown', type_id: 0, type: 'Unknown' };
  if (type === 'system' || type === 'temporal') return { uid: id, name: id, type_id: 3, type: 'System' };
  if (role === 'admin') return { uid: id, type_id: 2, type: 'Admin' };
  return type === 'user' ? { uid: id, type_id: 1, type: 'User' } : { uid: id, type_id: 4, type: 'Service' };
}

/** Whose way in was changed: a key's, or a person's. */
function changedUserOf({ account }: AuditEntry, { key, user }: PlacedEntry['facts']): Record<string, unknown> {
  const own = account === undefined ? {} : { account: { uid: account } };
  if (typeof key === 'string') return { uid: key, credential_uid: key, type_id: 4, type: 'Service', ...own };
  return { uid: typeof user === 'string' ? user : 'unknown', type_id: 1, type: 'User', ...own };
}

/** The ids entries' details name things by. */
const named = ['hold', 'export', 'processor', 'provider', 'key', 'request'];

function entityOf(type: string, { account, action }: AuditEntry, facts: PlacedEntry['facts']): Record<string, unknown> {
  const id = named.map((name) => idIn(facts[name])).find((found) => found !== undefined);
  const uid = type === 'Organization' ? account : (id ?? account);
  return { type, type_id: entityTypes[type] ?? 99, uid: uid ?? action.split('.')[0], name: uid ?? type };
}

function idIn(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'object' && value !== null && 'id' in value ? idIn(value.id) : undefined;
}

function timeOf(value: unknown, otherwise: Date): number {
  const time = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(time) ? otherwise.getTime() : time;
}
