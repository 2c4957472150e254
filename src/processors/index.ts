/** Downstream processors: who has customer data on our behalf is told to erase it, and what they answer is kept. */
export { exchange, flawOfTarget, type TargetRules } from './addresses';
export * from './errors';
export { receiveCallback } from './callback';
export { findRequest, recordAbandonment, recordEscalation } from './record';
export { prepareProcessor, PublicUrlMissingError } from './register';
export { protectProcessor } from './secret';
export type { ProcessorSettings } from './settings';
export { tellProcessor, type Look } from './tell';
export { isSecret } from './webhook';
