/**
 * The messages an account understands, as schemas: the API validates with them, the workflow validates messages sent
 * by hand with them, and the types come from them.
 */
import { z } from 'zod';
import { canonicalDuration, DurationError } from './duration';
import { suspensionReasons } from './terms';

const note = z.string().trim().min(1).max(2000);

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
  });

/** An instant with any offset, brought to UTC. */
export const instantSchema = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString());

export const suspendSchema = z.strictObject({ reason: z.enum(suspensionReasons), note: note.optional() });
export const reinstateSchema = z.strictObject({
  resolved: z.array(z.enum(suspensionReasons)).min(1).max(suspensionReasons.length).optional(),
  note: note.optional(),
});
export const closeSchema = z.strictObject({ note: note.optional() });
export const reopenSchema = z.strictObject({ note });
export const changePolicySchema = z.strictObject({
  gracePeriod: durationSchema.nullable().optional(),
  expiryPeriod: durationSchema.nullable().optional(),
  activeRetentionDays: z.int().min(0).max(365).nullable().optional(),
  confirm: z.string().max(256).optional(),
});
export const placeHoldSchema = z.strictObject({
  reason: z.string().trim().min(1).max(500),
  until: instantSchema.optional(),
  datasets: z.array(z.string().min(1).max(64)).min(1).max(32).optional(),
  reviewAt: instantSchema.optional(),
});
const releaseHoldSchema = z.strictObject({ holdId: z.string().min(1).max(64) });

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
  | { readonly name: 'completeErasure' };

export const commandNames = Object.keys(commandSchemas) as CommandName[];

/** One thing wrong with a body: where, and what. */
export interface Flaw {
  readonly path: string;
  readonly detail: string;
}

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
