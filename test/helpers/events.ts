/** What LiteLLM says of one call, as far as tests need it. */
import { randomUUID } from 'node:crypto';
import { categories, type Category } from '../../src/data';
import type { System } from './system';

/** Where the payloads below name their account. */
export const accountPaths = [['metadata', 'account']] as const;

/** One event with a prompt, a completion, a log and usage, at the event's own time. */
export function event(account: string, at: Date | string, callId: string = randomUUID()): Record<string, unknown> {
  return {
    litellm_call_id: callId,
    startTime: Math.ceil(new Date(at).getTime() / 1000),
    model: 'gpt-4o',
    total_tokens: 3,
    messages: [{ role: 'user', content: `prompt ${callId}` }],
    response: { choices: [{ message: { content: `completion ${callId}` } }] },
    metadata: { account },
  };
}

/** How many records an account has, by category. */
export async function recordCounts(
  { store }: Pick<System, 'store'>,
  account: string,
): Promise<Record<Category, number>> {
  const counts = await Promise.all(
    categories.map(async (category) => [category, await store.records[category].countDocuments({ account })] as const),
  );
  return Object.fromEntries(counts) as Record<Category, number>;
}

/** The same count in every category. */
export function everywhere(count: number): Record<Category, number> {
  return { prompts: count, completions: count, logs: count, usage: count };
}
