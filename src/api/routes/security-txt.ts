/** How to report a vulnerability, where people look for it (R30, RFC 9116). */
import { notFound } from '../problems';
import { route, type Route } from '../route';
import { noQuerySchema } from '../schemas';
import type { Workshop } from '../workshop';

const day = 24 * 60 * 60 * 1000;
/** RFC 9116 wants less than a year: what is configured is said anew at each request, so it need not be long. */
const validity = 180 * day;

export function securityTxtRoutes({ security, clock }: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/.well-known/security.txt',
      roles: 'public',
      summary: 'Says how to report a vulnerability (RFC 9116).',
      operation: 'getSecurityTxt',
      problems: ['not-found'],
      answers: { 200: { description: 'The file', type: 'text/plain' } },
      query: noQuerySchema,
      handle() {
        // A file without a contact would be none, and one that names the wrong people worse.
        if (security === undefined) return Promise.reject(notFound('nobody is named to report vulnerabilities to'));
        const lines = [
          ...security.contacts.map((contact) => `Contact: ${contact}`),
          `Expires: ${untilOf(clock())}`,
          ...(security.policy === undefined ? [] : [`Policy: ${security.policy}`]),
          'Preferred-Languages: en, de',
          ...(security.canonical === undefined ? [] : [`Canonical: ${security.canonical}`]),
        ];
        const headers = { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'public, max-age=3600' };
        return Promise.resolve({ status: 200, headers, body: `${lines.join('\n')}\n` });
      },
    }),
  ];
}

/** The same all day long, so that whoever asks twice sees no change. */
function untilOf(now: Date): string {
  const end = new Date(Math.floor(now.getTime() / day) * day + validity);
  return `${end.toISOString().slice(0, 19)}Z`;
}
