/** Talking to Temporal: the client's side of accounts' workflows. */
export { startDataRotation, type DataRotationHandle } from './data-rotations';
export { createPayloadCodec, dataConverterOf, isEncoded, UnreadablePayloadError } from './codec';
export { connectLazily, openCourses, workflowIdOf, type Courses } from './courses';
export { CourseMissingError, OutcomeUnknownError, RefusedError, TemporalUnavailableError } from './errors';
export { openCourseKeeper } from './course-keeper';
export { openJobs, type Jobs } from './jobs';
export { openRotations, type RotationHandle } from './rotations';
export { bundleWorkflows } from './bundle';
export { assertNamespace, keepAssertingNamespace } from './region';
export { ensureSchedules, keepEnsuringSchedules, sweepIdOf } from './schedules';
export { createAccountWorker } from './worker';
export { securityOptions, type TemporalSecurity } from './security';
