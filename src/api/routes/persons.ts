/** A data subject's request: one person's records of one account are erased, holds apart. */
import { may, permissions, type Principal } from '../../access';
import { native } from '../../database';
import { userIndexOf, type PersonRequestDocument } from '../../data';
import { allowedChanges } from '../../lifecycle';
import { personSummary, personWorkflowId, personWorkflowType, recheckSignal } from '../../workflows';
import { personRequestShape } from '../answers/data';
import { answers } from '../answers/words';
import { sending } from '../commands';
import { unkeyed } from '../idempotency';
import { notFound, Problem } from '../problems';
import { route, type Call, type Route } from '../route';
import { accountParamsSchema, noQuerySchema, personParamsSchema, personQuerySchema } from '../schemas';
import { openAccount } from '../standing';
import type { Workshop } from '../workshop';
import { write } from '../writes';

type Asked = Call<{ id: string }, { user: string }>;

export function personRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'delete',
      path: '/v1/accounts/:id/records',
      roles: permissions.erasePersons,
      summary: "Erases one person's records of all categories, holds apart.",
      answers: { 202: { description: 'The request', schema: personRequestShape, headers: ['Location'] } },
      params: accountParamsSchema,
      query: personQuerySchema,
      handle: (call) => erase(workshop, call),
    }),
    route({
      method: 'get',
      path: '/v1/accounts/:id/records/erasures/:requestId',
      roles: permissions.readPersonRequests,
      summary: "Says how far the erasure of one person's records has come.",
      answers: answers(personRequestShape, 'The request'),
      params: personParamsSchema,
      query: noQuerySchema,
      async handle(call) {
        const { id, requestId } = call.params;
        await openAccount(workshop, call, id);
        const { personRequests } = workshop.store;
        const request = await native(personRequests).findOne<PersonRequestDocument>({ _id: requestId, account: id });
        if (request === null) throw notFound('there is no such request');
        return { status: 200, body: requestFor(request, call.principal) };
      },
    }),
  ];
}

async function erase(workshop: Workshop, call: Asked) {
  const { courses, jobs, region } = workshop;
  const { id } = call.params;
  await Promise.all([openAccount(workshop, call, id), courses.reach()]);
  const { request, fresh } = await recordRequest(workshop, call);
  const job = personWorkflowId(region, id, request._id);
  await sending(call, async () => {
    const input = { account: id, request: request._id };
    await jobs.start({ type: personWorkflowType, id: job, input, summary: personSummary(id), account: id });
    // Asking again is a reason to look again.
    if (!fresh) await jobs.signal(job, recheckSignal.name);
  });
  return {
    status: 202,
    body: requestFor(request, call.principal),
    headers: { Location: `/v1/accounts/${id}/records/erasures/${request._id}` },
  };
}

/** The request that runs for this person, or a new one, with its entry in the log, which does not name the person. */
async function recordRequest(
  workshop: Workshop,
  call: Asked,
): Promise<{ readonly request: PersonRequestDocument; readonly fresh: boolean }> {
  const requests = native(workshop.store.personRequests);
  const { attempt, principal, requestId, ifVersion } = call;
  const { id } = call.params;
  const userIndex = userIndexOf(await workshop.store.vault.cipherOf(id), call.query.user);
  const request: PersonRequestDocument = {
    _id: attempt.updateId,
    account: id,
    userIndex,
    requestedBy: principal.actor.id,
    requestId,
    at: workshop.clock(),
    status: 'running',
    erased: {},
  };
  const outcome = { request, fresh: true };
  // The answer is kept once the workflow runs, and not with the request: until then a repeat has to start it.
  const unkept = { ...call, attempt: unkeyed(attempt) };
  await write(workshop, unkept, async (session) => {
    const account = await openAccount(workshop, call, id, session);
    const known =
      (await requests.findOne<PersonRequestDocument>({ _id: attempt.updateId }, { session })) ??
      (await requests.findOne<PersonRequestDocument>({ account: id, userIndex }, { session }));
    Object.assign(outcome, { request: known ?? request, fresh: known === null });
    if (known !== null) return { answer: { status: 202 } };
    if (account.erasing !== undefined) {
      const { state, lifecycle } = account;
      throw new Problem('conflict', 'the account is being erased', { state, allowed: allowedChanges(lifecycle) });
    }
    if (ifVersion !== undefined && account.version !== ifVersion) {
      throw new Problem('precondition-failed', `the account is at version ${account.version}, not ${ifVersion}`);
    }
    // Two who ask the same at once, or an erasure that begins: one of them comes first.
    await native(workshop.store.accounts).updateOne({ _id: id }, { $inc: { passes: 1 } }, { session });
    await requests.insertOne(request, { session });
    return {
      answer: { status: 202 },
      entry: { action: 'person.erasure-requested', account: id, details: { request: request._id } },
    };
  });
  return outcome;
}

/** A request as the API shows it. R9: a customer does not see holds, and to a customer one that waits for them runs. */
function requestFor(request: PersonRequestDocument, { role }: Principal): Record<string, unknown> {
  const { _id, status, at, erased, held, endedAt } = request;
  const seesHolds = may(role, 'readHolds');
  return {
    id: _id,
    status: status === 'partly' && !seesHolds ? 'running' : status,
    requestedAt: at.toISOString(),
    erased,
    ...(held === undefined || !seesHolds ? {} : { held }),
    ...(endedAt === undefined ? {} : { endedAt: endedAt.toISOString() }),
  };
}
