/** Settings, keys, processors, and whether the process serves, as they are shown. */
import { z } from 'zod';
import { processorKinds, requestStatuses } from '../../data';
import { accountName, at, count, duration, sha256 } from './words';

/** The deployment's default periods (R7). */
export const settingsShape = z.object({ gracePeriod: duration, expiryPeriod: duration }).meta({ id: 'PolicySettings' });

/** Somebody who is told of erasures. */
export const processorShape = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.enum(processorKinds),
    url: z.string(),
    domain: z.string().optional(),
    certificate: z.string().optional(),
    createdAt: at,
    createdBy: z.string(),
    removedAt: at.optional(),
  })
  .meta({ id: 'Processor' });

/** A processor just registered. */
export const newProcessorShape = processorShape
  .extend({ secret: z.string().optional().describe('Where one was made: shown this once') })
  .meta({ id: 'NewProcessor' });

/** What a processor was told to erase, and what it answered. */
export const processorRequestShape = z
  .object({
    id: z.uuid(),
    account: accountName,
    certificate: z.string(),
    status: z.enum(requestStatuses),
    at,
    attempts: count,
    lastError: z.string().optional(),
    lastSentAt: at.optional(),
    expectedBy: at.optional(),
    escalatedAt: at.optional(),
    endedAt: at.optional(),
    receipts: z.array(
      z.object({
        at,
        via: z.enum(['response', 'status', 'callback']),
        status: z.enum(requestStatuses),
        sha256,
        signature: z.string().optional(),
        body: z.string().optional(),
      }),
    ),
  })
  .meta({ id: 'ProcessorRequest' });

/** Payloads as Temporal's tools write them. */
export const payloadsShape = z.object({
  payloads: z.array(z.looseObject({ metadata: z.record(z.string(), z.string()), data: z.string() })),
});

export const servesShape = z.object({ status: z.literal('ok') });
export const readyShape = z.object({
  status: z.literal('ok'),
  checks: z.record(z.string(), z.enum(['ok', 'missing'])),
});
