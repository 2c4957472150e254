/** Reading the log in its own order, from any position on. */
import { native } from '../database';
import { isSequenced, newest, type AuditEntryDocument, type CheckpointDocument, type SequencedEntry } from './entries';
import type { AuditLog } from './log';
import { tileWidth } from './tiles';

/**
 * The entries from a position up to the end the log has at this moment, a tile of them at a time. Those that have passed the
 * log's retention are passed over.
 */
export async function* placedFrom(
  { entries, checkpoints }: Pick<AuditLog, 'entries' | 'checkpoints'>,
  from: number,
): AsyncGenerator<readonly SequencedEntry[]> {
  const head = await native(checkpoints).findOne<CheckpointDocument>({ _id: newest });
  const { size = 0, start = 0 } = head ?? {};
  const first = Math.max(from, start);
  for (let tile = Math.floor(first / tileWidth); tile * tileWidth < size; tile += 1) {
    // What the tile got since belongs to a later end.
    const found = await native(entries).find<AuditEntryDocument>({ tile }).toArray();
    const placed = found.filter(isSequenced).filter(({ position }) => position >= first && position < size);
    if (placed.length > 0) yield placed.sort((a, b) => a.position - b.position);
  }
}
