/** What the gateway reports of its customers' requests (R1). */
import { permissions } from '../../access';
import { ingest, splitItems } from '../../data';
import { route, type Route } from '../route';
import { ingestSchema, noQuerySchema } from '../schemas';
import type { Workshop } from '../workshop';

export function ingestRoutes({ store, accountPaths, clock }: Workshop): Route[] {
  return [
    route({
      method: 'post',
      path: '/v1/ingest/litellm',
      roles: permissions.ingest,
      summary: "Takes in what LiteLLM's generic API callback posts: one payload, an array, or NDJSON.",
      // Each call carries an id of its own, so a repeat stores nothing twice.
      idempotent: false,
      bounded: false,
      query: noQuerySchema,
      body: ingestSchema,
      text: true,
      async handle(call) {
        const items = splitItems(call.body);
        return { status: 202, body: await ingest(store, items, accountPaths, clock()) };
      },
    }),
  ];
}
