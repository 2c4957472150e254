/**
 * The messages an account understands, as schemas: the API validates with them, messages sent by hand are read with
 * them, and the types come from them. A face of its own beside `index.ts`: workflows take the types only, since each
 * would load its own copy of the validation library, and since what a message meant when it came belongs in the history.
 */
import { z } from 'zod';
import { canonicalDuration, DurationError, durationPattern } from './duration';
import { roles, suspensionReasons, type Flaw, type MessageContext } from './terms';

/** What is trimmed has to leave something; the schema that is published says so too. */
const something = { published: { pattern: '\\S' } };
const note = z.string().trim().min(1).max(2000).meta(something);

/** A duration, brought into canonical form. Bounds are the deployment's and judged in `decide.ts`. */
export const durationSchema = z
  .string()
  .max(64)
  .transform((text, context) => {
    try {
      return canonicalDuration(text);
    } catch (error) {
      if (!(error instanceof DurationError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  })
  .meta({
    id: 'LengthOfTime',
    description: 'ISO 8601 in whole weeks, days, hours, minutes and seconds, within the bounds of the deployment',
    published: { type: 'string', pattern: durationPattern.source, examples: ['P14D', 'PT90M'] },
  });

/** An instant with any offset, brought to UTC. */
export const instantSchema = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text).toISOString())
  .meta({ id: 'AnyInstant', description: 'ISO 8601 with `Z` or an offset' });

export const suspendSchema = z.strictObject({ reason: z.enum(suspensionReasons), note: note.optional() });
export const reinstateSchema = z.strictObject({
  resolved: z.array(z.enum(suspensionReasons)).min(1).max(suspensionReasons.length).optional(),
  note: note.optional(),
});
export const closeSchema = z.strictObject({ note: note.optional() });
export const reopenSchema = z.strictObject({ note });
export const changePolicySchema = z
  .strictObject({
    gracePeriod: durationSchema.nullable().optional(),
    expiryPeriod: durationSchema.nullable().optional(),
    activeRetentionDays: z.int().min(0).max(365).nullable().optional(),
    confirm: z.string().max(256).optional(),
  })
  // That one of them has to be named is judged where the change is decided.
  .meta({
    published: { anyOf: ['gracePeriod', 'expiryPeriod', 'activeRetentionDays'].map((name) => ({ required: [name] })) },
  });
export const placeHoldSchema = z.strictObject({
  reason: z.string().trim().min(1).max(500).meta(something),
  until: instantSchema.optional(),
  datasets: z.array(z.string().min(1).max(64)).min(1).max(32).optional(),
  reviewAt: instantSchema.optional(),
});
const releaseHoldSchema = z.strictObject({ holdId: z.string().min(1).max(64) });

const contextSchema = z.strictObject({
  actor: z.strictObject({
    type: z.enum(['key', 'user', 'system', 'temporal']),
    id: z.string().min(1).max(512),
    role: z.enum(roles).exactOptional(),
    address: z.string().max(64).exactOptional(),
  }),
  requestId: z.string().max(512).exactOptional(),
  ifVersion: z.int().exactOptional(),
}) satisfies z.ZodType<MessageContext>;

/** The schema of each message's body, by the message's name. */
export const commandSchemas = {
  suspend: suspendSchema,
  reinstate: reinstateSchema,
  close: closeSchema,
  reopen: reopenSchema,
  changePolicy: changePolicySchema,
  placeHold: placeHoldSchema,
  releaseHold: releaseHoldSchema,
} as const;

export type CommandName = keyof typeof commandSchemas;
export type CommandBody<N extends CommandName> = z.output<(typeof commandSchemas)[N]>;

/** A valid message, or something a timer has to say. */
export type Command =
  | { [N in CommandName]: { readonly name: N; readonly body: CommandBody<N> } }[CommandName]
  | { readonly name: 'endGracePeriod' }
  | { readonly name: 'endHold'; readonly holdId: string }
  | { readonly name: 'beginErasure' }
  | { readonly name: 'spareHeld'; readonly datasets: readonly string[] }
  | { readonly name: 'completeErasure' };

export const commandNames = Object.keys(commandSchemas) as CommandName[];

/** A zod error's issues as {@link Flaw}s, the path in dotted form, the body itself as an empty path. */
export function flawsOf(error: z.ZodError): Flaw[] {
  return error.issues.map((issue) => ({ path: issue.path.map(String).join('.'), detail: issue.message }));
}

/** Reads a message's body. Never throws: what does not fit comes back as flaws. */
export function parseCommand(name: CommandName, body: unknown): { command: Command } | { flaws: Flaw[] } {
  const result = commandSchemas[name].safeParse(body ?? {});
  // The cast joins a name with its own schema's output, which TypeScript cannot follow through the index.
  return result.success ? { command: { name, body: result.data } as Command } : { flaws: flawsOf(result.error) };
}

/** Reads what came beside a message; none at all is fine. Never throws: what does not fit comes back as flaws. */
export function parseContext(
  context: unknown,
): { readonly context?: MessageContext } | { readonly flaws: readonly Flaw[] } {
  if (context === undefined || context === null) return {};
  const result = contextSchema.safeParse(context);
  if (result.success) return { context: result.data };
  return {
    flaws: flawsOf(result.error).map(({ path, detail }) => ({
      path: path === '' ? 'context' : `context.${path}`,
      detail,
    })),
  };
}
