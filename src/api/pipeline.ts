/**
 * From a request to its answer, the same way for every declared call: who asks, may they, does it fit, has it been asked
 * before, do it, keep the answer.
 */
import { randomBytes } from 'node:crypto';
import { ConnectionStates } from 'mongoose';
import type { DangerousAct, Principal } from '../access';
import { accountIdPattern } from '../data';
import { approvalOf, assertApproved, keyOfApproval } from './approvals';
import { assertAllowed, assertAllowedFor, isListed } from './admission';
import { probes } from './arrival';
import { bodyReader } from './bodies';
import { idempotencyKeyOf, ifMatchOf } from './conditions';
import { assertNotForged } from './sign-in/csrf';
import { problemOf, type Progress } from './failures';
import { fileAnswer } from './files';
import {
  AnsweredError,
  freshIds,
  reserve,
  unkeyed,
  type Attempt,
  type IdempotencyStore,
  type KeptAnswer,
  type Reserved,
} from './idempotency';
import { inTime, standardPatience } from './patience';
import { notFound, Problem } from './problems';
import { send, written, type Reply, type Sendable } from './reply';
import type { Call, Incoming, Route } from './route';
import { assertOwn, openAccount } from './standing';
import { assertSteppedUp, standardStepUpAge } from './step-up';
import { isAdministratorsKey } from './on-record/uses';
import { authenticate, nobodyAt, visitorAt } from './who';
import type { Workshop } from './workshop';

export type Handler = (request: Incoming, response: Reply) => Promise<void>;

