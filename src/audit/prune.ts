/**
 * Letting go of entries that have passed the log's own retention (R20), whole tiles at a time and from its beginning.
 *
 * 1. First the log says so itself: an entry `audit.pruned`, which has its place in the tree before anything else happens.
 * 2. Then the log begins later: `start` of its newest state moves up to what that entry allows. Only then is anything deleted.
 * 3. A process that dies in between has lost nothing: the next one goes on where `pruned` says the deletion is.
 * 4. What is left still verifies, because the tiles above level 0 stay, and so does every checkpoint.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../database';
import { bySystem } from '../lifecycle';
import { isSequenced, newest, prunedAction, type AuditEntryDocument, type CheckpointDocument } from './entries';
import { sequenceBatch, type LogStore } from './sequence';
import type { SequencerLog, Stoppable } from './sequencer';
import { tileId, tileWidth } from './tiles';

export interface PruneOptions {
  /** How long entries are kept, in milliseconds. */
  readonly retention: number;
  /** Pseudonyms of accounts of which no entry goes: those under a legal hold (R9). Asked inside the transaction that decides. */
  readonly kept: (session: Parameters<Parameters<LogStore['transaction']>[0]>[0]) => Promise<ReadonlySet<string>>;
  /** Called before each tile that is deleted; throwing ends the work there. */
  readonly checkpoint?: () => void;
}

/** What went. */
export interface Pruned {
  /** Where the log begins now. */
  readonly start: number;
  /** Entries that were deleted. */
  readonly deleted: number;
}

/** Tiles that are let go by one entry, at most: a quarter of a million entries. */
const mostTiles = 1024;

/**
 * Lets go of what has passed the retention. Safe to repeat, and for several processes at once.
 *
 * It ends at the first tile with an entry that is younger, or of an account that is to be kept: the log has no holes.
 *
 * @throws {AuditLogBrokenError} the log is not as it was signed; nothing is let go then
 */
export async function pruneLog(store: LogStore, options: PruneOptions): Promise<Pruned> {
  const before = await declare(store, options);
  if (before !== undefined) await begin(store, before);
  return removeTiles(store, options.checkpoint);
}

function headOf(store: LogStore): Promise<CheckpointDocument | null> {
  return native(store.audit.checkpoints).findOne<CheckpointDocument>({ _id: newest });
}

/** Writes the entry, and has it sequenced. @returns what may go: entries before this position; nothing where none may */
async function declare(store: LogStore, options: PruneOptions): Promise<number | undefined> {
  const head = await headOf(store);
  if (head === null) return undefined;
  const start = head.start ?? 0;
  const now = await store.databaseTime();
  const range = await passed(store, head, new Date(now.getTime() - options.retention));
  if (range.length === 0) return undefined;
  const before = await store.transaction(async (session) => {
    const kept = await options.kept(session);
    const held = range.findIndex(({ subjects }) => [...subjects].some((subject) => kept.has(subject)));
    const going = held === -1 ? range : range.slice(0, held);
    const [first, last] = [going[0], going.at(-1)];
    if (first === undefined || last === undefined) return undefined;
    const end = start + going.length * tileWidth;
    const id = `pruned-${end}`;
    const known = await native(store.audit.entries).findOne({ _id: id }, { session, projection: { _id: 1 } });
    if (known !== null) return end;
    const details = { before: end, count: end - start, from: first.from, to: last.to, retention: options.retention };
    await store.audit.append(session, { id, at: now, actor: bySystem, action: prunedAction, details });
    return end;
  });
  if (before === undefined) return undefined;
  for (;;) {
    const { more } = await sequenceBatch(store);
    const entry = await native(store.audit.entries).findOne<AuditEntryDocument>({ _id: `pruned-${before}` });
    if (entry !== null && isSequenced(entry)) return before;
    // Another process may be giving it its place just now; then that is seen the next time.
    if (!more) return undefined;
  }
}

/** A full tile whose entries have all passed. */
interface Passed {
  readonly from: Date;
  readonly to: Date;
  readonly subjects: ReadonlySet<string>;
}

/** The tiles from the log's beginning of which every entry is older than an instant. */
async function passed(store: LogStore, { size, start = 0 }: CheckpointDocument, cutoff: Date): Promise<Passed[]> {
  const found: Passed[] = [];
  for (let at = start; at + tileWidth <= size && found.length < mostTiles; at += tileWidth) {
    const projection = { at: 1, sequencedAt: 1, position: 1, subject: 1 };
    const entries = await native(store.audit.entries)
      .find<AuditEntryDocument>({ tile: at / tileWidth }, { projection })
      .toArray();
    const times = entries.filter(isSequenced).map(({ sequencedAt }) => sequencedAt.getTime());
    // A tile that is not whole is for the verification to say something of.
    if (times.length !== tileWidth || entries.length !== tileWidth) break;
    if (entries.some((entry) => entry.at >= cutoff) || Math.max(...times) >= cutoff.getTime()) break;
    found.push({
      from: new Date(Math.min(...times)),
      to: new Date(Math.max(...times)),
      subjects: new Set(entries.flatMap(({ subject }) => subject ?? [])),
    });
  }
  return found;
}

/** Has the log begin at a position that its own entry allows. */
async function begin(store: LogStore, before: number): Promise<void> {
  await native(store.audit.checkpoints).updateOne({ _id: newest }, { $max: { start: before } });
}

/** Deletes what lies before the log's beginning, tile by tile: its entries first, so that a tile that is there has work left. */
async function removeTiles(store: LogStore, checkpoint: PruneOptions['checkpoint']): Promise<Pruned> {
  const { entries, tiles, checkpoints } = store.audit;
  const head = await headOf(store);
  const { start = 0, pruned = 0 } = head ?? {};
  let deleted = 0;
  for (let at = pruned; at < start; at += tileWidth) {
    checkpoint?.();
    const index = at / tileWidth;
    deleted += (await native(entries).deleteMany({ tile: index })).deletedCount;
    await native(tiles).deleteOne({ _id: tileId({ level: 0, index }) });
    await native(checkpoints).updateOne({ _id: newest }, { $max: { pruned: at + tileWidth } });
  }
  return { start, deleted };
}

export interface PruningOptions extends Pick<PruneOptions, 'retention' | 'kept'> {
  readonly log: SequencerLog;
  /** How often to look, in milliseconds. @default an hour */
  readonly interval?: number;
}

const standardInterval = 3_600_000;

/** Starts letting go of what has passed the retention, as long as the process runs. Any number of them may run. */
export function startPruning(
  store: LogStore,
  { log, interval = standardInterval, ...options }: PruningOptions,
): Stoppable {
  const stopping = new AbortController();
  const { signal } = stopping;
  const run = async () => {
    while (!stopping.signal.aborted) {
      try {
        await pruneLog(store, { ...options, checkpoint: () => signal.throwIfAborted() });
      } catch (error) {
        if (!signal.aborted) log.error({ alert: 'audit-pruning-failed', err: error }, 'old audit entries stay for now');
      }
      await sleep(interval, undefined, { signal }).catch(() => undefined);
    }
  };
  const running = run();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
