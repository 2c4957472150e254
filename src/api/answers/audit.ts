/** The audit log as it is shown (R19, R20). */
import { z } from 'zod';
import { accountName, at, count } from './words';

/** An entry of the log. */
export const entryShape = z
  .object({
    id: z.string(),
    at,
    actor: z.object({
      type: z.enum(['key', 'user', 'system', 'temporal']),
      id: z.string(),
      address: z.string().optional().describe('The IP address it came from, for those who may read the whole log'),
    }),
    action: z.string().describe('A dotted verb, such as `account.suspended`'),
    account: accountName.optional(),
    details: z.record(z.string(), z.unknown()),
    requestId: z.string().optional(),
  })
  .meta({ id: 'AuditEntry' });

/** What verifying the log came to. */
export const verificationShape = z
  .object({
    ok: z.boolean(),
    entries: count,
    from: at.nullable(),
    to: at.nullable(),
    pruned: z.object({ before: count, at, retention: z.number() }).optional(),
    firstFault: z.object({ stream: z.string(), seq: z.int(), fault: z.string(), detail: z.string() }).optional(),
  })
  .meta({ id: 'Verification' });

/** That an entry is in the log (RFC 9162). */
export const inclusionShape = z
  .object({
    leaf: z.string().describe('Canonical JSON, as it was hashed'),
    index: count,
    size: count,
    hashes: z.array(z.string()),
    checkpoint: z.string(),
  })
  .meta({ id: 'InclusionProof' });
