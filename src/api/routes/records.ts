/** Customer content. Its customer reads it while in good standing; after closure the legal role does, on record (R14, R15). */
import { z } from 'zod';
import { permissions } from '../../access';
import { categories, readRecords, shownFrom, type AccountDocument, type CustomerRecord } from '../../data';
import { recordShape } from '../answers/data';
import { answers, pageOf } from '../answers/words';
import { cursorFor, positionIn } from '../cursors';
import { Problem } from '../problems';
import { route, type Route } from '../route';
import { accountParamsSchema, recordsQuerySchema } from '../schemas';
import { openAccount } from '../standing';
import type { Workshop } from '../workshop';
import { write } from '../writes';

const positionSchema = z.tuple([z.int(), z.enum(categories), z.string()]);

export function recordRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id/records',
      roles: permissions.readRecords,
      summary: "Lists an account's records, newest first.",
      answers: answers(pageOf(recordShape), 'A page of records'),
      params: accountParamsSchema,
      query: recordsQuerySchema,
      async handle(call) {
        const { id } = call.params;
        const { limit, cursor, category, to } = call.query;
        const account = await openAccount(workshop, call, id);
        if (call.principal.role === 'legal') assertClosed(account);
        const shown = call.principal.role === 'customer' ? shownFrom(account, workshop.clock()) : undefined;
        const asked = call.query.from;
        const from = shown !== undefined && (asked === undefined || asked < shown) ? shown : asked;
        const list = `records/${id}`;
        const after = positionIn(list, cursor, positionSchema);
        const { records: items, more } = await readRecords(workshop.store, id, {
          limit,
          ...(category === undefined ? {} : { category }),
          ...(from === undefined ? {} : { from }),
          ...(to === undefined ? {} : { to }),
          ...(after === undefined
            ? {}
            : { after: { at: new Date(after[0]), category: after[1], id: `${id}:${after[2]}` } }),
        });
        const answer = { status: 200, body: { items, nextCursor: nextCursor(list, items, more) } };
        if (call.principal.role !== 'legal') return answer;
        // R15: what the legal role sees is on record before it is seen.
        const details = {
          ...(category === undefined ? {} : { category }),
          from: from ?? null,
          to: to ?? null,
          records: items.length,
        };
        return write(workshop, call, () =>
          Promise.resolve({ answer, entry: { action: 'records.read', account: id, details } }),
        );
      },
    }),
  ];
}

function nextCursor(list: string, items: readonly CustomerRecord[], more: boolean): string | null {
  const last = items.at(-1);
  return more && last !== undefined ? cursorFor(list, [Date.parse(last.at), last.category, last.callId]) : null;
}

function assertClosed({ state }: AccountDocument): void {
  if (state === 'suspended')
    throw new Problem('account-suspended', 'while an account is suspended nobody reads its records');
  if (state !== 'expired') throw new Problem('forbidden', 'the legal role reads records of closed accounts only (R15)');
}
