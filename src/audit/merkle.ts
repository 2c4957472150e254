/**
 * The Merkle tree of RFC 9162 (the hashing is RFC 6962's): leaf and node hashes, and proofs that are checked without the
 * log. Sizes and positions are whole numbers up to 2^53.
 */
import { hash } from 'node:crypto';

/** The length of a hash, in bytes. */
export const hashLength = 32;

/** Leaves from `start` up to but not including `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** The hash of a leaf: SHA-256 over a zero byte and its content. */
export function leafHash(content: string | Uint8Array): Buffer {
  const text = typeof content === 'string' ? Buffer.from(content) : content;
  const bytes = Buffer.allocUnsafe(text.length + 1);
  bytes[0] = 0x00;
  bytes.set(text, 1);
  return hash('sha256', bytes, 'buffer');
}

const nodeBytes = Buffer.alloc(1 + 2 * hashLength);

/** The hash of a node: SHA-256 over a byte of one and the hashes of what is below it. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  nodeBytes[0] = 0x01;
  nodeBytes.set(left, 1);
  nodeBytes.set(right, 1 + hashLength);
  return hash('sha256', nodeBytes, 'buffer');
}

/** The root of a tree without leaves. */
export const emptyRoot: Buffer = hash('sha256', '', 'buffer');

/** The root over some subtrees, given from left to right, each but the last larger than what follows it. */
export function rootOver(subtrees: readonly Uint8Array[]): Buffer {
  const last = subtrees.at(-1);
  if (last === undefined) return emptyRoot;
  return subtrees.slice(0, -1).reduceRight((right: Buffer, left) => nodeHash(left, right), Buffer.from(last));
}

/** The root over as many hashes as a power of two. */
export function perfectRoot(hashes: readonly Uint8Array[]): Buffer {
  let level = hashes;
  while (level.length > 1) {
    const above: Buffer[] = [];
    for (let at = 0; at + 1 < level.length; at += 2) {
      above.push(nodeHash(level[at] ?? emptyRoot, level[at + 1] ?? emptyRoot));
    }
    level = above;
  }
  return Buffer.from(level[0] ?? emptyRoot);
}

/** The perfect subtrees a range consists of, from left to right. The range is one of those the tree is split into. */
export function perfectParts({ start, end }: Range): Range[] {
  const parts: Range[] = [];
  for (let at = start; at < end;) {
    const size = largestPower(end - at);
    parts.push({ start: at, end: at + size });
    at += size;
  }
  return parts;
}

/** The largest power of two that is not more than a number. */
function largestPower(count: number): number {
  let power = 1;
  while (power * 2 <= count) power *= 2;
  return power;
}

/** Where a tree of so many leaves is split: the largest power of two below that. */
function splitOf(size: number): number {
  return largestPower(size - 1);
}

/** The subtrees whose roots prove that a leaf is in a tree, from the leaf upwards (RFC 9162, 2.1.3.1). */
export function inclusionPath(index: number, size: number): Range[] {
  if (index < 0 || index >= size) throw new RangeError(`there is no leaf ${index} in a tree of ${size}`);
  const path: Range[] = [];
  for (let range: Range = { start: 0, end: size }; range.end - range.start > 1;) {
    const { start, end } = range;
    const split = start + splitOf(end - start);
    path.push(index < split ? { start: split, end } : { start, end: split });
    range = index < split ? { start, end: split } : { start: split, end };
  }
  return path.reverse();
}

/** The subtrees whose roots prove that one tree continues another (RFC 9162, 2.1.4.1). Both have leaves. */
export function consistencyPath(from: number, to: number): Range[] {
  if (from < 1 || from > to) throw new RangeError(`a tree of ${to} does not continue one of ${from}`);
  const path: Range[] = [];
  let range: Range = { start: 0, end: to };
  while (from < range.end) {
    const { start, end } = range;
    const split = start + splitOf(end - start);
    path.push(from <= split ? { start: split, end } : { start, end: split });
    range = from <= split ? { start, end: split } : { start: split, end };
  }
  // The older tree is a subtree of the newer one as it is, and its root is known to whoever checks.
  if (range.start > 0) path.push(range);
  return path.reverse();
}

/** Whether a leaf is in the tree with this root, at this index (RFC 9162, 2.1.3.2). */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  hashes: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!isCount(index) || !isCount(size) || index >= size || !areHashes([leaf, root, ...hashes])) return false;
  let at = index;
  let last = size - 1;
  let computed: Uint8Array = leaf;
  for (const sibling of hashes) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      computed = nodeHash(sibling, computed);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, half(last)];
    } else {
      computed = nodeHash(computed, sibling);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && Buffer.compare(computed, root) === 0;
}

/** Whether the tree with the second root continues the one with the first (RFC 9162, 2.1.4.2). */
export function verifyConsistency(
  from: number,
  to: number,
  hashes: readonly Uint8Array[],
  firstRoot: Uint8Array,
  secondRoot: Uint8Array,
): boolean {
  if (!isCount(from) || !isCount(to) || from > to || !areHashes([firstRoot, secondRoot, ...hashes])) return false;
  if (from === to) return hashes.length === 0 && Buffer.compare(firstRoot, secondRoot) === 0;
  // Every tree continues the one without leaves.
  if (from === 0) return hashes.length === 0 && Buffer.compare(firstRoot, emptyRoot) === 0;
  const path = from === largestPower(from) ? [firstRoot, ...hashes] : [...hashes];
  let at = from - 1;
  let last = to - 1;
  while (at % 2 === 1) [at, last] = [half(at), half(last)];
  const [begun, ...rest] = path;
  if (begun === undefined) return false;
  let first: Uint8Array = begun;
  let second: Uint8Array = begun;
  for (const sibling of rest) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      first = nodeHash(sibling, first);
      second = nodeHash(sibling, second);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, half(last)];
    } else {
      second = nodeHash(second, sibling);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && Buffer.compare(first, firstRoot) === 0 && Buffer.compare(second, secondRoot) === 0;
}

function half(count: number): number {
  return Math.floor(count / 2);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function areHashes(values: readonly Uint8Array[]): boolean {
  return values.every((value) => value.length === hashLength);
}

/** The right edge of a growing tree: what its root is made of, one hash for each bit of its size. */
export class Frontier {
  #size: number;
  readonly #subtrees: Buffer[];

  /** @param subtrees the perfect subtrees of a tree of that size, from left to right; see {@link perfectParts} */
  constructor(size = 0, subtrees: readonly Buffer[] = []) {
    this.#size = size;
    this.#subtrees = [...subtrees];
  }

  get size(): number {
    return this.#size;
  }

  get root(): Buffer {
    return rootOver(this.#subtrees);
  }

  /** Adds a leaf by its hash. */
  push(leaf: Buffer): void {
    let subtree = leaf;
    for (let rest = this.#size; rest % 2 === 1; rest = half(rest)) {
      subtree = nodeHash(this.#subtrees.pop() ?? emptyRoot, subtree);
    }
    this.#subtrees.push(subtree);
    this.#size += 1;
  }
}
