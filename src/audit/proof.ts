/** Proving to others that an entry is in the log. */
import { native } from '../database';
import { isSequenced, leafText, newest, type AuditEntryDocument, type CheckpointDocument } from './entries';
import { inclusionPath } from './merkle';
import { sequenceBatch, tileReader, type LogStore } from './sequence';
import { rootsOf } from './tiles';

/** That an entry is in the log: checked with the public key alone (RFC 9162, 2.1.3.2). */
export interface InclusionProof {
  /** What the log says, as it was hashed: canonical JSON (RFC 8785). SHA-256 over a zero byte and it is the leaf's hash. */
  readonly leaf: string;
  readonly index: number;
  /** Of the tree the proof is for. */
  readonly size: number;
  /** From the leaf upwards, base64. */
  readonly hashes: readonly string[];
  /** A signed note with that size and the root. */
  readonly checkpoint: string;
}

/**
 * The proof that an entry is in the log. One that waits for its position gets it first.
 *
 * @returns nothing where there is no such entry, or its tiles have passed the log's retention
 * @throws {AuditLogBrokenError | TileMissingError} the log is not as it was signed
 */
export async function proofOf(store: LogStore, id: string): Promise<InclusionProof | undefined> {
  const entries = native(store.audit.entries);
  const find = () => entries.findOne<AuditEntryDocument>({ _id: id });
  let entry = await find();
  for (let more = true; more && entry !== null && !isSequenced(entry); entry = await find()) {
    ({ more } = await sequenceBatch(store));
  }
  const head = await native(store.audit.checkpoints).findOne<CheckpointDocument>({ _id: newest });
  if (entry === null || !isSequenced(entry) || head === null || entry.position < (head.start ?? 0)) return undefined;
  const { size, note } = head;
  const hashes = await rootsOf(inclusionPath(entry.position, size), tileReader(store.audit));
  return {
    leaf: leafText(entry),
    index: entry.position,
    size,
    hashes: hashes.map((hash) => hash.toString('base64')),
    checkpoint: note,
  };
}
