/** What waits for a second person, and agreeing to it, or not. */
import { z } from 'zod';
import {
  approvalStatuses,
  dangerousActs,
  mayBeOnePerson,
  permissions,
  registerApprovals,
  registerKeys,
  type ApprovalDocument,
} from '../../access';
import { reveal } from '../../data';
import { native } from '../../database';
import { accountName, answers, at, pageOf as pageShapeOf } from '../answers/words';
import { pageOf, positionIn } from '../cursors';
import { notFound, Problem } from '../problems';
import { route, type Call, type Route } from '../route';
import { noQuerySchema, pageSchema } from '../schemas';
import { assertSteppedUp, standardStepUpAge } from '../step-up';
import type { Workshop } from '../workshop';
import { write } from '../writes';

const listName = 'approvals';
const statuses = [...approvalStatuses, 'expired'] as const;
const paramsSchema = z.strictObject({ id: z.string().regex(/^[a-z0-9_]{1,64}$/) });

const approvalShape = z
  .object({
    id: z.string(),
    act: z.enum(dangerousActs),
    method: z.string(),
    path: z.string(),
    account: accountName.optional(),
    body: z.unknown().optional().describe('What the request holds, without secrets'),
    status: z.enum(statuses),
    askedBy: z.string(),
    askedAt: at,
    expiresAt: at,
    decidedBy: z.string().optional(),
    decidedAt: at.optional(),
    usedAt: at.optional(),
  })
  .meta({ id: 'Approval' });

export function approvalRoutes(workshop: Workshop): Route[] {
  const { store, clock, stepUpAge = standardStepUpAge } = workshop;
  const approvals = native(registerApprovals(store.connection));
  const keys = registerKeys(store.connection);
  return [
    route({
      method: 'get',
      path: '/v1/approvals',
      roles: permissions.readApprovals,
      summary: 'Lists what waits for a second person, and what did within the last day, newest first.',
      query: pageSchema,
      answers: answers(pageShapeOf(approvalShape), 'A page of approvals'),
      async handle({ query }) {
        const after = positionIn(listName, query.cursor, z.tuple([z.number(), z.string()]));
        const older =
          after === undefined
            ? {}
            : {
                $or: [
                  { askedAt: { $lt: new Date(after[0]) } },
                  { askedAt: new Date(after[0]), _id: { $lt: after[1] } },
                ],
              };
        const found = await approvals
          .find<ApprovalDocument>(older)
          .sort({ askedAt: -1, _id: -1 })
          .limit(query.limit + 1)
          .toArray();
        const position = ({ askedAt, _id }: ApprovalDocument) => [askedAt.getTime(), _id];
        const page = pageOf(found, query.limit, listName, position, (document) => document);
        return { status: 200, body: { ...page, items: await Promise.all(page.items.map(shown)) } };
      },
    }),
    route({
      method: 'get',
      path: '/v1/approvals/:id',
      roles: permissions.readApprovals,
      summary: 'What waits for a second person.',
      params: paramsSchema,
      query: noQuerySchema,
      answers: answers(approvalShape, 'The approval'),
      async handle({ params }) {
        const found = await approvals.findOne<ApprovalDocument>({ _id: params.id });
        if (found === null) throw unknown();
        return { status: 200, body: await shown(found) };
      },
    }),
    decision('approve', 'approved', 'approval.granted', 'Agrees to what somebody else asked for.'),
    decision('reject', 'rejected', 'approval.rejected', 'Says no to what somebody asked for, or takes it back.'),
  ];

  function decision(name: string, status: 'approved' | 'rejected', action: string, summary: string): Route {
    return route({
      method: 'post',
      path: `/v1/approvals/:id/${name}`,
      roles: permissions.decideApprovals,
      summary,
      params: paramsSchema,
      query: noQuerySchema,
      problems: ['step-up-required'],
      answers: answers(approvalShape, 'The approval'),
      handle: (call) =>
        write(workshop, call, async (session) => {
          const found = await approvals.findOne<ApprovalDocument>({ _id: call.params.id }, { session });
          if (found === null) throw unknown();
          const decidedBy = call.principal.actor.id;
          assertMayDecide(call, found, status);
          if (found.status === status && found.decidedBy === decidedBy) {
            return { answer: { status: 200, body: await shown(found) } };
          }
          const decidedAt = clock();
          if (statusOf(found, decidedAt) !== 'asked') {
            throw new Problem('conflict', `this approval is ${statusOf(found, decidedAt)}`);
          }
          if (status === 'approved' && (await mayBeOnePerson(keys, found.askedBy, decidedBy, session))) {
            throw new Problem('forbidden', 'who agrees has to be somebody else than who asked').because('approval');
          }
          await approvals.updateOne({ _id: found._id }, { $set: { status, decidedBy, decidedAt } }, { session });
          const { account } = found;
          const details = { approval: found._id, act: found.act };
          return {
            answer: { status: 200, body: await shown({ ...found, status, decidedBy, decidedAt }) },
            entry: { action, details, ...(account === undefined ? {} : { account }) },
          };
        }),
    });
  }

  /** Who agrees to an act has to be allowed to do it, just so. */
  function assertMayDecide({ principal }: Call, { roles, scope }: ApprovalDocument, status: string): void {
    if (!roles.includes(principal.role)) {
      throw new Problem('forbidden', `the role ${principal.role} may not do this itself`).because('role');
    }
    if (status === 'approved' && scope !== undefined) assertSteppedUp(principal, scope, stepUpAge, clock());
  }

  async function shown(document: ApprovalDocument) {
    const { _id, act, method, path, account, askedBy, askedAt, expiresAt, decidedBy, decidedAt, usedAt } = document;
    const { vault } = store;
    const cipher = account === undefined ? await vault.systemCipher('staff') : await vault.cipherOf(account);
    const { body } = JSON.parse(reveal(cipher, 'approvals', document).request) as { readonly body?: unknown };
    return {
      id: _id,
      act,
      method,
      path,
      ...(account === undefined ? {} : { account }),
      ...(body === undefined ? {} : { body }),
      status: statusOf(document, clock()),
      askedBy,
      askedAt: askedAt.toISOString(),
      expiresAt: expiresAt.toISOString(),
      ...(decidedBy === undefined ? {} : { decidedBy }),
      ...(decidedAt === undefined ? {} : { decidedAt: decidedAt.toISOString() }),
      ...(usedAt === undefined ? {} : { usedAt: usedAt.toISOString() }),
    };
  }
}

function statusOf({ status, expiresAt }: ApprovalDocument, now: Date): (typeof statuses)[number] {
  return expiresAt <= now && (status === 'asked' || status === 'approved') ? 'expired' : status;
}

function unknown(): Problem {
  return notFound('there is no such approval');
}
