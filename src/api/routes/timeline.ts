/** What happened to an account, oldest first. */
import type { mongo } from 'mongoose';
import { z } from 'zod';
import { native } from '../../database';
import { permissions } from '../../access';
import type { AuditEntryDocument } from '../../audit';
import { pageOf, positionIn } from '../cursors';
import { opened } from '../notes';
import { route, type Route } from '../route';
import { accountParamsSchema, pageSchema } from '../schemas';
import { openAccount, seekAccount } from '../standing';
import type { Workshop } from '../workshop';

type Filter = mongo.Filter<AuditEntryDocument>;

export function timelineRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id/timeline',
      roles: permissions.readTimeline,
      summary: "Lists an account's audit entries, oldest first.",
      params: accountParamsSchema,
      query: pageSchema,
      async handle({ principal, standing, params: { id }, query }) {
        // What happened outlives the account, as proof. It is no longer its customer's to see.
        const open = principal.role === 'customer' ? openAccount : seekAccount;
        await open(workshop, { principal, standing }, id);
        const list = `timeline/${id}`;
        const after = positionIn(list, query.cursor, positionSchema);
        const filters: Filter[] = [
          { account: id },
          ...(principal.role === 'customer' ? hiddenFromCustomers : []),
          ...(after === undefined ? [] : [behind(after)]),
        ];
        const entries = await native(workshop.store.audit.entries)
          .find<AuditEntryDocument>({ $and: filters })
          .sort({ at: 1, seq: 1, _id: 1 })
          .limit(query.limit + 1)
          .toArray();
        const position = ({ at, seq, _id }: AuditEntryDocument) => [at.getTime(), seq ?? null, _id];
        const page = pageOf(entries, query.limit, list, position, entryFor);
        return { status: 200, body: await opened(workshop, id, page) };
      },
    }),
  ];
}

/** R9: customers do not see holds: neither their entries, nor messages about them, nor attempts of staff at anything. */
const hiddenFromCustomers: Filter[] = [
  { action: { $nin: ['hold.placed', 'hold.released', 'person.erasure-held'] } },
  { 'details.message': { $nin: ['placeHold', 'releaseHold'] } },
  { $or: [{ action: { $ne: 'auth.refused' } }, { 'actor.role': 'customer' }] },
];

/** An audit entry as the API shows it. */
function entryFor({ _id, at, actor, action, account, details, requestId }: AuditEntryDocument) {
  return {
    id: _id,
    at: at.toISOString(),
    actor: { type: actor.type, id: actor.id },
    action,
    ...(account === undefined ? {} : { account }),
    details,
    ...(requestId === undefined ? {} : { requestId }),
  };
}

/** An entry that is no step of the account's course has no number; within one instant those come first. */
const positionSchema = z.tuple([z.int(), z.int().nullable(), z.string()]);

function behind([time, seq, id]: z.output<typeof positionSchema>): Filter {
  const at = new Date(time);
  const tie: Filter[] =
    seq === null
      ? [{ seq: { $exists: true } }, { seq: { $exists: false }, _id: { $gt: id } }]
      : [{ seq: { $gt: seq } }, { seq, _id: { $gt: id } }];
  return { $or: [{ at: { $gt: at } }, ...tie.map((more) => ({ at, ...more }))] };
}
