/**
 * Acts that need a second person.
 *
 * 1. A request for one is refused and stored. Who may do the act themselves may agree to it, but for whoever asked, and whoever may be
 *    the same person; then the very same request is carried out.
 * 2. An approval is for one request, by method, path, query and body, and one asker, for a day.
 * 3. It is used once: the transaction that uses it writes down for which attempt, before anything is done. The same attempt may go on
 *    after a crash, and has one effect as every repeat has; no other attempt may. Without an `Idempotency-Key` of its own the request
 *    takes one from the approval.
 */
import { hash, randomBytes } from 'node:crypto';
import type { ClientSession } from 'mongoose';
import { registerApprovals, type ApprovalDocument, type DangerousAct } from '../access';
import { protect, type Opened } from '../data';
import { native } from '../database';
import { unavailable } from './failures';
import { canonicalJson } from './idempotency';
import { invalid, Problem } from './problems';
import type { Call, Incoming, Route } from './route';
import { openAccount } from './standing';
import type { Workshop } from './workshop';

/** A day, in milliseconds. */
const lifetime = 86_400_000;
const idPattern = /^apr_[0-9a-f]{24}$/;

/** The approval a request names. @throws {Problem} what it names cannot be one */
export function approvalOf(request: Incoming): string | undefined {
  const id = request.headers['ablauf-approval'];
  if (id === undefined) return undefined;
  if (typeof id === 'string' && idPattern.test(id)) return id;
  throw invalid([{ path: 'Ablauf-Approval', detail: 'must be the id of an approval' }]);
}

/** What makes a request safe to repeat that names an approval and no `Idempotency-Key`: it is that request, under that approval. */
export function keyOfApproval(approval: string, path: string, { query, body }: Call): string {
  return `${approval}.${hash('sha256', [path, canonicalJson(query), canonicalJson(body)].join('\n'))}`;
}

/** A request for an act that needs a second person. */
export interface Guarded {
  readonly route: Route;
  readonly act: DangerousAct;
  readonly path: string;
  /** The approval it names. */
  readonly approval: string | undefined;
  /** The account it concerns. */
  readonly account: string | undefined;
  readonly call: Call;
}

/**
 * Lets a request through that a second person has agreed to.
 *
 * @throws {Problem} `approval-required`: it has to be agreed to first, or what it names is no approval for it
 */
export async function assertApproved(workshop: Workshop, guarded: Guarded): Promise<void> {
  const { store, clock } = workshop;
  const { call, route, act, path, approval, account } = guarded;
  const approvals = native(registerApprovals(store.connection));
  const { actor } = call.principal;
  const request = [actor.id, route.method, path, canonicalJson(call.query), canonicalJson(call.body)].join('\n');
  const fingerprint = (await store.vault.systemCipher('secrets')).index('approvals', request);

  if (call.progress.abandoned) throw unavailable();
  call.progress.writing = true;
  const outcome = await store.transaction((session) =>
    approval === undefined ? ask(session) : use(approval, session),
  );
  call.progress.writing = false;
  if (outcome !== undefined) throw outcome;

  async function ask(session: ClientSession): Promise<Problem> {
    const now = clock();
    const known = await approvals.find<ApprovalDocument>({ fingerprint }, { session }).toArray();
    const waiting = known.find(({ status, expiresAt }) => expiresAt > now && ['asked', 'approved'].includes(status));
    if (waiting !== undefined) return required(waiting, detailOf(waiting));
    if (account !== undefined) await assertStays(account, session);
    const document = described(now);
    const { vault } = store;
    const cipher = account === undefined ? await vault.systemCipher('staff') : await vault.cipherOf(account);
    await approvals.insertOne(protect<ApprovalDocument>(cipher, 'approvals', document), { session });
    await enter('approval.requested', document, session);
    return required(document, 'a second person has to agree to this first');
  }

  function described(now: Date): Opened<ApprovalDocument> {
    const body = withoutSecrets(call.body);
    return {
      _id: `apr_${randomBytes(12).toString('hex')}`,
      act,
      method: route.method.toUpperCase(),
      path,
      ...(account === undefined ? {} : { account }),
      roles: route.roles === 'public' ? [] : route.roles,
      ...(route.stepUp === undefined ? {} : { scope: route.stepUp }),
      fingerprint,
      request: JSON.stringify({ ...(body === undefined ? {} : { body }) }),
      status: 'asked',
      askedBy: actor.id,
      askedAt: now,
      expiresAt: new Date(now.getTime() + lifetime),
    };
  }

  async function use(id: string, session: ClientSession): Promise<Problem | undefined> {
    const now = clock();
    const found = await approvals.findOne<ApprovalDocument>({ _id: id }, { session });
    // The fingerprint covers who asked: somebody else's is as unknown as one that never was.
    if (found?.fingerprint !== fingerprint) return required(undefined, 'there is no such approval for this request');
    const { updateId } = call.attempt;
    if (found.status === 'used' && found.usedFor === updateId) return undefined;
    if (found.status !== 'approved' || found.expiresAt <= now) return required(found, detailOf(found, now));
    await approvals.updateOne({ _id: id }, { $set: { status: 'used', usedFor: updateId, usedAt: now } }, { session });
    await enter('approval.used', found, session);
    return undefined;
  }

  /** Nothing is stored for an account whose last pieces are being removed; what is stored before goes with them. */
  async function assertStays(id: string, session: ClientSession): Promise<void> {
    const found = await openAccount(workshop, call, id, session);
    if (found.erasing !== undefined && found.lifecycle.holds.length === 0) {
      throw new Problem('conflict', 'the account is being erased');
    }
    // Touching the account makes the end of its erasure a conflict, not a surprise.
    await native(store.accounts).updateOne({ _id: found._id }, { $inc: { passes: 1 } }, { session });
  }

  async function enter(
    action: string,
    { _id, act: what, method }: Pick<ApprovalDocument, '_id' | 'act' | 'method'>,
    session: ClientSession,
  ): Promise<void> {
    await store.audit.append(session, {
      at: clock(),
      actor,
      action,
      details: { approval: _id, act: what, method, path: route.path },
      requestId: call.requestId,
      ...(account === undefined ? {} : { account }),
    });
  }
}

type Shown = Pick<ApprovalDocument, '_id' | 'expiresAt'>;

function required(approval: Shown | undefined, detail: string): Problem {
  const shown =
    approval === undefined ? {} : { approval: { id: approval._id, expiresAt: approval.expiresAt.toISOString() } };
  return new Problem('approval-required', detail, shown).because('approval');
}

function detailOf({ status, expiresAt }: Pick<ApprovalDocument, 'status' | 'expiresAt'>, now?: Date): string {
  if (status === 'used') return 'this approval was used';
  if (status === 'rejected') return 'a second person has said no';
  if (now !== undefined && expiresAt <= now) return 'this approval has expired';
  if (status === 'approved') return 'a second person has agreed: name the approval in Ablauf-Approval';
  return 'a second person has not agreed yet';
}

const secretNames = /secret|password|token|^key$/i;

/** What a second person is shown of a body: everything but what lets in whoever knows it. */
function withoutSecrets(body: unknown): unknown {
  if (body === undefined) return undefined;
  const text = JSON.stringify(body, (name, value: unknown) =>
    secretNames.test(name) && typeof value === 'string' ? '(not shown)' : value,
  );
  return JSON.parse(text) as unknown;
}
