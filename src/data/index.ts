/** Where customer data lives, and everything that is done with it. */
export { categories, holdableDataSets, type Category } from './data-sets';
export * from './errors';
export {
  openStore,
  prepareStore,
  settingsId,
  type AccountDocument,
  type AccountDraft,
  type RecordDocument,
  type SettingsDocument,
  type Store,
} from './store';
export { recordCreation, recordStep, type CreationRecord, type RecordedStep, type StepRecord } from './record-step';
export { beginErasure, eraseRecords, type ErasureResult } from './erase';
export { concludeErasure, searchRemains } from './conclude';
export { accountIdPattern, splitItems, UnreadableBodyError } from './litellm';
export { ingest } from './ingest';
export { readRecords, type CustomerRecord, type RecordQuery } from './read-records';
export { effectiveSettings } from './settings';
