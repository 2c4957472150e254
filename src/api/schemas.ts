/**
 * What requests may hold, as schemas: validation, types and the published contract come from them. Messages to accounts
 * have theirs in the lifecycle, because a message sent by hand is judged by the same.
 */
import { z } from 'zod';
import { exportedDataSets } from '../exports';
import {
  accountIdPattern,
  categories,
  certificateIdPattern,
  dayOf,
  isDeeperThan,
  maxDepth,
  processorKinds,
  tombstoneIdPattern,
} from '../data';
import { scopeRoles, scopes } from '../access';
import { accountStates, plans, roles, type Role } from '../lifecycle';
import { changePolicySchema, durationSchema, instantSchema } from '../lifecycle/schemas';
import { isSecret } from '../processors';
import type { SignedBody } from './route';

export {
  changePolicySchema,
  closeSchema,
  placeHoldSchema,
  reinstateSchema,
  reopenSchema,
  suspendSchema,
} from '../lifecycle/schemas';

const accountId = z.string().regex(accountIdPattern, 'must be 1–64 of A–Z a–z 0–9 . _ -');
/** An account there is or was: also by the id of its tombstone, which is all that lists show of an erased one (R22). */
const knownAccountId = z.string().regex(new RegExp(`${accountIdPattern.source}|${tombstoneIdPattern.source}`));
const instant = instantSchema.transform((text) => new Date(text));
const control = '\\u0000-\\u001f\\u007f-\\u009f';
const name = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^\P{Cc}*$/u, 'must not hold control characters')
  // The same in words every reader of patterns knows, and that something is left once it is trimmed.
  .meta({ published: { pattern: `^[^${control}]*[^\\s\\ufeff${control}][^${control}]*$` } });
const email = z.email().max(254);
const locales = ['en', 'de'] as const;

const numeric = z
  .string()
  .regex(/^\d{1,4}$/, 'must be a whole number')
  .transform(Number);
// A client sees a number; in a URL it is digits.
const limit = numeric
  .pipe(z.int().min(1).max(1000))
  .default(50)
  .meta({ published: { type: 'integer', pattern: undefined, minimum: 1, maximum: 1000, default: 50 } });
const cursor = z.string().min(1).max(2048).optional();
/** One page of a list. */
export const pageSchema = z.strictObject({ limit, cursor });

export const noQuerySchema = z.strictObject({});
export const accountParamsSchema = z.strictObject({ id: knownAccountId });
export const holdParamsSchema = z.strictObject({ id: knownAccountId, holdId: z.string().min(1).max(64) });
export const auditParamsSchema = z.strictObject({ id: z.string().min(1).max(64) });
/** Entries are asked for by an account's id or, once it is erased, by that of its tombstone. */
export const auditQuerySchema = pageSchema.extend({
  account: knownAccountId.optional(),
  actor: z.string().min(1).max(256).optional(),
  action: z.string().min(1).max(64).optional(),
  from: instant.optional(),
  to: instant.optional(),
});
export const certificateParamsSchema = z.strictObject({ id: z.string().regex(certificateIdPattern) });
export const keyParamsSchema = z.strictObject({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) });

export const newAccountSchema = z.strictObject({
  id: accountId.optional(),
  name,
  email,
  plan: z.enum(plans),
  locale: z.enum(locales).default('en'),
  policy: changePolicySchema.omit({ confirm: true }).optional(),
  state: z.enum(['active', 'suspended', 'expired']).optional(),
  since: instantSchema.optional(),
});

export const profileSchema = z
  .strictObject({
    name: name.optional(),
    email: email.optional(),
    plan: z.enum(plans).optional(),
    locale: z.enum(locales).optional(),
  })
  .refine((body) => Object.keys(body).length > 0, 'name at least one of name, email, plan, locale')
  .meta({ published: { minProperties: 1 } });
export type ProfileChange = z.output<typeof profileSchema>;

export const accountsQuerySchema = pageSchema.extend({
  state: z.enum(accountStates).optional(),
  plan: z.enum(plans).optional(),
  q: z.string().min(1).max(254).optional(),
  dueBefore: instant.optional(),
});

export const accessQuerySchema = z.strictObject({
  ip: z.union([z.ipv4(), z.ipv6()], 'must be an IPv4 or IPv6 address').optional(),
});

/** What can be changed of the deployment's defaults; a member that is left out returns to the configured value. */
export const settingsSchema = z.strictObject({
  gracePeriod: durationSchema.nullable().optional(),
  expiryPeriod: durationSchema.nullable().optional(),
});

export const recordsQuerySchema = pageSchema.extend({
  category: z.enum(categories).optional(),
  from: instant.optional(),
  to: instant.optional(),
});

