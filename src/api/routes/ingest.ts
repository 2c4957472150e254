/** What the gateway reports of its customers' requests (R1). */
import { z } from 'zod';
import { permissions } from '../../access';
import { ingest, splitItems, withoutForeign } from '../../data';
import { ingestShape } from '../answers/data';
import { wrongRegion } from '../failures';
import { route, type Route } from '../route';
import { ingestSchema, noQuerySchema } from '../schemas';
import type { Workshop } from '../workshop';

/** Each item is judged by itself and answered for, so that one broken item costs nobody its neighbours: any JSON is taken. */
const payloads = z.unknown().meta({
  description: "What LiteLLM's generic API callback posts: the payload of one call, or an array of them",
  examples: [[{ litellm_call_id: 'call-1', startTime: 1_795_442_400, metadata: { user_api_key_org_id: 'acme' } }]],
});

export function ingestRoutes({ store, accountPaths, region, clock }: Workshop): Route[] {
  return [
    route({
      method: 'post',
      path: '/v1/ingest/litellm',
      roles: permissions.ingest,
      summary: "Takes in what LiteLLM's generic API callback posts: one payload, an array, or NDJSON.",
      operation: 'ingestLitellm',
      answers: { 202: { description: 'What became of the items', schema: ingestShape } },
      // Each call carries an id of its own, so a repeat stores nothing twice.
      idempotent: false,
      bounded: false,
      query: noQuerySchema,
      body: ingestSchema,
      text: true,
      bodyTypes: {
        'application/json': payloads,
        'application/x-ndjson': z.string().min(1).describe('One payload a line'),
      },
      async handle(call) {
        const items = splitItems(call.body);
        const { own, foreign } = withoutForeign(items, region);
        if (foreign.size > 0 && foreign.size === items.length) throw wrongRegion();
        const result = await ingest(store, own, accountPaths, clock());
        const rejected = result.rejected.map((rejection) => foreign.get(rejection.index) ?? rejection);
        // R25: nothing in it belongs here, so whoever sent it has the wrong address.
        if (
          items.length > 0 &&
          rejected.length === items.length &&
          rejected.every(({ code }) => code === 'wrong-region')
        )
          throw wrongRegion();
        return { status: 202, body: { ...result, rejected } };
      },
    }),
  ];
}
