/** The HTTP API. */
export { createApp, routesOf } from './app';
export type { ApiDependencies, SecurityContact } from './dependencies';
export { limitPolicies, type LimitSettings } from './limits';
export { registerIdempotency } from './idempotency';
export { contractOf } from './openapi/document';
export { problemCatalogue } from './problems';
export { keepRefusals, type Refusals } from './on-record/refusals';
export type { Route } from './route';
