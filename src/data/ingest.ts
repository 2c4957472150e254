/**
 * Taking in what a customer's requests left (R1), once each, and nothing that may not be kept (R12, R15).
 *
 * 1. What is answered as accepted is stored, on disk, with all its parts.
 * 2. A call is stored once, however often it is sent.
 * 3. No record is written once an account's erasure has begun: each transaction passes the account's gate, which the
 *    erasure closes, so that one of the two comes first.
 */
import { native } from '../database';
import type { mongo } from 'mongoose';
import type { ClientSession } from 'mongoose';
import { categories } from './map';
import { parseEvent, type ParsedEvent, type Rejection } from './litellm';
import type { AccountDocument, GateDocument, Inactivity, RecordDocument } from './documents';
import type { Store } from './store';

/** What became of a request's items; each is counted once. */
export interface IngestResult {
  /** Stored, or not to be stored by the account's own policy (R12, zero days). */
  readonly accepted: number;
  readonly duplicates: number;
  /** Left out because they happened while the account was not active (R15). */
  readonly discarded: number;
  readonly rejected: readonly Rejection[];
}

/** Items one transaction takes: a full batch of LiteLLM's. */
const perTransaction = 512;
const attempts = 5;

/** Stores a request's items. @param accountPaths where a payload names its account */
export async function ingest(
  store: Store,
  items: readonly unknown[],
  accountPaths: readonly (readonly string[])[],
): Promise<IngestResult> {
  let accepted = 0;
  let duplicates = 0;
  let discarded = 0;
  const rejected: Rejection[] = [];
  for (let start = 0; start < items.length; start += perTransaction) {
    const events: ParsedEvent[] = [];
    items.slice(start, start + perTransaction).forEach((item, offset) => {
      const event = parseEvent(item, start + offset, accountPaths);
      if ('code' in event) rejected.push(event);
      else events.push(event);
    });
    if (events.length === 0) continue;
    const result = await storeEvents(store, events);
    accepted += result.accepted;
    duplicates += result.duplicates;
    discarded += result.discarded;
    rejected.push(...result.rejected);
  }
  rejected.sort((a, b) => a.index - b.index);
  return { accepted, duplicates, discarded, rejected };
}

async function storeEvents(store: Store, events: readonly ParsedEvent[]): Promise<IngestResult> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store.transaction((session) => storeIn(store, session, events));
    } catch (error) {
      // Two requests with the same call raced: whoever comes second finds it stored when looking again.
      if (!isDuplicateKey(error) || attempt === attempts) throw error;
    }
  }
}

function isDuplicateKey(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 11000;
}

type AccountView = Pick<AccountDocument, '_id' | 'state' | 'inactive' | 'erasing' | 'lifecycle'>;

async function storeIn(store: Store, session: ClientSession, events: readonly ParsedEvent[]): Promise<IngestResult> {
  const ids = [...new Set(events.map((event) => event.account))];
  const accounts = await loadAccounts(store, session, ids);
  const rejected: Rejection[] = [];
  const kept: ParsedEvent[] = [];
  const late = new Map<string, number>();
  const refused = new Map<string, number>();
  let unstored = 0;
  for (const event of events) {
    const account = accounts.get(event.account);
    if (account === undefined) {
      rejected.push({ index: event.index, code: 'unknown-account', detail: 'there is no such account' });
    } else if (account.state === 'erased' || account.erasing !== undefined) {
      rejected.push({ index: event.index, code: 'account-erased', detail: 'the account is erased or being erased' });
      count(refused, event.account);
    } else if (isInactiveAt(account.inactive, event.at)) {
      count(late, event.account);
    } else if (account.lifecycle.overrides.activeRetentionDays === 0) {
      unstored += 1;
    } else {
      kept.push(event);
    }
  }
  const fresh = await newOf(store, session, kept);
  await passGates(store, session, fresh, late);
  await countRefused(store, session, accounts, refused);
  await insert(store, session, fresh);
  const discarded = [...late.values()].reduce((sum, n) => sum + n, 0);
  return { accepted: fresh.length + unstored, duplicates: kept.length - fresh.length, discarded, rejected };
}

