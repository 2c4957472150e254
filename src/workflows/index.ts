/** What those who talk to workflows need of them: names, shapes and attributes, and none of their code. */
export type { AccountInput, AccountOutcome } from './account';
export { initialAttributes, searchAttributes, searchAttributeTypes, visibleOf } from './attributes';
export * from './messages';
export * from './person-messages';
export { coursesWorkflowType, type CoursesInput, type CoursesOutcome } from './courses-input';
export { sweepWorkflowType, type SweepInput } from './sweep-input';
export * from './rotation-input';
export * from './processor-messages';
export * from './data-rotation-input';
export { disclosuresWorkflowType, type DisclosuresInput } from './disclosures-input';
export { retainedSummary, staticDetails, staticSummary } from './texts';
export { exportSummary, exportWorkflowId, exportWorkflowType } from './export-messages';
