/** How often anybody may ask, over all processes together. */
export type { LimitPolicy, Verdict } from './limit';
export { registerRateLimits, shareLimits, type SharedLimits } from './shared-limits';