function count(counts: Map<string, number>, account: string): void {
  counts.set(account, (counts.get(account) ?? 0) + 1);
}

async function loadAccounts(store: Store, session: ClientSession, ids: string[]): Promise<Map<string, AccountView>> {
  const found = await native(store.accounts)
    .find(
      { _id: { $in: ids } },
      {
        session,
        projection: { state: 1, inactive: 1, erasing: 1, 'lifecycle.overrides': 1 },
      },
    )
    .toArray();
  return new Map((found as unknown as AccountView[]).map((account) => [account._id, account]));
}

function isInactiveAt(stretches: readonly Inactivity[], at: Date): boolean {
  return stretches.some(({ from, to }) => at >= from && (to === undefined || at < to));
}

/** The events not stored yet, each call once. Every event leaves a log record, so those tell. */
async function newOf(store: Store, session: ClientSession, events: readonly ParsedEvent[]): Promise<ParsedEvent[]> {
  if (events.length === 0) return [];
  const byId = new Map<string, ParsedEvent>();
  for (const event of events) if (!byId.has(recordId(event))) byId.set(recordId(event), event);
  const stored = await native(store.records.logs)
    .find({ _id: { $in: [...byId.keys()] } }, { session, projection: { _id: 1 } })
    .toArray();
  for (const { _id } of stored) byId.delete(_id);
  return [...byId.values()];
}

function recordId(event: ParsedEvent): string {
  return `${event.account}:${event.callId}`;
}

async function passGates(
  store: Store,
  session: ClientSession,
  events: readonly ParsedEvent[],
  late: ReadonlyMap<string, number>,
): Promise<void> {
  const writing = new Set(events.map((event) => event.account));
  const writes: mongo.AnyBulkWriteOperation<GateDocument>[] = [...new Set([...writing, ...late.keys()])].map(
    (account) => ({
      updateOne: {
        filter: { _id: account, open: true },
        update: { $inc: { passed: writing.has(account) ? 1 : 0, discarded: late.get(account) ?? 0 } },
      },
    }),
  );
  if (writes.length === 0) return;
  const { matchedCount } = await native(store.gates).bulkWrite(writes, { session });
  // Closed since the accounts were read, in the same snapshot: only a database somebody altered can look like that.
  if (matchedCount !== writes.length) throw new Error('the gate of an account that is not being erased is closed');
}

/**
 * R15: what arrives for an erased account is refused and counted, on its tombstone. While its erasure runs the gate
 * counts, so that late data does not come between the erasure's batches.
 */
async function countRefused(
  store: Store,
  session: ClientSession,
  accounts: ReadonlyMap<string, AccountView>,
  refused: ReadonlyMap<string, number>,
): Promise<void> {
  for (const [account, n] of refused) {
    if (accounts.get(account)?.state === 'erased') {
      await native(store.accounts).updateOne({ _id: account }, { $inc: { lateRefused: n } }, { session });
    } else {
      await native(store.gates).updateOne({ _id: account }, { $inc: { refused: n } }, { session });
    }
  }
}

async function insert(store: Store, session: ClientSession, events: readonly ParsedEvent[]): Promise<void> {
  for (const category of categories) {
    const documents = events.flatMap((event): RecordDocument[] => {
      const body = event.bodies[category];
      if (body === undefined) return [];
      const { account, callId, at, model, user } = event;
      return [
        {
          _id: recordId(event),
          account,
          callId,
          at,
          ...(model === undefined ? {} : { model }),
          ...(user === undefined ? {} : { user }),
          body,
        },
      ];
    });
    if (documents.length > 0) await native(store.records[category]).insertMany(documents, { session });
  }
}
