/**
 * What the answers of several resources have in common. Answers are described as they are written: a member may be added to
 * any of them later, so the published schemas are open, while the tests hold every answer against them as if they were closed.
 */
import { z } from 'zod';
import { accountIdPattern, categories, certificateIdPattern, tombstoneIdPattern } from '../../data';
import type { AnswerShape } from '../route';

/** An instant as every answer writes it: UTC, to the millisecond. */
export const at = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
  .meta({ id: 'Instant', description: 'UTC, ISO 8601, to the millisecond', examples: ['2026-11-22T13:35:00.000Z'] });

/** A calendar day. */
export const day = z.iso.date().meta({ id: 'Day', examples: ['2026-11-22'] });

/** A length of time in canonical form. */
export const duration = z
  .string()
  .regex(/^P(?=\d|T\d)(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?$/)
  .meta({ id: 'Duration', description: 'ISO 8601, in days, hours, minutes and seconds', examples: ['P14D', 'PT30S'] });

/** An account by its id, or by that of its tombstone once it is erased. */
export const accountName = z
  .string()
  .regex(new RegExp(`${accountIdPattern.source}|${tombstoneIdPattern.source}`))
  .meta({ id: 'AccountName', description: "An account's id; once it is erased, that of its tombstone" });

export const certificateId = z.string().regex(certificateIdPattern).meta({ id: 'CertificateId' });
export const category = z.enum(categories).meta({ id: 'Category' });
export const count = z.int().min(0);
/** SHA-256 in hexadecimal. */
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** One page of a list. */
export function pageOf<S extends z.ZodType>(item: S) {
  return z.object({
    items: z.array(item),
    nextCursor: z.string().nullable().describe('Where the next page begins; null where this is the last one'),
  });
}

/** The one answer of most calls: 200 and a body. */
export function answers(schema: z.ZodType, description: string, headers: AnswerShape['headers'] = []) {
  return { 200: { description, schema, headers } } as const;
}

/** The answer of what leaves nothing to say: 204. */
export function nothing(description: string, headers: AnswerShape['headers'] = []) {
  return { 204: { description, headers } } as const;
}

/** The answers of what sends a file: whole, or the stretch that was asked for. */
export function fileAnswers(type: string, description: string) {
  return {
    200: { description, type, headers: ['ETag'] },
    206: { description: 'The stretch of it that was asked for', type, headers: ['ETag'] },
  } as const;
}

/** JSON of whatever form. */
export const anyJsonShape = z.record(z.string(), z.unknown());
