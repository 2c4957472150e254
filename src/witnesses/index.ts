/** Witnesses: those outside the database who are given the audit log's checkpoints to keep (R20). */
export { openWitnesses, parseWitnesses, type WitnessPlace } from './places';
export { startPublishing } from './publish';
