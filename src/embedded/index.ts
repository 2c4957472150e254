export { EmbeddedServerError, type EmbeddedServerErrorCode } from './errors';
export { startMongodb, type MongodbOptions, type RunningMongodb } from './mongodb';
export type { RunningServer } from './server';
export { startTemporal, type RunningTemporal, type SearchAttributeType, type TemporalOptions } from './temporal';
