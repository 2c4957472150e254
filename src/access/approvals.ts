/** What a second person has to agree to, as it is stored; and who counts as a second person. */
import { Schema, type ClientSession, type Connection, type Model } from 'mongoose';
import type { Sealed } from '../data';
import { native } from '../database';
import type { Role } from '../lifecycle';
import type { ApiKeyDocument } from './keys';
import { scopes, type Scope } from './principal';

/** What may be made to need a second person: what needs a scope, and what cannot be taken back. */
export const dangerousActs = [...scopes, 'close', 'erasure-release'] as const;
export type DangerousAct = (typeof dangerousActs)[number];

export const approvalStatuses = ['asked', 'approved', 'rejected', 'used'] as const;

/** An act that waits for a second person, or did. */
export interface ApprovalDocument {
  readonly _id: string;
  readonly act: DangerousAct;
  readonly method: string;
  readonly path: string;
  /** The account it concerns: it goes with it. */
  readonly account?: string;
  /** Who may do it, and so may agree to it; and the scope that takes. */
  readonly roles: readonly Role[];
  readonly scope?: Scope;
  /** A blind index of method, path, query and body: it is for this request and no other. */
  readonly fingerprint: string;
  /** Query and body as JSON, without secrets. Under the account's key, or the staff's. */
  readonly request: Sealed<string>;
  readonly status: (typeof approvalStatuses)[number];
  readonly askedBy: string;
  readonly askedAt: Date;
  readonly expiresAt: Date;
  readonly decidedBy?: string;
  readonly decidedAt?: Date;
  /** The update id of the request it was used for. */
  readonly usedFor?: string;
  readonly usedAt?: Date;
}

const schema = new Schema<ApprovalDocument>(
  {
    _id: { type: String, required: true },
    act: { type: String, required: true },
    method: { type: String, required: true },
    path: { type: String, required: true },
    account: String,
    roles: { type: [String], required: true },
    scope: String,
    fingerprint: { type: String, required: true },
    request: { type: Schema.Types.Mixed, required: true },
    status: { type: String, required: true },
    askedBy: { type: String, required: true },
    askedAt: { type: Date, required: true },
    expiresAt: { type: Date, required: true },
    decidedBy: String,
    decidedAt: Date,
    usedFor: String,
    usedAt: Date,
  },
  { collection: 'approvals', versionKey: false, minimize: false, strict: 'throw' },
);
schema.index({ fingerprint: 1 });
schema.index({ account: 1 }, { sparse: true });
// What was asked for and by whom stays in the audit log.
schema.index({ expiresAt: 1 }, { expireAfterSeconds: 0 });

const modelName = 'Approval';

/** The approvals of a database. Call it before the database is prepared, so that its indexes are made. Safe to repeat. */
export function registerApprovals(connection: Connection): Model<ApprovalDocument> {
  const known = connection.models[modelName] as Model<ApprovalDocument> | undefined;
  return known ?? connection.model<ApprovalDocument>(modelName, schema);
}

/** The deployment's own key: everybody's keys come from it in the end, and say nothing of each other by that. */
const bootstrap = 'bootstrap';
/** A longer line of keys that made keys is not followed, and believed of nobody. */
const longestLine = 100;

/**
 * Whether two who show themselves may be one person: the same one, one the maker of the other's key, or both with keys of one maker;
 * over any number of keys that made keys, or took over from them.
 */
export async function mayBeOnePerson(
  model: Model<ApiKeyDocument>,
  one: string,
  other: string,
  session: ClientSession,
): Promise<boolean> {
  const [a, b] = [await originsOf(model, one, session), await originsOf(model, other, session)];
  if (a === undefined || b === undefined) return true;
  const both = [...a].filter((id) => b.has(id));
  return both.some((id) => id !== bootstrap || one === bootstrap || other === bootstrap);
}

/** Somebody, and everybody their key comes from. */
async function originsOf(
  model: Model<ApiKeyDocument>,
  id: string,
  session: ClientSession,
): Promise<Set<string> | undefined> {
  const origins = new Set([id]);
  for (const next of origins) {
    if (origins.size > longestLine) return undefined;
    const key = await native(model).findOne<ApiKeyDocument>({ _id: next }, { session });
    for (const origin of [key?.createdBy, key?.rotatedFrom]) if (origin !== undefined) origins.add(origin);
  }
  return origins;
}
