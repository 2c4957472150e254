/** How every no is written (RFC 9457). */
import { z } from 'zod';
import { problemCatalogue, type ProblemCode } from '../problems';

/** A problem with one of these codes, which share a status. */
export function problemShape(status: number, codes: readonly ProblemCode[]) {
  const titles = codes.map((code) => problemCatalogue[code].title);
  return z
    .object({
      type: z.enum(codes.map((code) => `/problems/${code}`)),
      title: z.enum(titles),
      status: z.literal(status),
      code: z.enum(codes).describe('Stable: what clients tell problems apart by'),
      detail: z.string().optional().describe('For people'),
      errors: z
        .array(z.object({ path: z.string(), detail: z.string() }))
        .optional()
        .describe('What is wrong with the request, member by member'),
      state: z.string().optional(),
      allowed: z.array(z.string()).optional().describe('What would apply in this state'),
      approval: z
        .object({ id: z.string(), expiresAt: z.string() })
        .optional()
        .describe('What a second person may agree to'),
      maxAge: z.int().optional().describe('How old a sign-in may be for this, in seconds'),
      login: z.string().optional().describe('Where to sign in again'),
      checks: z.record(z.string(), z.enum(['ok', 'missing'])).optional(),
      requestId: z.string(),
    })
    .meta({ id: `Problem${status}` });
}
