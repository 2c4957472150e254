/** The keys that checkpoints, certificates and the ledger are checked by (R20, R22). */
import { publicKeysShape } from '../answers/proof';
import { noQuerySchema } from '../schemas';
import { route, type Route } from '../route';
import type { Workshop } from '../workshop';

export function publicKeyRoutes({ store }: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/keys/public',
      roles: 'public',
      summary: 'Answers with every public key there ever was, the one in use first, as a JSON Web Key Set.',
      answers: {
        200: {
          description: 'The keys',
          schema: publicKeysShape,
          type: 'application/jwk-set+json',
          headers: ['ETag'],
        },
      },
      query: noQuerySchema,
      async handle() {
        const keys = await store.vault.publicKeys();
        return { status: 200, body: { keys }, headers: { ...headers, ETag: `"${keys[0]?.kid ?? ''}"` } };
      },
    }),
  ];
}

/** A new key comes with a rotation, seldom; whoever meets a `kid` they do not know asks again. */
const headers = { 'Content-Type': 'application/jwk-set+json', 'Cache-Control': 'public, max-age=300' };
