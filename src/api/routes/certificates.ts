/** Certificates of erasure (R22), signed. Public: its id cannot be guessed, and nothing in one names the account. */
import { findCertificate, signedCertificate, type CertificateDocument } from '../../data';
import { certificateShape } from '../answers/proof';
import { notFound, Problem } from '../problems';
import { route, type Route } from '../route';
import { certificateParamsSchema, noQuerySchema } from '../schemas';
import type { Workshop } from '../workshop';

export function certificateRoutes({ store }: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/certificates/:id',
      roles: 'public',
      summary: 'Answers with a certificate of erasure, for whoever was given its id.',
      answers: {
        200: {
          description: 'The certificate',
          schema: certificateShape,
          type: 'application/jose+json',
          headers: ['ETag'],
        },
      },
      params: certificateParamsSchema,
      query: noQuerySchema,
      async handle({ params: { id } }) {
        const certificate = await findCertificate(store, id);
        if (certificate === null) throw notFound();
        const signed = await signedCertificate(store, certificate);
        if (signed === undefined) {
          throw new Problem('unavailable', 'the certificate is being completed', {}, { 'Retry-After': '2' });
        }
        return { status: 200, body: signed, version: versionOf(certificate), headers };
      },
    }),
  ];
}

/** A certificate stands for ever, but addenda come: whoever keeps it asks whether there are any. Its address is a secret. */
const headers = {
  'Content-Type': 'application/jose+json',
  'Cache-Control': 'private, no-cache',
  'Referrer-Policy': 'no-referrer',
  'X-Robots-Tag': 'noindex',
};

/** Counts what came since. */
function versionOf({ late, addenda }: CertificateDocument): number {
  return 1 + addenda.length + (late?.refused ?? 0);
}
