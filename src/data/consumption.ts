/** Reading what a call came to from what the gateway says of it, which may be anything. */

/** What calls came to, in whole numbers, so that sums are exact. */
export interface Consumption {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** In billionths of the gateway's currency. */
  readonly costNano: number;
}

/** A billion tokens, or ten thousand in cost, are no one call: whoever reports more has made a mistake. */
const maxTokens = 1e9;
const maxCost = 1e4;
/** Billionths of the gateway's currency in one. */
export const nano = 1e9;

/** What a call came to. What is no number, negative or absurd counts as nothing; the record keeps what was said. */
export function consumptionOf(promptTokens: unknown, completionTokens: unknown, cost: unknown): Consumption {
  return {
    promptTokens: Math.trunc(within(promptTokens, maxTokens)),
    completionTokens: Math.trunc(within(completionTokens, maxTokens)),
    costNano: Math.round(within(cost, maxCost) * nano),
  };
}

function within(value: unknown, most: number): number {
  return typeof value === 'number' && value >= 0 && value <= most ? value : 0;
}
