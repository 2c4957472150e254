/** Certificates of erasure (R22). Public: its id cannot be guessed, and nothing in one names the account. */
import { findCertificate, type CertificateDocument, type ErasureCertificate } from '../../data';
import { notFound } from '../problems';
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
      params: certificateParamsSchema,
      query: noQuerySchema,
      async handle({ params: { id } }) {
        const certificate = await findCertificate(store, id);
        if (certificate === null) throw notFound();
        return { status: 200, body: certificateFor(certificate), version: versionOf(certificate), headers };
      },
    }),
  ];
}

/** A certificate stands for ever, but addenda come: whoever keeps it asks whether there are any. Its address is a secret. */
const headers = { 'Cache-Control': 'private, no-cache', 'Referrer-Policy': 'no-referrer', 'X-Robots-Tag': 'noindex' };

/** A certificate as it is shown: what it said when it was issued, and apart from that what came since. */
function certificateFor({ _id, kind, issuedAt, subject, content, late, addenda }: CertificateDocument) {
  return {
    id: _id,
    kind,
    issuedAt: issuedAt.toISOString(),
    subject,
    ...content,
    late: {
      ...(content['late'] as ErasureCertificate['late'] | undefined),
      afterwards: late === undefined ? null : { refused: late.refused, lastAt: late.lastAt.toISOString() },
    },
    addenda: addenda.map(({ at, ...addendum }) => ({ at: at.toISOString(), ...addendum })),
    signature: null,
  };
}

/** Counts what came since. */
function versionOf({ late, addenda }: CertificateDocument): number {
  return 1 + addenda.length + (late?.refused ?? 0);
}
