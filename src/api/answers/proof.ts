/** What anybody checks without us: certificates (R22) and the keys they are signed with. */
import { z } from 'zod';

const signed = z
  .object({ payload: z.string(), protected: z.string(), signature: z.string() })
  .meta({ id: 'FlattenedJws', description: 'RFC 7515, 7.2.2' });

/** A certificate of erasure and what was added to it, each signed by itself. */
export const certificateShape = signed.extend({ addenda: z.array(signed), statement: signed }).meta({
  id: 'Certificate',
  description: 'A JWS in flattened JSON form, with its addenda and a statement of today beside it',
});

/** The public signing keys. */
export const publicKeysShape = z
  .object({
    keys: z.array(
      z.object({
        kty: z.literal('OKP'),
        crv: z.literal('Ed25519'),
        x: z.string(),
        kid: z.string(),
        use: z.literal('sig'),
        alg: z.literal('EdDSA'),
      }),
    ),
  })
  .meta({ id: 'PublicKeys', description: 'A JSON Web Key Set (RFC 7517)' });
