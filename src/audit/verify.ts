/**
 * Verifying the log (R20): every entry against its leaf, every leaf against the tree, the tree against every checkpoint that was
 * kept or is held by a witness, and what persons' parts still open against what was committed to. From the first entry to the
 * last in constant memory; it ends at the first fault, and names it.
 *
 * An entry, tile or checkpoint that was altered is found by the public key alone. A log that was rewritten from some entry on
 * by somebody who has the signing key too is found by the checkpoints witnesses hold.
 */
import { UnreadableValueError, type Vault } from '../vault';
import {
  hourOf,
  isSequenced,
  leafOf,
  prunedAction,
  type AuditEntryDocument,
  type CheckpointDocument,
  type SequencedEntry,
  type TileDocument,
} from './entries';
import { cipherOfPart, ciphersFor } from './log';
import { Frontier, hashLength, perfectParts, perfectRoot } from './merkle';
import { NoteError, openCheckpoint, type Checkpoint, type NoteKey } from './note';
import { openPart, type PartName } from './parts';
import type { LogSource } from './source';
import { hashesIn, rootAt, rootsOf, tileId, TileMissingError, tileWidth, type TileReader } from './tiles';

/** What can be wrong. */
export type FaultKind =
  /** An entry is not what its leaf was made of. */
  | 'altered'
  /** An entry of the log is not there. */
  | 'missing'
  /** Two entries claim one position. */
  | 'duplicated'
  /** An entry stands at another position than its own. */
  | 'reordered'
  /** An entry was put into the database past the log. */
  | 'inserted'
  /** An entry's time of sequencing is before its predecessor's, or not between the checkpoints around it. */
  | 'back-dated'
  /** A tile of the tree is missing or is not what it was. */
  | 'tile'
  /** The newest state of the log is not what was signed, or older than a checkpoint. */
  | 'head'
  /** The tree is not the one a kept checkpoint was signed for. */
  | 'checkpoint'
  /** A checkpoint is not signed by a key that is known. */
  | 'signature'
  /** A personal part is not the one that was committed to. */
  | 'commitment'
  /** The log is not the one a witness saw: it was rewritten, or cut off. */
  | 'witness';

/** The first thing that is wrong. */
export interface Fault {
  /** The log. */
  readonly stream: string;
  /** The position; that of the tree's size where it is about a checkpoint. */
  readonly seq: number;
  readonly fault: FaultKind;
  readonly detail: string;
}

/** What a verification found. */
export interface Verification {
  readonly ok: boolean;
  /** Entries that were verified: all, where it is in order. */
  readonly entries: number;
  /** When the first and the last of them got their places. */
  readonly from: string | null;
  readonly to: string | null;
  /** What the log let go because it had passed its retention, where it did. */
  readonly pruned?: PrunedRange;
  readonly firstFault?: Fault;
}

/** Entries that are gone, as the log itself says. */
export interface PrunedRange {
  /** Those before this position. */
  readonly before: number;
  /** When that was said. */
  readonly at: string;
  /** The retention that was said to be in force, in milliseconds. */
  readonly retention: number;
}

/** Somebody outside who holds checkpoints. */
export interface WitnessRecord {
  readonly name: string;
  /** The notes it holds, in the order they came. */
  notes(): AsyncIterable<string>;
}

export interface VerifyOptions {
  /** The log's public keys; see `readNoteKey`. */
  readonly keys: readonly NoteKey[];
  /** Opens what is personal, as far as there are keys; without it commitments are not checked. */
  readonly vault?: Vault;
  readonly witnesses?: readonly WitnessRecord[];
  /** Is told every so often how far it is: entries verified, and how many there are. */
  readonly progress?: (entries: number, of: number) => void;
}

/** Verifies a log. Entries that came after it began are left to the next time. */
export async function verifyLog(source: LogSource, options: VerifyOptions): Promise<Verification> {
  const walk = new Walk(source, options);
  try {
    await walk.run();
    return { ok: true, ...walk.extent };
  } catch (error) {
    if (!(error instanceof FaultFound)) throw error;
    // What was let go meanwhile is missed by whoever began before.
    if (((await source.head())?.start ?? 0) > walk.claimed) return verifyLog(source, options);
    return { ok: false, ...walk.extent, firstFault: { stream: source.origin, ...error.fault } };
  }
}

class FaultFound extends Error {
  constructor(readonly fault: Omit<Fault, 'stream'>) {
    super(fault.detail);
  }
}

