/** The HTTP API. */
export { createApp, routesOf } from './app';
export type { ApiDependencies, SecurityContact } from './dependencies';
export { limitPolicies, type LimitSettings } from './limits';
export { registerIdempotency } from './idempotency';
export { contractOf } from './openapi';
export { problemCatalogue } from './problems';
export { keepRefusals, type Refusals } from './refusals';
export type { Route } from './route';
