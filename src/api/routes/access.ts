/** Whether an account may be served (R16): asked on every request of a gateway, so it does as little as it can. */
import { permissions } from '../../access';
import { accessOf } from '../../lifecycle';
import { accessShape } from '../answers/accounts';
import { answers } from '../answers/words';
import { route, type Route } from '../route';
import { accessQuerySchema, accountParamsSchema } from '../schemas';
import { seekAccount } from '../standing';
import type { Workshop } from '../workshop';

const needed = { projection: { region: 1, state: 1, deadline: 1, 'lifecycle.causes': 1 } } as const;

export function accessRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id/access',
      roles: permissions.checkAccess,
      standing: 'any',
      summary: 'Says whether an account may be served.',
      answers: answers(accessShape, 'Whether it may be served, and why not'),
      params: accountParamsSchema,
      query: accessQuerySchema,
      async handle(call) {
        const { id } = call.params;
        const { state, lifecycle, deadline } = await seekAccount(workshop, call, id, needed);
        const until = deadline === undefined ? undefined : { at: deadline.at.toISOString() };
        return { status: 200, body: accessOf(id, state, lifecycle.causes[0]?.reason, until) };
      },
    }),
  ];
}
