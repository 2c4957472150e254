/** The log nobody can quietly change. */
export { actions, type Action } from './actions';
export { staged, type AuditEntryDocument, type SequencedEntry } from './entries';
export { openAuditLog, type AuditEntry, type AuditLog, type NewAuditEntry } from './log';
export { noteKeyOf, originOf } from './note';
export { placedFrom } from './placed';
export { startPruning } from './prune';
export { proofOf, type InclusionProof } from './proof';
export { newestCheckpoint, newestState, sequenceBatch, type LogStore } from './sequence';
export { startSequencer } from './sequencer';
export { sourceIn, type LogSource } from './source';
export { tileWidth } from './tiles';
export { verifyLog, type Verification, type VerifyOptions, type WitnessRecord } from './verify';
export { verifyOwnLog } from './verify-own';
