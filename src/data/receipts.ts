/** Knowing a call again: by its receipt for a week, whatever was purged in between, and by its record while that is stored. */
import { hash } from 'node:crypto';
import type { ClientSession } from 'mongoose';
import { native } from '../database';
import type { ReceiptDocument } from './documents';
import type { ParsedEvent } from './litellm';
import type { Store } from './store';

/** Hexadecimal digits of a fingerprint: 128 bits, so that no two calls share one by chance. */
const digits = 32;

type Named = Pick<ParsedEvent, 'account' | 'callId'>;

/** What the records of a call are stored under, in each category. */
export function recordId({ account, callId }: Named): string {
  return `${account}:${callId}`;
}

/** What the receipt of a call is stored under. */
function receiptId({ account, callId }: Named): string {
  return `${account}:${hash('sha256', callId).slice(0, digits)}`;
}

/** The receipts of calls. @param at the time they were taken in, by the clock their expiry goes by */
export function receiptsFor(events: readonly ParsedEvent[], at: Date): ReceiptDocument[] {
  return events.map((event) => ({ _id: receiptId(event), at }));
}

/** Those of these calls that were taken in before. Every call leaves a log record, so those tell once receipts have gone. */
export async function takenBefore(
  store: Store,
  session: ClientSession,
  events: readonly ParsedEvent[],
): Promise<Set<ParsedEvent>> {
  if (events.length === 0) return new Set();
  const options = { session, projection: { _id: 1 } };
  const receipts = await native(store.receipts)
    .find({ _id: { $in: [...new Set(events.map(receiptId))] } }, options)
    .toArray();
  const records = await native(store.records.logs)
    .find({ _id: { $in: [...new Set(events.map(recordId))] } }, options)
    .toArray();
  const known = new Set([...receipts, ...records].map(({ _id }) => _id));
  return new Set(events.filter((event) => known.has(receiptId(event)) || known.has(recordId(event))));
}
