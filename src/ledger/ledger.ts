/**
 * The ledger of erasures (R23): which accounts are erased, kept where no restore of a database reaches.
 *
 * 1. Lines are only ever added. Each refers to the one before by its hash, and is signed.
 * 2. A line counts if it continues the last one that counts. Of two written at once the first does; the other bears a number
 *    that is taken, and counts for nothing. Neither does what a crash broke off: what follows it continues the line before.
 *    Everything else that does not continue the chain is a fault.
 * 3. What was appended is durable when it is answered.
 * 4. Whoever has seen part of it knows its position, and with it everything before: it cannot be exchanged or shortened
 *    unseen.
 */
import type { PublicKey, Vault } from '../vault';
import { LedgerError } from './errors';
import { hashOf, kidOf, readLine, writeLine, type Entry, type ErasureEntry, type Line } from './line';
import type { LedgerStorage, Written } from './storage';

/** Where somebody has read to. */
export interface Position {
  /** The last line read. */
  readonly seq: number;
  readonly hash: string;
  /** Where it lies, and where what follows it does. */
  readonly start: number;
  readonly end: number;
}

/** A line where it lies. */
export interface PlacedLine {
  readonly line: Line;
  readonly position: Position;
}

/** What a process has read since a line. */
interface Tail {
  /** The number of that line; -1 for all lines. */
  readonly after: number;
  last: Position | undefined;
  /** Where each certificate's line lies. */
  readonly certificates: Map<string, Position>;
}

const emptyTail: Tail = { after: Infinity, last: undefined, certificates: new Map() };
/** So many lines are remembered to add to. */
const longestTail = 10_000;

/** What is known of a ledger by whoever opens it. */
export interface Known {
  /** How far it was read before. */
  readonly positions: readonly Position[];
  /** Whether there must be one. Otherwise one is begun where there is none. */
  readonly expected: boolean;
}

/** One region's ledger. */
export interface Ledger {
  /** What messages call it. */
  readonly name: string;
  /** Makes sure that it is there, is this region's, whole, and reaches to where it was read before. @throws {LedgerError} */
  open(known: Known): Promise<void>;
  /** The lines after a position, or all, each checked. @throws {LedgerError} */
  after(position: Position | undefined): AsyncIterable<PlacedLine>;
  /**
   * Adds a line, unless there is one of the same certificate after a position. Safe to repeat.
   *
   * @returns where it lies, for good
   */
  append(entry: ErasureEntry, position: Position | undefined): Promise<Position>;
  /** Makes everything that was read durable, whoever wrote it. */
  sync(): Promise<void>;
}

/** The ledger of a vault's region. */
export function openLedger(storage: LedgerStorage, vault: Vault): Ledger {
  const { region } = vault;
  const { name } = storage;
  let appending: Promise<unknown> = Promise.resolve();

  async function* chain(from: Position | undefined, signed = true): AsyncIterable<PlacedLine> {
    const keys = new Map<string, PublicKey>();
    const learn = async () => {
      for (const key of await vault.publicKeys()) keys.set(key.kid, key);
    };
    await learn();
    let isLearned = false;
    const walk = new Walk({ name, region, keys, signed, from });
    for await (const written of storage.read(from?.start ?? 0)) {
      // The signing key may have been replaced since: what follows is signed by one that came after those read.
      if (!isLearned && !keys.has(kidOf(written.text) ?? '')) {
        await learn();
        isLearned = true;
      }
      const line = walk.take(written);
      if (line === undefined) continue;
      yield { line, position: { seq: line.seq, hash: line.hash, start: written.start, end: written.end } };
    }
    walk.end();
  }

  /** What was read here to add to: adding many lines costs no more than each of them. */
  let tail = emptyTail;

  async function append(entry: ErasureEntry, position: Position | undefined): Promise<Position> {
    const after = position?.seq ?? -1;
    if (after < tail.after || tail.certificates.size >= longestTail) {
      tail = { after, last: position, certificates: new Map() };
    }
    for (;;) {
      for await (const { line, position: place } of chain(tail.last)) {
        if (line.entry.kind !== 'beginning') tail.certificates.set(line.entry.certificate, place);
        tail.last = place;
      }
      const known = tail.certificates.get(entry.certificate);
      if (known !== undefined) {
        await storage.sync();
        return known;
      }
      const { last } = tail;
      if (last === undefined) throw new LedgerError('missing', name, 'it went while it was in use');
      const text = writeLine({ region, seq: last.seq + 1, prev: last.hash, entry }, await vault.signer());
      await storage.append(text, last.end);
    }
  }

  async function isThere(): Promise<boolean> {
    for await (const _written of storage.read(0)) return true;
    return false;
  }

  return {
    name,
    async open({ positions, expected }) {
      tail = emptyTail;
      await storage.prepare();
      if (!(await isThere())) {
        if (expected || positions.length > 0)
          throw new LedgerError('missing', name, 'the databases know that there was one');
        const entry: Entry = { kind: 'beginning', at: new Date().toISOString() };
        await storage.append(writeLine({ region, seq: 0, prev: '', entry }, await vault.signer()), 0);
        await storage.prepare();
      }
      const known = [...positions].sort((a, b) => a.seq - b.seq);
      if (storage.readAtStart) await lookFor(known, chain(undefined, false), name);
      await lookFor(known.slice(1), chain(known[0]), name, known[0]);
    },
    after: (position) => chain(position),
    append(entry, position) {
      // One after the other within a process: they would only get in each other's way.
      const appended = appending.then(() => append(entry, position));
      appending = appended.catch(() => undefined);
      return appended;
    },
    sync: () => storage.sync(),
  };
}

