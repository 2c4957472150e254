/** The age of records (R12), and finding the oldest of them without reading the others. */
import type { ClientSession, Model } from 'mongoose';
import { native } from '../database';
import type { AccountDocument, RecordDocument } from './documents';
import { countBy, type Bucket } from './windows';

/** 24 hours: no time zone, no daylight saving and no calendar takes part. */
export const dayLength = 86_400_000;

/** Records are older than so many days if they happened before this instant. */
export function cutoffOf(days: number, now: Date): Date {
  return new Date(now.getTime() - days * dayLength);
}

/**
 * From when on an account's customer is shown records: what has passed its age is gone for them, also in the moments before
 * the sweep, and also where a hold they do not see keeps it (R9, R12). Everything, where this is absent.
 */
export function shownFrom({ lifecycle }: Pick<AccountDocument, 'lifecycle'>, now: Date): Date | undefined {
  const days = lifecycle.overrides.activeRetentionDays;
  return days === undefined ? undefined : cutoffOf(days, now);
}

/** Earlier than any event: 1 January of the year 1. */
const beginning = -62_135_596_800_000;

/** How many of an account's records of each day happened before an instant; days without any are left out. */
export function countBefore(model: Model<RecordDocument>, account: string, cutoff: Date): Promise<Bucket[]> {
  return countUpTo('day', model, account, { from: beginning, to: cutoff.getTime() }, cutoff);
}

/** {@link countBy}, with no bucket reaching beyond an instant. */
export async function countUpTo(
  unit: Parameters<typeof countBy>[0],
  model: Model<RecordDocument>,
  account: string,
  { from, to }: { readonly from: number; readonly to: number },
  cutoff: Date,
): Promise<Bucket[]> {
  const end = cutoff.getTime();
  const buckets = await countBy(unit, model, account, { from, to: Math.min(to, end) });
  return buckets.map((bucket) => ({ ...bucket, to: Math.min(bucket.to, end) }));
}

const firstWidth = 60_000;
const growth = 8;
/** Wider than this a window takes all there is. */
const lastWidth = 365 * dayLength;

/**
 * When the oldest record of an account happened, where hardly any is older than `from`; looked for in windows that grow
 * from there on, since a server may read all of a range to find its first.
 *
 * @param before looks no further than this
 */
export async function oldestFrom(
  model: Model<RecordDocument>,
  account: string,
  from: Date,
  { before, session }: { readonly before?: Date; readonly session?: ClientSession } = {},
): Promise<Date | undefined> {
  let start: Date | undefined;
  for (let width = firstWidth; ; width *= growth) {
    const end = width > lastWidth ? undefined : new Date(from.getTime() + width);
    const last = end === undefined || (before !== undefined && end >= before);
    const found = await firstIn(model, account, start, last ? before : end, session);
    if (found !== undefined || last) return found;
    start = end;
  }
}

/** Few enough to be read for the sake of the first. */
const few = 1000;

/** When the first of an account's records in these days happened, exactly. @param days from {@link countBefore} */
export async function oldestIn(
  model: Model<RecordDocument>,
  account: string,
  days: readonly Bucket[],
): Promise<Date | undefined> {
  let first = days[0];
  for (const unit of ['minute', 'second'] as const) {
    if (first === undefined || first.count <= few) break;
    first = (await countUpTo(unit, model, account, first, new Date(first.to)))[0];
  }
  return first && firstIn(model, account, new Date(first.from), new Date(first.to));
}

async function firstIn(
  model: Model<RecordDocument>,
  account: string,
  from: Date | undefined,
  to: Date | undefined,
  session?: ClientSession,
): Promise<Date | undefined> {
  const at = { ...(from === undefined ? {} : { $gte: from }), ...(to === undefined ? {} : { $lt: to }) };
  const filter = { account, ...(Object.keys(at).length === 0 ? {} : { at }) };
  const found = await native(model)
    .find(filter, { projection: { _id: 0, at: 1 }, ...(session === undefined ? {} : { session }) })
    .sort({ account: 1, at: 1 })
    .limit(1)
    .next();
  return found?.at;
}
