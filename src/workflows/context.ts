/** Reading what came beside a message. A signal written by hand may carry anything there; nothing of it is believed unread. */
import { z } from 'zod';
import { flawsOf, roles, type Flaw } from '../lifecycle';
import type { MessageContext } from './messages';

const contextSchema = z.strictObject({
  actor: z.strictObject({
    type: z.enum(['key', 'user', 'system', 'temporal']),
    id: z.string().min(1).max(512),
    role: z.enum(roles).exactOptional(),
  }),
  requestId: z.string().max(512).exactOptional(),
  ifVersion: z.int().exactOptional(),
}) satisfies z.ZodType<MessageContext>;

/** Reads a message's context; none at all is fine. Never throws: what does not fit comes back as flaws. */
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