function fail(seq: number, fault: FaultKind, detail: string): never {
  throw new FaultFound({ seq, fault, detail });
}

/** Tiles read at once: some four thousand entries. */
const stride = 16;
/** So many times that are being read while one is looked at. */
const ahead = 2;

/** Some tiles, and those above them, with every entry that says it is in one of them. */
interface Page {
  readonly indexes: readonly number[];
  readonly tiles: readonly TileDocument[];
  readonly entries: readonly AuditEntryDocument[];
}

/** The holder of the checkpoints that were kept in the database. */
const theLog = 'the log';

/** Checkpoints of one holder, the next one looked at beforehand. */
interface Held {
  readonly holder: string;
  readonly kind: 'checkpoint' | 'witness';
  readonly notes: AsyncIterator<string>;
  next: Checkpoint | undefined;
}

class Walk {
  readonly #source: LogSource;
  readonly #options: VerifyOptions;
  readonly #held: Held[] = [];
  #frontier = new Frontier();
  #start = 0;
  #claimed = 0;
  #first: Date | undefined;
  #last: Date | undefined;
  /** The time of the last checkpoint passed: what comes after it is not older. */
  #signedAt = new Date(-8.64e15);
  #entries = 0;
  /** The size of the last checkpoint passed of those that were kept. */
  #keptSize = 0;
  /** What the log has allowed to be dropped. */
  #pruned: PrunedRange | undefined;
  /** When the last entry that was dropped got its place, at the earliest: no checkpoint before says later. */
  #droppedAt = new Date(-8.64e15);

