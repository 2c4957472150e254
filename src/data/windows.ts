/**
 * Cutting an account's records into batches along the index on account and time.
 *
 * Finding the n-th record from here costs a scan of everything before it, and deleting by a list of ids costs twice
 * the deletion. Counting by day costs one pass, tells how much there is, and lets each batch be a plain range.
 */
import { native } from '../database';
import type { Model } from 'mongoose';
import type { RecordDocument } from './documents';

/** A stretch of time, from `from` up to but not including `to`, and how many records lie in it. */
export interface Bucket {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** A range of `at` to delete; both bounds absent for what is left in the end. */
export interface Window {
  readonly from?: Date;
  readonly to?: Date;
}

const units = { day: 86_400_000, minute: 60_000, second: 1000 } as const;
type Unit = keyof typeof units;
const finer: Readonly<Record<Unit, Unit | undefined>> = { day: 'minute', minute: 'second', second: undefined };

/**
 * How many records lie in each day, minute or second of a stretch; empty ones are left out.
 *
 * @param only counts those alone that this finds
 */
export async function countBy(
  unit: Unit,
  model: Model<RecordDocument>,
  account: string,
  stretch?: { readonly from: number; readonly to: number },
  only: Readonly<Record<string, unknown>> = {},
): Promise<Bucket[]> {
  const at = stretch === undefined ? {} : { at: { $gte: new Date(stretch.from), $lt: new Date(stretch.to) } };
  const groups = await native(model)
    .aggregate<{ _id: Date | null; count: number }>([
      { $match: { account, ...at, ...only } },
      { $group: { _id: { $dateTrunc: { date: '$at', unit } }, count: { $sum: 1 } } },
    ])
    .toArray();
  return groups
    .flatMap(({ _id, count }) =>
      _id === null ? [] : [{ from: _id.getTime(), to: _id.getTime() + units[unit], count }],
    )
    .sort((a, b) => a.from - b.from);
}

/**
 * Yields windows that together cover the buckets, each with about as many records as `size()` says at that moment.
 * A bucket far larger than that is counted more finely first, since records may come in bursts.
 */
export async function* windowsOf(
  buckets: readonly Bucket[],
  unit: Unit,
  size: () => number,
  count: (unit: Unit, stretch: Bucket) => Promise<Bucket[]>,
): AsyncGenerator<Window, void> {
  let pending: Bucket | undefined;
  for (const bucket of buckets) {
    if (pending !== undefined && pending.count + bucket.count > size()) {
      yield windowOf(pending);
      pending = undefined;
    }
    if (bucket.count <= 1.5 * size()) {
      pending =
        pending === undefined ? bucket : { from: pending.from, to: bucket.to, count: pending.count + bucket.count };
      continue;
    }
    const next = finer[unit];
    if (bucket.count > 4 * size() && next !== undefined) yield* windowsOf(await count(next, bucket), next, size, count);
    else yield* slices(bucket, size);
  }
  if (pending !== undefined) yield windowOf(pending);
}

function* slices({ from, to, count }: Bucket, size: () => number): Generator<Window> {
  const density = count / (to - from);
  for (let start = from; start < to;) {
    const end = Math.min(to, start + Math.max(1, Math.ceil(size() / density)));
    yield windowOf({ from: start, to: end });
    start = end;
  }
}

function windowOf({ from, to }: { from: number; to: number }): Window {
  return { from: new Date(from), to: new Date(to) };
}

// A fifth of what a batch may take (250 ms): the machine can become that much slower between two batches and the next
// one is still in bounds. Nor does size run away while everything is fast.
const aimedMilliseconds = 50;
const smallest = 100;
const largest = 5000;

/** Sizes batches by how long the last one took, so that none keeps the server busy for long. */
export class BatchPacer {
  #size = 1000;

  /** Records the next batch should take. */
  get size(): number {
    return this.#size;
  }

  /** Learns from a batch: how many records it took, and for how many milliseconds. */
  learn(records: number, milliseconds: number): void {
    // A batch that took next to nothing says nothing about speed.
    if (records < this.#size / 4 && milliseconds < aimedMilliseconds) return;
    const factor = Math.min(2, Math.max(0.25, aimedMilliseconds / Math.max(1, milliseconds)));
    this.#size = Math.round(Math.min(largest, Math.max(smallest, this.#size * factor)));
  }
}
