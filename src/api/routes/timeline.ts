/** What happened to an account, oldest first. */
import { z } from 'zod';
import { native } from '../../database';
import { may, permissions } from '../../access';
import type { AuditEntry, AuditEntryDocument } from '../../audit';
import { entryShape } from '../answers/audit';
import { answers, pageOf as pageShapeOf } from '../answers/words';
import { pageOf, positionIn } from '../cursors';
import { opened } from '../notes';
import { route, type Route } from '../route';
import { accountParamsSchema, pageSchema } from '../schemas';
import { openAccount, seekAccount } from '../standing';
import type { Workshop } from '../workshop';

export function timelineRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id/timeline',
      roles: permissions.readTimeline,
      summary: "Lists an account's audit entries, oldest first.",
      answers: answers(pageShapeOf(entryShape), 'A page of entries'),
      params: accountParamsSchema,
      query: pageSchema,
      async handle({ principal, standing, params: { id }, query }) {
        // What happened outlives the account, as proof. It is no longer its customer's to see.
        const isCustomer = principal.role === 'customer';
        await (isCustomer ? openAccount : seekAccount)(workshop, { principal, standing }, id);
        const { audit, vault } = workshop.store;
        const list = `timeline/${id}`;
        const after = positionIn(list, query.cursor, positionSchema);
        const found: AuditEntryDocument[] = [];
        // The plainest question an index answers; what else is asked of an entry is judged here.
        const entries = native(audit.entries)
          .find<AuditEntryDocument>({
            subject: vault.pseudonymOf(id),
            ...(after === undefined ? {} : { at: { $gte: new Date(after[0]) } }),
          })
          .sort({ at: 1, seq: 1, _id: 1 })
          .batchSize(query.limit + 1);
        for await (const entry of entries) {
          if (after !== undefined && !isBehind(entry, after)) continue;
          if (isCustomer && isHiddenFromCustomers(entry)) continue;
          if (found.push(entry) > query.limit) break;
        }
        const revealed = new Map((await audit.reveal(found)).map((entry) => [entry.id, entry]));
        const page = pageOf(found, query.limit, list, positionOf, ({ _id }) => {
          const entry = revealed.get(_id);
          return entry === undefined
            ? undefined
            : entryFor({ ...entry, account: id }, may(principal.role, 'readAudit'));
        });
        return { status: 200, body: await opened(workshop, id, page) };
      },
    }),
  ];
}

const aboutHolds = ['hold.placed', 'hold.released', 'person.erasure-held'];
const messagesAboutHolds: readonly unknown[] = ['placeHold', 'releaseHold'];

/** R9: customers do not see holds: neither their entries, nor messages about them, nor attempts of staff at anything. */
function isHiddenFromCustomers({ action, details, actor }: AuditEntryDocument): boolean {
  if (aboutHolds.includes(action) || messagesAboutHolds.includes(details['message'])) return true;
  return action === 'auth.refused' && actor.role !== 'customer';
}

/** An audit entry as the API shows it: where somebody came from is for those who may read the whole log. */
export function entryFor(
  { id, at, actor, action, account, details, requestId }: AuditEntry,
  withAddress: boolean,
): Record<string, unknown> {
  return {
    id,
    at: at.toISOString(),
    actor: {
      type: actor.type,
      id: actor.id,
      ...(withAddress && actor.address !== undefined ? { address: actor.address } : {}),
    },
    action,
    ...(account === undefined ? {} : { account }),
    details,
    ...(requestId === undefined ? {} : { requestId }),
  };
}

/** An entry that is no step of the account's course has no number; within one instant those come first. */
const positionSchema = z.tuple([z.int(), z.int().nullable(), z.string()]);
type Position = z.output<typeof positionSchema>;

function positionOf({ at, seq, _id }: AuditEntryDocument): Position {
  return [at.getTime(), seq ?? null, _id];
}

function isBehind(entry: AuditEntryDocument, [time, seq, id]: Position): boolean {
  const [at, ownSeq, ownId] = positionOf(entry);
  if (at !== time) return at > time;
  const order = (ownSeq ?? -1) - (seq ?? -1);
  return order !== 0 ? order > 0 : ownId > id;
}
