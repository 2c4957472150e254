/** What is kept for an account, as it is shown: records, usage, exports, invoices, what the law keeps, and requests of persons. */
import { z } from 'zod';
import { exportedDataSets } from '../../exports';
import { accountName, at, category, count, day, sha256 } from './words';

/** What became of the items a gateway posted. */
export const ingestShape = z
  .object({
    accepted: count,
    duplicates: count,
    discarded: count,
    rejected: z.array(
      z.object({
        index: count,
        code: z.enum(['empty', 'validation', 'no-account', 'unknown-account', 'account-erased', 'wrong-region']),
        detail: z.string(),
      }),
    ),
  })
  .meta({ id: 'Intake' });

/** A record of a request a customer made. */
export const recordShape = z
  .object({
    id: z.string(),
    callId: z.string(),
    category,
    at,
    model: z.string().optional(),
    user: z.string().optional(),
    body: z.unknown(),
  })
  .meta({ id: 'Record' });

/** How far the erasure of one person's records has come. */
export const personRequestShape = z
  .object({
    id: z.uuid(),
    status: z.enum(['running', 'partly', 'erased']),
    requestedAt: at,
    erased: z.partialRecord(category, count),
    held: z.array(z.string()).optional(),
    endedAt: at.optional(),
  })
  .meta({ id: 'PersonErasure' });

/** What an account's requests came to. */
export const usageShape = z
  .object({
    items: z.array(
      z.object({
        day: day.optional(),
        model: z.string().optional(),
        requests: count,
        promptTokens: z.number(),
        completionTokens: z.number(),
        cost: z.number(),
      }),
    ),
  })
  .meta({ id: 'Usage' });

/** An export of an account's data. */
export const exportShape = z
  .object({
    id: z.string(),
    status: z.enum(['running', 'ready', 'failed', 'withdrawn']),
    reason: z.string().optional(),
    createdAt: at,
    categories: z.array(z.enum(exportedDataSets)),
    from: at.optional(),
    to: at,
    progress: z.object({ done: count, total: count.nullable() }),
    bytes: count,
    records: count,
    sha256: sha256.optional().describe('Of the whole archive'),
    expiresAt: at.optional(),
  })
  .meta({ id: 'Export' });

/** An invoice without what it says. */
export const invoiceOutlineShape = z
  .object({ number: z.string(), issuedOn: day, storedAt: at })
  .meta({ id: 'InvoiceOutline' });

/** An invoice. */
export const invoiceShape = invoiceOutlineShape
  .extend({ document: z.unknown().describe('Whatever JSON was stored') })
  .meta({ id: 'Invoice' });

/** What the law keeps of an account (R10). */
export const retainedShape = z
  .object({
    dataset: z.string(),
    key: z.string(),
    until: at,
    law: z.string(),
    sealedAt: at,
    document: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'RetainedRecord' });

/** What erasing an account would do (R6). */
export const erasurePlanShape = z
  .object({
    hash: sha256,
    due: at.nullable(),
    steps: z.array(
      z.object({
        dataset: z.string(),
        action: z.enum(['erase', 'seal', 'hold', 'reduce', 'keep', 'tell']),
        rule: z.string(),
        records: count,
        until: at.optional(),
      }),
    ),
    blockedBy: z.array(
      z.object({
        kind: z.enum(['state', 'hold', 'breaker', 'clocks', 'delay']),
        id: z.string().optional(),
        detail: z.string(),
        until: at.optional(),
      }),
    ),
  })
  .meta({ id: 'ErasurePlan' });

/** What the breaker keeps back. */
export const erasureGuardShape = z
  .object({
    begun: count,
    limit: count,
    share: z.number(),
    minimum: count,
    heldBack: count,
    items: z.array(z.object({ account: accountName, due: at.optional(), since: at })),
  })
  .meta({ id: 'ErasureGuard' });

/** Whom the breaker let go, and how many it still keeps back. */
export const releasedShape = z.object({ released: z.array(accountName), left: count });
