/** Accounts as they are shown, and whether they may be served. */
import { z } from 'zod';
import { accountStates, plans, suspensionReasons } from '../../lifecycle';
import { accountName, at, certificateId, count, duration } from './words';

const hold = z
  .object({
    id: z.string(),
    reason: z.string(),
    placedAt: at,
    placedBy: z.string(),
    until: at.optional(),
    datasets: z.array(z.string()).optional().describe('The data sets it protects; everything when absent'),
    reviewAt: at.optional(),
  })
  .meta({ id: 'Hold' });

/** A hold on an account (R9). */
export const holdShape = hold;

/** A hold just placed, with what erasure had taken by then. */
export const placedHoldShape = hold.extend({
  receipt: z
    .object({ erasureSince: at, erased: z.record(z.string(), count) })
    .optional()
    .describe('What had gone, where erasure had begun'),
});

const inForce = <S extends z.ZodType>(value: S) => z.object({ value, origin: z.enum(['account', 'default']) });

/** The policy in force for an account (R7, R11). */
export const policyShape = z
  .object({
    gracePeriod: inForce(duration),
    expiryPeriod: inForce(duration),
    activeRetentionDays: inForce(z.int().min(0).max(365).nullable()),
  })
  .meta({ id: 'Policy' });

/** What a change of policy would do (R12). */
export const policyPreviewShape = z.object({
  purge: z.array(
    z.object({ dataset: z.string(), records: count, oldest: at, held: z.literal(true).optional() }).meta({
      id: 'PurgeShare',
    }),
  ),
  deadline: z.object({ before: at.nullable(), after: at.nullable() }),
  confirm: z.string().describe('What a change that purges has to repeat'),
});

const cause = z.object({ reason: z.enum(suspensionReasons), at, note: z.string().optional() }).meta({ id: 'Cause' });

/** An account as somebody is shown it: its customer sees less of it while it is not active, and of an erased one there is no more. */
export const accountShape = z
  .object({
    id: accountName,
    name: z.string().optional(),
    email: z.string().optional(),
    unreadable: z.literal(true).optional().describe('What is personal of it cannot be opened'),
    locale: z.string().optional(),
    plan: z.enum(plans).optional(),
    region: z.string(),
    state: z.enum(accountStates),
    since: at,
    causes: z.array(cause).optional(),
    deadline: z.object({ action: z.enum(['close', 'erase']), at }).optional(),
    holds: z.array(hold).optional().describe('For admin, legal and auditor'),
    formerly: z
      .array(z.object({ at, name: z.string().optional(), email: z.string().optional() }))
      .optional()
      .describe('What was corrected under a hold'),
    erasing: z.object({ since: at, done: count, total: count }).optional(),
    policy: policyShape.optional(),
    createdAt: at.optional(),
    erasedAt: at.optional(),
    certificateIds: z.array(certificateId).optional(),
  })
  .meta({ id: 'Account' });

/** Whether an account may be served (R15, R16). */
export const accessShape = z
  .object({
    account: accountName,
    allowed: z.boolean(),
    state: z.enum(accountStates),
    code: z.enum(['account-suspended', 'account-expired', 'account-erased', 'ip-not-allowed']).optional(),
    reason: z.enum(suspensionReasons).optional(),
    until: at.optional(),
  })
  .meta({ id: 'Access' });
