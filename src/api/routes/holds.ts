/** Legal holds (R9). Customers do not see them. */
import { z } from 'zod';
import { permissions } from '../../access';
import type { Hold } from '../../lifecycle';
import { holdShape, placedHoldShape } from '../answers/accounts';
import { answers, nothing, pageOf as pageShapeOf } from '../answers/words';
import { command } from '../commands';
import { pageOf, positionIn } from '../cursors';
import { route, type Route } from '../route';
import { accountParamsSchema, holdParamsSchema, noQuerySchema, pageSchema, placeHoldSchema } from '../schemas';
import { openAccount } from '../standing';
import { opened } from '../notes';
import type { Workshop } from '../workshop';

export function holdRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id/holds',
      roles: permissions.readHolds,
      summary: 'Lists the holds that stand on an account, oldest first.',
      answers: answers(pageShapeOf(holdShape), 'A page of holds', ['ETag']),
      params: accountParamsSchema,
      query: pageSchema,
      async handle({ principal, standing, params, query }) {
        const { lifecycle, version } = await openAccount(workshop, { principal, standing }, params.id);
        const list = `holds/${params.id}`;
        const after = positionIn(list, query.cursor, z.tuple([z.string(), z.string()]));
        const rest = [...lifecycle.holds].sort(inOrder).filter((hold) => after === undefined || isBehind(hold, after));
        const position = ({ placedAt, id }: Hold) => [placedAt, id];
        const page = pageOf(rest, query.limit, list, position, (hold) => hold);
        return { status: 200, body: await opened(workshop, params.id, page), version };
      },
    }),
    route({
      method: 'post',
      path: '/v1/accounts/:id/holds',
      roles: permissions.placeHold,
      summary: 'Places a hold; once erasure has begun its receipt says what had gone.',
      answers: { 201: { description: 'The hold', schema: placedHoldShape, headers: ['ETag', 'Location'] } },
      params: accountParamsSchema,
      query: noQuerySchema,
      body: placeHoldSchema,
      async handle(call) {
        const { id } = call.params;
        const { recorded, account } = await command(workshop, call, id, 'placeHold', call.body);
        const { receipt } = recorded;
        const hold = await opened(workshop, id, recorded.hold);
        return {
          status: 201,
          body: { ...hold, ...(receipt === undefined ? {} : { receipt }) },
          version: account.version,
          headers: hold === undefined ? {} : { Location: `/v1/accounts/${id}/holds/${hold.id}` },
        };
      },
    }),
    route({
      method: 'delete',
      path: '/v1/accounts/:id/holds/:holdId',
      roles: permissions.releaseHold,
      stepUp: 'holds',
      summary: 'Releases a hold.',
      answers: nothing('It is released', ['ETag']),
      params: holdParamsSchema,
      query: noQuerySchema,
      async handle(call) {
        const { id, holdId } = call.params;
        const { account } = await command(workshop, call, id, 'releaseHold', { holdId });
        return { status: 204, version: account.version };
      },
    }),
  ];
}

function inOrder(a: Hold, b: Hold): number {
  if (a.placedAt !== b.placedAt) return a.placedAt < b.placedAt ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

function isBehind(hold: Hold, [placedAt, id]: readonly [string, string]): boolean {
  return hold.placedAt > placedAt || (hold.placedAt === placedAt && hold.id > id);
}
