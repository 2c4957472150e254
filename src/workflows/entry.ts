/** What workers run. This is the entry the workflow bundle is made from. */
export { accountWorkflow } from './account';
export { personWorkflow } from './person';
export { sweepWorkflow } from './sweep';
export { coursesWorkflow } from './courses';
export { rotationWorkflow, signingRotationWorkflow } from './rotation';
export { retainedWorkflow } from './retained';
export { processorWorkflow } from './processor';
export { exportWorkflow } from './export';
export { dataRotationWorkflow } from './data-rotation';
export { disclosuresWorkflow } from './disclosures';