/** Looks through lines for positions, in their order. @param first where the lines begin, if not at the beginning */
async function lookFor(
  positions: readonly Position[],
  lines: AsyncIterable<PlacedLine>,
  name: string,
  first?: Position,
): Promise<void> {
  const awaited = [...positions];
  const meet = (found: Position) => {
    for (let next = awaited[0]; next?.seq === found.seq; next = awaited[0]) {
      if (next.hash !== found.hash) throw exchanged(name, next);
      awaited.shift();
    }
  };
  if (first !== undefined) meet(first);
  for await (const { position } of lines) meet(position);
  if (awaited[0] !== undefined) throw truncated(name, awaited[0]);
}

function truncated(name: string, { seq }: Position): LedgerError {
  return new LedgerError('truncated', name, `it ends before line ${seq}, which was read before`);
}

function exchanged(name: string, { seq }: Position): LedgerError {
  return new LedgerError('altered', name, `another line stands in the place of line ${seq}, which was read before`);
}

interface Way {
  readonly name: string;
  readonly region: string;
  readonly keys: ReadonlyMap<string, PublicKey>;
  /** Whether signatures are checked, beside the first line's. */
  readonly signed: boolean;
  /** What lies first was read before. */
  readonly from: Position | undefined;
}

/** Following the chain from one written thing to the next. */
class Walk {
  readonly #way: Way;
  /** The last line that counts. */
  #last: { readonly seq: number; readonly hash: string } | undefined;
  /** What is wrong with something that is no line, if nothing follows it that continues the chain. */
  #doubt: string | undefined;

  constructor(way: Way) {
    this.#way = way;
  }

  /** @returns the line, if it counts and was not read before */
  take({ text, whole }: Written): Line | undefined {
    const { name, region, keys, signed, from } = this.#way;
    if (this.#last === undefined && from !== undefined && hashOf(text) !== from.hash) throw exchanged(name, from);
    const line = readLine(text, signed || this.#last === undefined ? keys : undefined);
    if (line === undefined) {
      // Broken off, or altered: the next line tells, which refers to the last one that counted.
      if (whole) this.#doubt ??= `what stands ${this.#where()} is not what was written`;
      return undefined;
    }
    if (line.region !== region) throw new LedgerError('foreign', name, `line ${line.seq} is of ${line.region}`);
    if (this.#last === undefined) {
      if (from === undefined && line.seq !== 0) throw this.#fault(`it begins with line ${line.seq}`);
      this.#last = line;
      return from === undefined ? line : undefined;
    }
    // It came second, or is there twice.
    if (line.seq <= this.#last.seq) return undefined;
    if (line.prev !== this.#last.hash || line.seq !== this.#last.seq + 1) {
      throw this.#fault(this.#doubt ?? `lines are missing ${this.#where()}, or stand in another order`);
    }
    this.#last = line;
    this.#doubt = undefined;
    return line;
  }

  /** @throws {LedgerError} it ends too early, or with what is no line */
  end(): void {
    const { name, from } = this.#way;
    if (this.#last === undefined && from !== undefined) throw truncated(name, from);
    if (this.#doubt !== undefined) throw this.#fault(this.#doubt);
  }

  #where(): string {
    return this.#last === undefined ? 'at its beginning' : `after line ${this.#last.seq}`;
  }

  #fault(detail: string): LedgerError {
    return new LedgerError('altered', this.#way.name, detail);
  }
}
