/** Daily usage totals (R12): what an account's calls came to, by UTC day and model. They outlast the records. */
import type { mongo } from 'mongoose';
import { native } from '../database';
import { nano, type Consumption } from './consumption';
import type { UsageTotalDocument } from './documents';
import type { ParsedEvent } from './litellm';
import type { Store } from './store';

/** Where a call names no model. */
const unnamed = 'unknown';

/** The UTC day an instant lies in, as `2026-11-22`. */
export function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

/** What adds these calls to the totals: one write for each account, day and model. Each call must be new. */
export function additionsOf(events: readonly ParsedEvent[]): mongo.AnyBulkWriteOperation<UsageTotalDocument>[] {
  const totals = new Map<string, UsageTotalDocument>();
  for (const { account, at, model = unnamed, consumption } of events) {
    const day = dayOf(at);
    const _id = `${account}:${day}:${model}`;
    const before = totals.get(_id);
    totals.set(_id, {
      _id,
      account,
      day,
      model,
      requests: (before?.requests ?? 0) + 1,
      promptTokens: (before?.promptTokens ?? 0) + consumption.promptTokens,
      completionTokens: (before?.completionTokens ?? 0) + consumption.completionTokens,
      costNano: (before?.costNano ?? 0) + consumption.costNano,
    });
  }
  return [...totals.values()].map(({ _id, account, day, model, ...sums }) => ({
    updateOne: { filter: { _id }, update: { $inc: sums, $setOnInsert: { account, day, model } }, upsert: true },
  }));
}

export interface UsageQuery {
  /** First and last day, each included. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly by: 'day' | 'model';
}

/** Usage of one day, or of one model. */
export interface Usage {
  readonly day?: string;
  readonly model?: string;
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** In the gateway's currency. */
  readonly cost: number;
}

function dayAfter(day: string): string {
  return dayOf(new Date(Date.parse(day) + 24 * 60 * 60 * 1000));
}

/** An account's usage, by day or by model, in their order. Added up by the database. */
export async function readUsage(store: Store, account: string, { from, to, by }: UsageQuery): Promise<Usage[]> {
  // Not `$lte`: the embedded database finds nothing between two bounds that are the same.
  const day = { ...(from === undefined ? {} : { $gte: from }), ...(to === undefined ? {} : { $lt: dayAfter(to) }) };
  const found = await native(store.totals)
    .aggregate<Consumption & { readonly _id: string; readonly requests: number }>([
      { $match: { account, ...(Object.keys(day).length === 0 ? {} : { day }) } },
      {
        $group: {
          _id: `$${by}`,
          requests: { $sum: '$requests' },
          promptTokens: { $sum: '$promptTokens' },
          completionTokens: { $sum: '$completionTokens' },
          costNano: { $sum: '$costNano' },
        },
      },
      { $sort: { _id: 1 } },
    ])
    .toArray();
  return found.map(({ _id, requests, promptTokens, completionTokens, costNano }) => ({
    ...(by === 'day' ? { day: _id } : { model: _id }),
    requests,
    promptTokens,
    completionTokens,
    cost: costNano / nano,
  }));
}
