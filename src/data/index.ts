/** Where customer data lives, and everything that is done with it. */
export { categories, dataSets, holdableDataSets, type Category, type DataSet } from './data-sets';
export * from './errors';
export {
  openStore,
  prepareStore,
  storeOn,
  type AccountDocument,
  type AccountDraft,
  type ErasureProgress,
  type RecordDocument,
  type SettingsDocument,
  type Store,
  type StoreOptions,
} from './store';
export {
  recordCreation,
  recordStep,
  type CreationRecord,
  type HoldReceipt,
  type RecordedStep,
  type StepRecord,
} from './record-step';
export { beginErasure, eraseRecords, type ErasureHooks, type ErasureResult } from './erase';
export { concludeErasure, searchRemains, type Leftover } from './conclude';
export { accountIdPattern, splitItems, UnreadableBodyError, type Rejection } from './litellm';
export { ingest, type IngestResult } from './ingest';
export { readRecords, type CustomerRecord, type RecordQuery } from './read-records';
export { effectiveSettings } from './settings';
