/** What an account's calls came to. The daily totals outlast the records they come from, and name no person (R12). */
import { permissions } from '../../access';
import { readUsage } from '../../data';
import { usageShape } from '../answers/data';
import { answers } from '../answers/words';
import { route, type Route } from '../route';
import { accountParamsSchema, usageQuerySchema } from '../schemas';
import { openAccount } from '../standing';
import type { Workshop } from '../workshop';

export function usageRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id/usage',
      roles: permissions.readUsage,
      summary: "Adds up an account's usage by whole UTC days, or by model over those days.",
      answers: answers(usageShape, 'The totals, in order'),
      params: accountParamsSchema,
      query: usageQuerySchema,
      async handle(call) {
        const { id } = call.params;
        await openAccount(workshop, call, id);
        return { status: 200, body: { items: await readUsage(workshop.store, id, call.query) } };
      },
    }),
  ];
}