  constructor(source: LogSource, options: VerifyOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** Where the log said that it begins, when this began. */
  get claimed(): number {
    return this.#claimed;
  }

  get extent() {
    return {
      entries: this.#entries,
      from: this.#first?.toISOString() ?? null,
      to: this.#last?.toISOString() ?? null,
      ...(this.#pruned === undefined || this.#start === 0 ? {} : { pruned: this.#pruned }),
    };
  }

  async run(): Promise<void> {
    const { witnesses = [] } = this.#options;
    const head = await this.#source.head();
    this.#claimed = head?.start ?? 0;
    const signed = head === null ? undefined : this.#signedHead(head);
    const size = signed?.size ?? 0;
    await this.#hold(theLog, 'checkpoint', this.#kept());
    for (const witness of witnesses) await this.#hold(witness.name, 'witness', witness.notes());
    await this.#begin(head?.start ?? 0, size);
    await this.#meet(this.#frontier.size);
    for await (const page of this.#pages(size)) {
      await this.#readPage(page, size);
      this.#options.progress?.(this.#entries, size - this.#start);
    }
    if (signed !== undefined && !this.#frontier.root.equals(signed.root)) {
      fail(size, 'head', 'the tree is not the one the newest checkpoint was signed for');
    }
    if (signed !== undefined && this.#last !== undefined && this.#last > signed.at) {
      fail(size, 'back-dated', 'the newest checkpoint is older than its last entry');
    }
    if (signed !== undefined && !(await this.#asTiles(size, () => rootAt(size, this.#hashes))).equals(signed.root)) {
      fail(size, 'tile', 'the higher tiles do not give the root that was signed');
    }
    this.#assertLetGo();
    // Of the hour that goes on there may be a later one by now.
    const isLater = this.#held.some(({ kind, next }) => kind === 'checkpoint' && next !== undefined);
    if (this.#last !== undefined && !isLater) this.#assertKept(size, hourOf(this.#last));
    await this.#assertNotCutOff(size);
    const stray = await this.#source.stray(this.#entries);
    if (stray !== undefined) {
      fail(stray.position ?? size, 'inserted', `the entry ${stray._id} is in no tile of the log`);
    }
  }

  /** What is gone from the beginning has to have been let go by an entry, and to have been as old as that says. */
  #assertLetGo(): void {
    if (this.#start === 0) return;
    const { before = 0, at = '', retention = 0 } = this.#pruned ?? {};
    if (this.#start > before) {
      fail(before, 'missing', `entries up to ${this.#start} are gone, and no entry says that they were let go`);
    }
    if (this.#droppedAt.getTime() > Date.parse(at) - retention) {
      const detail = `entries up to ${this.#start} were let go at ${at}, before they had passed the retention of ${retention} ms`;
      fail(this.#start - 1, 'missing', detail);
    }
  }

  #signedHead(head: CheckpointDocument): Checkpoint {
    const signed = this.#opened(head.note, head.size, 'the newest checkpoint');
    const isSame = signed.size === head.size && signed.root.equals(Buffer.from(head.root.value()));
    if (!isSame || signed.at.getTime() !== head.at.getTime()) {
      fail(Math.min(signed.size, head.size), 'head', `the newest state is not what was signed at size ${signed.size}`);
    }
    return signed;
  }

  #opened(note: string, seq: number, what: string): Checkpoint {
    try {
      return openCheckpoint(note, this.#source.origin, this.#options.keys);
    } catch (error) {
      if (error instanceof NoteError) fail(seq, 'signature', `${what}: ${error.message}`);
      throw error;
    }
  }

  /** The checkpoints that were kept, each of them what was signed, and under its own hour. */
  async *#kept(): AsyncGenerator<string> {
    for await (const { _id, size, root, at, note } of this.#source.checkpoints()) {
      const signed = this.#opened(note, this.#frontier.size, `the checkpoint of ${_id}`);
      const isSame = signed.size === size && signed.root.equals(Buffer.from(root.value()));
      if (!isSame || signed.at.getTime() !== at.getTime() || hourOf(signed.at) !== _id) {
        fail(signed.size, 'checkpoint', `the checkpoint of ${_id} is not what was signed at size ${signed.size}`);
      }
      yield note;
    }
  }

  /** Every batch leaves a checkpoint under its hour: where the hour of entries has ended, there is one of just its size. */
  #assertKept(size: number, hour: string): void {
    if (this.#keptSize !== size) fail(size, 'checkpoint', `the checkpoint of ${hour}, of ${size} entries, is gone`);
  }

  async #hold(holder: string, kind: Held['kind'], notes: AsyncIterable<string>): Promise<void> {
    const held: Held = { holder, kind, notes: notes[Symbol.asyncIterator](), next: undefined };
    this.#held.push(held);
    await this.#advance(held);
  }

  async #advance(held: Held): Promise<void> {
    const found = await held.notes.next();
    const what = `a checkpoint of ${held.holder} after ${this.#frontier.size} entries`;
    held.next = found.done === true ? undefined : this.#opened(found.value, this.#frontier.size, what);
  }

  /** Begins where the log does: what has passed its retention is known by the roots of higher tiles. */
  async #begin(start: number, size: number): Promise<void> {
    if (!Number.isInteger(start) || start < 0 || start > size || start % tileWidth !== 0) {
      fail(0, 'head', `the log cannot begin at ${start}`);
    }
    this.#start = start;
    if (start === 0) return;
    const parts = perfectParts({ start: 0, end: start });
    this.#frontier = new Frontier(start, await this.#asTiles(start, () => rootsOf(parts, this.#hashes)));
    for (const held of this.#held) {
      while (held.next !== undefined && held.next.size < start) {
        // An entry that follows it came later.
        if (held.next.at > this.#droppedAt) this.#droppedAt = held.next.at;
        await this.#advance(held);
      }
    }
  }

  readonly #hashes: TileReader = async (ids) => {
    const found = await this.#source.tiles(ids);
    return new Map(found.map(({ _id, hashes }): [string, Buffer] => [_id, Buffer.from(hashes.value())]));
  };

