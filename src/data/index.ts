/** Where customer data lives, and everything that is done with it. */
export {
  categories,
  dataSetNamed,
  dataSets,
  encryptedKinds,
  holdableDataSets,
  otherCollections,
  ownedBy,
  type Category,
  type DataSet,
  type FieldKind,
} from './map';
export * from './errors';
export { holdsNotes, openMessage, openNotes, sealNotes, withoutNotes } from './notes';
export {
  indexesOf,
  openProfile,
  openProfiles,
  protectFormer,
  protectProfile,
  storeDraft,
  type Profile,
} from './profile';
export { protect, reveal, type Opened, type Sealed } from './protect';
export { assertDeclared, compareWithMap, undeclaredPaths } from './compare';
export { settingsId, type AccountDocument, type CertificateDocument, type SettingsDocument } from './documents';
export { findAccount, findAccountWith, openStore, prepareStore, type FindOptions, type Store } from './store';
export { nameIn, tombstoneId, tombstoneIdPattern } from './names';
export { deleteIn, deleteThroughGate, type Deletion } from './gate';
export { auditOnce } from './audit-once';
export { heldSubjects } from './held-subjects';
export { cutoffOf, shownFrom } from './age';
export { purgeDue, type PurgeHooks, type PurgeStretch } from './purge';
export { previewPurge, type PurgeShare } from './purge-preview';
export { recordCreation, recordStep, type CreationRecord, type RecordedStep, type StepRecord } from './record-step';
export { beginErasure, eraseRecords, type ErasureResult, type OutsideStore } from './erase';
export { concludeErasure, finishErasure, type ConcludedErasure, type FinishedErasure } from './conclude';
export { listCourses, livingOf, type RecordedCourse } from './courses';
export { openErrands, type Errand } from './errands';
export { reErase, reEraseLapsed, removeOrphans, restoreTombstone } from './re-erase';
export { searchRemains } from './search';
export { guardState, type GuardSettings } from './guard';
export { countHeldBack, heldBackAccounts, recordDelay, releaseHeldBack, watchOverdue } from './delays';
export { erasurePlan } from './erasure-plan';
export { sealSet, statutoryEnd, type Sealing } from './seal';
export { certificateIdPattern, findCertificate, issueCertificate, type ErasureCertificate } from './certificates';
export { addAddendum } from './addenda';
export { completeCertificate, signedCertificate } from './complete-certificate';
export { eraseLapsed, nextLapse, retainedOf, type LapseOutcome } from './retained';
export { readSealed, type SealedRecord } from './read-sealed';
export { accountIdPattern, isDeeperThan, maxDepth, splitItems, UnreadableBodyError } from './litellm';
export { withoutForeign } from './foreign';
export { ingest } from './ingest';
export { emptyTally, joinTallies, reencrypt, type ReencryptTally } from './reencrypt';
export type { WalkPosition } from './reencrypt-walk';
export { openContentBytes, protectContent, userIndexOf } from './record-content';
export { erasePerson, type PersonOutcome, type PersonRequest } from './person';
export { type PersonRequestDocument } from './person-requests';
export { dayOf, readUsage } from './usage';
export { findInvoice, invoiceNumberPattern, listInvoices, storeInvoice, type InvoiceOutline } from './invoices';
export { readRecords, type CustomerRecord, type RecordQuery } from './read-records';
export { effectiveSettings } from './settings';
export {
  processorKinds,
  requestStatuses,
  type ProcessorDocument,
  type ProcessorReceipt,
  type ProcessorRequestDocument,
  type RequestStatus,
} from './processor-models';
export { activeProcessorNames, createProcessorRequests, processorRequestsOf } from './processors';
export { countBy, windowsOf, type Bucket } from './windows';
