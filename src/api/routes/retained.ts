/** What the law keeps of an account (R10). The legal role's alone, and every look at it is on record. */
import { z } from 'zod';
import { permissions } from '../../access';
import { readSealed, type SealedRecord } from '../../data';
import { retainedShape } from '../answers/data';
import { answers, pageOf } from '../answers/words';
import { cursorFor, positionIn } from '../cursors';
import { route, type Route } from '../route';
import { accountParamsSchema, pageSchema } from '../schemas';
import { seekAccount } from '../standing';
import type { Workshop } from '../workshop';
import { write } from '../writes';

/** Where a page ended: date, data set and key. */
const positionSchema = z.tuple([z.int(), z.string(), z.string()]);

export function retainedRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id/retained',
      roles: permissions.readRetained,
      summary: 'Lists what the law keeps of an account, the first to go first.',
      answers: answers(pageOf(retainedShape), 'A page of what is kept'),
      params: accountParamsSchema,
      query: pageSchema,
      async handle(call) {
        const { id } = call.params;
        const { limit, cursor } = call.query;
        await seekAccount(workshop, call, id);
        const list = `retained/${id}`;
        const after = positionIn(list, cursor, positionSchema);
        const { records: items, more } = await readSealed(workshop.store, id, {
          limit,
          ...(after === undefined
            ? {}
            : { after: { until: new Date(after[0]).toISOString(), dataset: after[1], key: after[2] } }),
        });
        const answer = { status: 200, body: { items, nextCursor: nextCursor(list, items, more) } };
        const details = { records: items.length, first: after === undefined };
        // What is seen is on record before it is seen.
        return write(workshop, call, () =>
          Promise.resolve({ answer, entry: { action: 'retained.read', account: id, details } }),
        );
      },
    }),
  ];
}

function nextCursor(list: string, items: readonly SealedRecord[], more: boolean): string | null {
  const last = items.at(-1);
  return more && last !== undefined ? cursorFor(list, [Date.parse(last.until), last.dataset, last.key]) : null;
}