  async #asTiles<T>(seq: number, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof TileMissingError) fail(seq, 'tile', error.message);
      throw error;
    }
  }

  /** The tiles with their entries, in order; the next ones are on their way while one is looked at. */
  async *#pages(size: number): AsyncGenerator<Page> {
    const coming: Promise<Page>[] = [];
    let tile = this.#start / tileWidth;
    for (;;) {
      for (; coming.length <= ahead && tile * tileWidth < size; tile += stride) {
        const first = tile;
        const indexes = Array.from({ length: stride }, (_, at) => first + at).filter((at) => at * tileWidth < size);
        const page = this.#fetch(indexes);
        // Where one before it ends the verification, nobody asks any more how this one ended.
        page.catch(() => undefined);
        coming.push(page);
      }
      const next = coming.shift();
      if (next === undefined) return;
      yield await next;
    }
  }

  async #fetch(indexes: readonly number[]): Promise<Page> {
    const ids = indexes.map((index) => tileId({ level: 0, index }));
    const above = [...new Set(indexes.map((index) => Math.floor(index / tileWidth)))];
    const [tiles, entries] = await Promise.all([
      this.#source.tiles([...ids, ...above.map((index) => tileId({ level: 1, index }))]),
      this.#source.entriesIn(indexes),
    ]);
    return { indexes, tiles, entries };
  }

  async #readPage({ indexes, tiles, entries }: Page, size: number): Promise<void> {
    const ciphers = this.#options.vault === undefined ? undefined : await ciphersFor(this.#options.vault, entries);
    const byId = new Map(tiles.map((tile): [string, TileDocument] => [tile._id, tile]));
    const byTile = new Map<number, AuditEntryDocument[]>();
    for (const entry of entries) {
      const known = byTile.get(entry.tile);
      if (known === undefined) byTile.set(entry.tile, [entry]);
      else known.push(entry);
    }
    for (const index of indexes) {
      const leaves = this.#leavesOf(index, size, byId);
      const found = this.#places(byTile.get(index) ?? [], index, leaves.length);
      const ids = byId.get(tileId({ level: 0, index }))?.entries ?? [];
      for (const [at, leaf] of leaves.entries()) {
        const seq = index * tileWidth + at;
        const here = found.get(seq) ?? [];
        const [only] = here;
        // As a rule it is the one, and nothing has to be waited for to say so.
        const isPlain = here.length === 1 && only?._id === ids[at] && only !== undefined && isSequenced(only);
        const entry = isPlain ? only : await this.#entryAt(seq, ids[at], here, leaf);
        this.#assertInTime(entry, seq);
        if (!leafOf(entry).equals(leaf)) await this.#failAltered(entry, seq, size);
        if (ciphers !== undefined) this.#assertCommitted(entry, seq, ciphers);
        this.#pass(entry, leaf);
        if (this.#isHeld(seq + 1)) await this.#meet(seq + 1);
      }
    }
  }

  /** The leaves of a tile; those of a full one as the tile above knows them. */
  #leavesOf(index: number, size: number, tiles: ReadonlyMap<string, TileDocument>): Buffer[] {
    const seq = index * tileWidth;
    const width = Math.min(tileWidth, size - seq);
    const tile = tiles.get(tileId({ level: 0, index }));
    const hashes = Buffer.from(tile?.hashes.value() ?? '').subarray(0, width * hashLength);
    if (hashes.length !== width * hashLength) fail(seq, 'tile', `the tile 0/${index} is missing, or not complete`);
    const leaves = hashesIn(hashes);
    if (width < tileWidth) return leaves;
    const above = tiles.get(tileId({ level: 1, index: Math.floor(index / tileWidth) }));
    const at = (index % tileWidth) * hashLength;
    const known = Buffer.from(above?.hashes.value() ?? '').subarray(at, at + hashLength);
    if (!known.equals(perfectRoot(leaves))) fail(seq, 'tile', `the tile 0/${index} is not what the tile above it says`);
    return leaves;
  }

  /** The entries of a tile by position. */
  #places(entries: readonly AuditEntryDocument[], tile: number, width: number): Map<number, AuditEntryDocument[]> {
    const places = new Map<number, AuditEntryDocument[]>();
    const start = tile * tileWidth;
    for (const entry of entries) {
      const { position = -1 } = entry;
      // Beyond the size this began with there may be new ones; one that says it is in another tile is looked for below.
      if (position < start || position >= start + width) continue;
      const known = places.get(position);
      if (known === undefined) places.set(position, [entry]);
      else known.push(entry);
    }
    return places;
  }

  async #entryAt(
    seq: number,
    id: string | undefined,
    found: readonly AuditEntryDocument[],
    leaf: Buffer,
  ): Promise<SequencedEntry> {
    const [entry, another] = found;
    if (another !== undefined) fail(seq, 'duplicated', `${found.length} entries say they are number ${seq}`);
    if (entry?._id !== id || entry === undefined) {
      if (entry !== undefined && isSequenced(entry) && leafOf(entry).equals(leaf)) {
        fail(seq, 'tile', `the tile names another entry than ${entry._id}, which is in the tree`);
      }
      const wanted = id === undefined ? null : await this.#source.entry(id);
      if (wanted === null) fail(seq, 'missing', `the entry ${id ?? ''} is gone`);
      fail(seq, 'reordered', `the entry ${wanted._id} says it is number ${String(wanted.position)}`);
    }
    if (!isSequenced(entry)) fail(seq, 'altered', `the entry ${entry._id} has lost its place`);
    return entry;
  }

  #assertInTime({ _id, sequencedAt }: SequencedEntry, seq: number): void {
    if (this.#last !== undefined && sequencedAt < this.#last) {
      fail(seq, 'back-dated', `the entry ${_id} says ${sequencedAt.toISOString()}, its predecessor came later`);
    }
    if (sequencedAt < this.#signedAt) {
      fail(seq, 'back-dated', `the entry ${_id} says it is older than the checkpoint before it`);
    }
  }

  async #failAltered({ _id }: SequencedEntry, seq: number, size: number): Promise<never> {
    // Of the last tile, which no other vouches for, the newest checkpoint says whether it or the entry was altered.
    const head = await this.#source.head();
    const root = Buffer.from(head?.root.value() ?? '');
    const isTile = head?.size === size && !(await this.#asTiles(seq, () => rootAt(size, this.#hashes))).equals(root);
    if (isTile) fail(seq, 'tile', 'the tiles do not give the root that was signed');
    fail(seq, 'altered', `the entry ${_id} is not what the tree says`);
  }

  #assertCommitted(entry: SequencedEntry, seq: number, ciphers: Awaited<ReturnType<typeof ciphersFor>>): void {
    for (const name of ['customer', 'staff'] as const satisfies PartName[]) {
      const commitment = entry.commitments[name];
      const sealed = entry[name];
      if (commitment === undefined && sealed === undefined) continue;
      const what = `the ${name}'s part of the entry ${entry._id}`;
      if (commitment === undefined) fail(seq, 'commitment', `${what} was never committed to`);
      if (sealed === undefined) fail(seq, 'commitment', `${what} is gone`);
      const cipher = cipherOfPart(entry, name, ciphers);
      // The key is destroyed: nobody can say more of it (R20).
      if (cipher === undefined) continue;
      try {
        if (openPart(cipher, entry._id, name, sealed, commitment) === undefined) {
          fail(seq, 'commitment', `${what} is not the one that was committed to`);
        }
      } catch (error) {
        if (error instanceof UnreadableValueError) fail(seq, 'commitment', `${what}: ${error.message}`);
        throw error;
      }
    }
  }

  #pass(entry: SequencedEntry, leaf: Buffer): void {
    if (this.#last !== undefined && hourOf(this.#last) !== hourOf(entry.sequencedAt)) {
      this.#assertKept(this.#frontier.size, hourOf(this.#last));
    }
    this.#frontier.push(leaf);
    this.#entries += 1;
    this.#first ??= entry.sequencedAt;
    this.#last = entry.sequencedAt;
    const { before, retention } = entry.details;
    if (entry.action !== prunedAction || typeof before !== 'number' || typeof retention !== 'number') return;
    // The first that allows what is gone is the one that let it go.
    if ((this.#pruned?.before ?? 0) < this.#start) {
      this.#pruned = { before, at: entry.sequencedAt.toISOString(), retention };
    }
  }

  /** Whether there are checkpoints of a size, or of smaller ones that were passed by. */
  #isHeld(size: number): boolean {
    return this.#held.some(({ next }) => next !== undefined && next.size <= size);
  }

  /** Holds the tree as it is at a size against the checkpoints of that size. */
  async #meet(size: number): Promise<void> {
    for (const held of this.#held) {
      while (held.next !== undefined && held.next.size <= size) {
        const { size: claimed, root, at } = held.next;
        const computed =
          claimed === size ? this.#frontier.root : await this.#asTiles(claimed, () => rootAt(claimed, this.#hashes));
        if (!computed.equals(root)) {
          fail(claimed, held.kind, `the first ${claimed} entries are not those ${held.holder} has a checkpoint of`);
        }
        if (claimed === size && size > this.#start && this.#last !== undefined && this.#last > at) {
          fail(size - 1, 'back-dated', `${held.holder} has a checkpoint that is older than the last entry in it`);
        }
        if (held.kind === 'checkpoint') this.#keptSize = claimed;
        if (at > this.#signedAt && claimed === size && held.kind === 'checkpoint') this.#signedAt = at;
        await this.#advance(held);
      }
    }
  }

  /** What is held beyond the size this began with came later, unless the log has become shorter. */
  async #assertNotCutOff(size: number): Promise<void> {
    const beyond = this.#held.filter(({ next }) => next !== undefined);
    if (beyond.length === 0) return;
    const now = (await this.#source.head())?.size ?? 0;
    for (const { holder, kind, next } of beyond) {
      if (next === undefined || next.size <= now) continue;
      const detail = `${holder} has a checkpoint of ${next.size} entries, and the log has ${now}`;
      fail(size, kind === 'witness' ? 'witness' : 'head', detail);
    }
  }
}