/** The Express handler of a declared call. */
export function handlerOf(route: Route, workshop: Workshop, idempotency: IdempotencyStore): Handler {
  const isWrite = route.method !== 'get';
  const ofAccount = route.path.startsWith('/v1/accounts/:id');
  const { stepUpAge = standardStepUpAge } = workshop;
  const listed = isListed(route);
  const readBody = bodyReader(route);
  // Probes cost nothing, and whoever runs the process has to hear.
  const limitsAddress = route.roles === 'public' && !probes.has(route.path);
  const triesCredentials = route.roles === 'public' && route.path.startsWith('/auth/:provider/') && listed;

  async function answer(request: Incoming, response: Reply, progress: Progress): Promise<Sendable> {
    if (limitsAddress) workshop.limits.countAddress(request, response);
    if (triesCredentials) workshop.limits.assertMayTry(request);
    const asked = listed ? assertAllowed(workshop, request) : undefined;
    if (asked !== undefined) await asked;
    const principal = await whoeverSends(request);
    response.locals.actor = principal.actor.id;
    response.locals.principal = principal;
    if (route.roles !== 'public') workshop.limits.countKey(principal, response);
    try {
      const admitted = assertAllowedFor(workshop, principal, request);
      if (admitted !== undefined) await admitted;
      if (route.roles !== 'public' && !route.roles.includes(principal.role)) {
        throw new Problem('forbidden', `the role ${principal.role} may not do this`);
      }
      // Before anything is read or looked up: neither what is answered nor how long it takes tells whether there is such an account.
      if (ofAccount && route.roles !== 'public') assertOwn(principal, request.params['id'] ?? '');
      if (isWrite && route.form !== true) assertNotForged(workshop, request, principal);
      if (route.stepUp !== undefined) assertSteppedUp(principal, route.stepUp, stepUpAge, workshop.clock());
      const call = await read(request, response, principal, progress);
      if (isAdministratorsKey(principal)) await workshop.uses.record(call, 'key.used');
      if (route.onRecord !== undefined) await workshop.uses.record(call, route.onRecord);
      const act = guardedAct(principal);
      const approval = act === undefined ? undefined : approvalOf(request);
      const implied = approval === undefined ? undefined : keyOfApproval(approval, request.path, call);
      const key = route.idempotent && isWrite ? (idempotencyKeyOf(request) ?? implied) : undefined;
      if (key !== undefined) return await answerOnce(request, call, key);
      await assertAgreed(request, call);
      const answered = await route.handle(call);
      if (answered.file !== undefined) return await fileAnswer(request, answered, answered.file);
      return { ...written(answered), ...(answered.cookies === undefined ? {} : { cookies: answered.cookies }) };
    } catch (error) {
      const problem = problemOf(error, progress);
      if (problem.status >= 500) response.locals.failure = error;
      throw problem;
    }
  }

  async function whoeverSends(request: Incoming): Promise<Principal> {
    if (route.roles !== 'public') return authenticate(workshop, request);
    return route.session === true ? visitorAt(workshop, request) : nobodyAt(request);
  }

  async function read(request: Incoming, response: Reply, principal: Principal, progress: Progress): Promise<Call> {
    const params = route.params?.safeParse(request.params);
    // What cannot be an id is the id of nothing.
    if (params?.success === false) throw notFound();
    const query = route.query?.parse(request.query);
    const ifVersion = isWrite ? ifMatchOf(request) : undefined;
    const sent = await readBody(request, response, progress);
    const isText = route.signed === true || route.text === true;
    const fields = route.form === true ? withoutToken(request, sent ?? {}, principal) : sent;
    const body = isText || route.body === undefined ? sent : route.body.parse(fields ?? {});
    return {
      principal,
      params: params?.data,
      query,
      body,
      headers: request.headers,
      requestId: response.locals.requestId,
      attempt: isWrite ? unkeyed(newIds()) : untried,
      progress,
      recheck: () => recheck(request),
      standing: route.standing,
      ...(ifVersion === undefined ? {} : { ifVersion }),
    };
  }

  /** The fields of a form, without the one that shows where it came from. */
  function withoutToken(request: Incoming, fields: unknown, principal: Principal): unknown {
    if (typeof fields !== 'object' || fields === null) return fields;
    const { csrf, ...others } = fields as Readonly<Record<string, unknown>>;
    assertNotForged(workshop, request, principal, csrf);
    return others;
  }

  /** Whoever was let in may have been shut out since. */
  async function recheck(request: Incoming): Promise<void> {
    if (listed) await assertAllowed(workshop, request);
    const principal = await whoeverSends(request);
    await assertAllowedFor(workshop, principal, request);
    const { role } = principal;
    if (route.roles !== 'public' && !route.roles.includes(role))
      throw new Problem('forbidden', `the role ${role} may not do this`);
  }

  /** Answers a request with an `Idempotency-Key`: anew, or as it was answered before. */
  async function answerOnce(request: Incoming, call: Call, key: string): Promise<KeptAnswer> {
    const fresh = newIds();
    const asked = {
      principal: call.principal.actor.id,
      key,
      method: route.method,
      path: request.path,
      query: call.query,
      body: call.body,
      fresh,
      now: workshop.clock(),
      ...accountOf(request, call, fresh),
    };
    const reservation = await reserve(idempotency, asked);
    if ('answered' in reservation) return replay(request, call, reservation.answered);
    const { attempt } = reservation;
    try {
      await assertAgreed(request, { ...call, attempt });
      const answered = await route.handle({ ...call, attempt });
      await keep(attempt, written('replay' in answered ? { ...answered, body: answered.replay } : answered));
      return written(answered);
    } catch (error) {
      if (error instanceof AnsweredError) {
        const other = await reserve(idempotency, asked);
        if ('answered' in other) return replay(request, call, other.answered);
      }
      const problem = problemOf(error, call.progress);
      if (isFinal(problem))
        await keep(attempt, { status: problem.status, headers: {}, body: JSON.stringify(problem.toBody()) });
      throw error;
    }
  }

  /** What a second person has to agree to before this is done. A customer's own closure is theirs to decide (R2). */
  function guardedAct({ role }: Principal): DangerousAct | undefined {
    const act = route.act ?? route.stepUp;
    return act !== undefined && role !== 'customer' && workshop.secondPerson?.includes(act) === true ? act : undefined;
  }

  async function assertAgreed(request: Incoming, call: Call): Promise<void> {
    const act = guardedAct(call.principal);
    if (act === undefined) return;
    const { account } = accountOf(request, call, call.attempt);
    await assertApproved(workshop, { route, act, path: request.path, approval: approvalOf(request), account, call });
  }

  /** An answer given before, for somebody who may still have it. */
  async function replay(request: Incoming, call: Call, answered: KeptAnswer): Promise<KeptAnswer> {
    // A customer whose account is locked by now gets nothing of it, not even again; closing it is what locked it.
    const needsStanding = route.standing === 'active' || route.standing === 'exporting';
    const locked = ofAccount && call.principal.role === 'customer' && needsStanding;
    if (locked) await openAccount(workshop, call, request.params['id'] ?? '');
    return { ...again(answered, call.requestId), headers: { ...answered.headers, 'Idempotency-Replayed': 'true' } };
  }

  /** The effect is recorded; should its answer not be kept, the repeat finds it by its update id. */
  async function keep(attempt: Attempt, answer: KeptAnswer): Promise<void> {
    try {
      await attempt.keep(answer);
    } catch (error) {
      workshop.log.warn({ err: error }, 'an answer could not be kept for its idempotency key');
    }
  }

  /** The account a request concerns: what is kept of the request goes with it. */
  function accountOf(request: Incoming, { body }: Call, { newAccount }: Reserved): { account?: string } {
    if (ofAccount) return { account: request.params['id'] ?? '' };
    const fields = typeof body === 'object' && body !== null ? body : {};
    if (route.path === '/v1/accounts') return { account: textOf(fields, 'id') ?? newAccount };
    const account = textOf(fields, 'account');
    return account === undefined ? {} : { account };
  }

  const patience = workshop.patience ?? standardPatience;
  const stillWell = route.bounded ? undefined : () => workshop.store.connection.readyState === connected;

  return async (request, response) => {
    response.locals.route = route.path;
    const account = ofAccount ? request.params['id'] : undefined;
    if (account !== undefined && accountIdPattern.test(account)) response.locals.account = account;
    const progress: Progress = { sent: false, writing: false, abandoned: false };
    send(response, await inTime(answer(request, response, progress), progress, patience, stillWell));
  };
}

const connected = ConnectionStates.connected;
/** Reads are repeated as often as anybody likes. */
const untried = unkeyed({ updateId: '', draftId: '', newAccount: '' });

/** An answer kept before: a problem names the request it is told to, this one. */
function again(answered: KeptAnswer, requestId: string): KeptAnswer {
  if (answered.status < 400 || answered.body === undefined) return answered;
  return { ...answered, body: JSON.stringify({ ...(JSON.parse(answered.body) as object), requestId }) };
}

/** A repeat gets the same no, unless it says that things may be otherwise in a moment. */
function isFinal({ status }: Problem): boolean {
  return status < 500 && status !== 401 && status !== 403 && status !== 429;
}

function textOf(fields: object, name: string): string | undefined {
  const value: unknown = Object.entries(fields).find(([key]) => key === name)?.[1];
  return typeof value === 'string' ? value : undefined;
}

const base32 = 'abcdefghijklmnopqrstuvwxyz234567';

function newIds(): Reserved {
  return freshIds(`acct_${Array.from(randomBytes(16), (byte) => base32[byte % 32]).join('')}`);
}
