/** Talking to Temporal: the client's side of accounts' workflows. */
export { connectLazily, openCourses, workflowIdOf, type Courses } from './courses';
export { CourseMissingError, OutcomeUnknownError, RefusedError, TemporalUnavailableError } from './errors';
export { bundleWorkflows } from './bundle';
export { createAccountWorker } from './worker';