/** Whose records: just as the records name them, which keep the first 256 characters. */
export const personQuerySchema = z.strictObject({ user: z.string().min(1).max(256) });
export const personParamsSchema = z.strictObject({ id: knownAccountId, requestId: z.uuid() });
export const exportParamsSchema = z.strictObject({
  id: knownAccountId,
  exportId: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
});
export const newExportSchema = z
  .strictObject({
    categories: z.array(z.enum(exportedDataSets)).min(1).max(exportedDataSets.length).optional(),
    from: instant.optional(),
    to: instant.optional(),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || from < to, {
    path: ['from'],
    message: 'must lie before to',
  });

const dayLength = '2026-11-22'.length;
const instantOrDay = z.union([instantSchema, z.iso.date()], 'must be an instant or a date');

/** Whole UTC days: a day named as such counts, and so does one that has begun before an instant that ends the query. */
export const usageQuerySchema = z
  .strictObject({
    from: instantOrDay.transform((text) => text.slice(0, dayLength)).optional(),
    to: instantOrDay
      .transform((text) => (text.length === dayLength ? text : dayOf(new Date(Date.parse(text) - 1))))
      .optional(),
    by: z.enum(['day', 'model']).default('day'),
  })
  .refine(({ from = '', to = '~' }) => from <= to, { path: ['to'], message: 'must not lie before from' });

/** What cannot be a number is the number of nothing; storing one says what is wrong with it. */
export const invoiceParamsSchema = z.strictObject({ id: knownAccountId, number: z.string().min(1) });

const maxInvoiceBytes = 200_000;
const firstInvoiceDay = '1990-01-01';
export const invoiceSchema = z.strictObject({
  issuedOn: z.iso.date().refine((day) => day >= firstInvoiceDay, `must not be before ${firstInvoiceDay}`),
  document: z.unknown().superRefine((document, context) => {
    const flaw = documentFlaw(document);
    if (flaw !== undefined) context.addIssue({ code: 'custom', message: flaw });
  }),
});

function documentFlaw(document: unknown): string | undefined {
  if (document === undefined) return 'is missing';
  if (isDeeperThan(document, maxDepth)) return `must not be nested deeper than ${maxDepth} levels`;
  if (Buffer.byteLength(JSON.stringify(document)) > maxInvoiceBytes) return `must not exceed ${maxInvoiceBytes} bytes`;
  return undefined;
}

export const newKeySchema = z
  .strictObject({
    name: name.optional(),
    role: z.enum(roles),
    account: accountId.optional(),
    expiresAt: instant.optional(),
    scopes: z
      .array(z.enum(scopes))
      .max(scopes.length)
      .default([])
      .transform((given) => scopes.filter((scope) => given.includes(scope))),
  })
  .superRefine((body, context) => {
    const useless = body.scopes.filter((scope) => !(scopeRoles[scope] as readonly Role[]).includes(body.role));
    if (useless.length > 0) {
      const message = `the role ${body.role} may do nothing that needs ${useless.join(', ')}`;
      context.addIssue({ code: 'custom', path: ['scopes'], message });
    }
    if (body.role === 'customer' && body.account === undefined) {
      context.addIssue({ code: 'custom', path: ['account'], message: 'a customer key names its account' });
    }
    if (body.role !== 'customer' && body.account !== undefined) {
      context.addIssue({ code: 'custom', path: ['account'], message: 'only a customer key names an account' });
    }
  });

/** Which accounts the breaker lets go; all of them where none is named. */
export const releaseSchema = z.strictObject({
  accounts: z.array(accountId).min(1).max(1000).optional(),
  note: z
    .string()
    .trim()
    .min(1)
    .max(2000)
    .meta({ published: { pattern: '\\S' } })
    .optional(),
});

/** LiteLLM's callback: read item by item, so that one broken item does not cost its neighbours. */
export const ingestSchema = z.string();

const base64 = z.string().regex(/^[A-Za-z0-9+/_-]*={0,2}$/, 'must be base64');
/** Payloads as Temporal's tools write them. */
export const payloadsBodySchema = z.looseObject({
  payloads: z
    .array(z.looseObject({ metadata: z.record(z.string(), base64).default({}), data: base64.default('') }))
    .max(10_000),
});
/** The same as text. They say of what type the body is, or do not. */
export const payloadsSchema = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'the body is not JSON' });
      return z.NEVER;
    }
  })
  .pipe(payloadsBodySchema);

export const processorParamsSchema = z.strictObject({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) });
export const callbackParamsSchema = z.strictObject({ requestId: z.string().min(1).max(64) });
/** What is verified before it is read. */
export const signedSchema = z.custom<SignedBody>();

export const newProcessorSchema = z
  .strictObject({
    name,
    kind: z.enum(processorKinds),
    url: z.string().min(1).max(2048),
    domain: z.string().min(1).max(253).optional(),
    certificate: z.string().min(1).max(32_768).optional(),
    secret: z.string().refine(isSecret, 'must be whsec_ and 24 to 64 bytes in base64').optional(),
  })
  .superRefine(({ kind, domain, certificate, secret }, context) => {
    const foreign = kind === 'webhook' ? { domain, certificate } : { secret };
    for (const [path, value] of Object.entries(foreign)) {
      if (value === undefined) continue;
      context.addIssue({ code: 'custom', path: [path], message: `is not for processors of the kind ${kind}` });
    }
  });
