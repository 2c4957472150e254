/**
 * Taking in what a customer's requests left (R1), once each, and nothing that may not be kept (R12, R15).
 *
 * 1. What is answered as accepted is stored, on disk, with all its parts.
 * 2. A call counts once, however often it is sent within a week, whatever was purged in between: its records, its receipt
 *    and its share of the daily totals are one transaction.
 * 3. What may not be kept is never stored, not for a moment; its receipt and its share of the totals are (R12).
 * 4. Nothing is written once an account's erasure has begun: each transaction passes the account's gate, which the
 *    erasure closes, so that one of the two comes first.
 * 5. What a call says, and of whom, is encrypted before it leaves this process (R21).
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ClientSession } from 'mongoose';
import { native } from '../database';
import type { AccountDocument, Inactivity, RecordDocument } from './documents';
import { clocksAt, passesAgeAt, receiptTime, type Clocks } from './event-time';
import { parseEvent, type ParsedEvent, type Rejection } from './litellm';
import { categories, type Category } from './map';
import { tombstoneId } from './names';
import { passGates, type Arrival } from './open-gate';
import { receiptsFor, recordId, takenBefore } from './receipts';
import { protectContent, userIndexOf } from './record-content';
import type { Store } from './store';
import { additionsOf } from './usage';
import { KeyDestroyedError, KeyMissingError, type Cipher, type Vault } from '../vault';

/** What became of a request's items; each is counted once. */
export interface IngestResult {
  /** Stored, or counted in the totals alone where the account's own policy keeps no record of it (R12). */
  readonly accepted: number;
  readonly duplicates: number;
  /** Left out because they happened while the account was not active (R15). */
  readonly discarded: number;
  readonly rejected: readonly Rejection[];
}

/** Items one transaction takes: a full batch of LiteLLM's. */
const perTransaction = 512;
/**
 * Bytes of bodies one transaction takes, or one item. The embedded database never answers a transaction of much more than
 * 11 MiB, and no other write after it.
 */
const bytesPerTransaction = 8 * 1024 * 1024;
const attempts = 20;

/**
 * Stores a request's items.
 *
 * @param accountPaths where a payload names its account
 * @param now the caller's own clock; see `event-time.ts`
 */
export async function ingest(
  store: Store,
  items: readonly unknown[],
  accountPaths: readonly (readonly string[])[],
  now: Date = new Date(),
): Promise<IngestResult> {
  const clocks = clocksAt(store, now);
  let accepted = 0;
  let duplicates = 0;
  let discarded = 0;
  const rejected: Rejection[] = [];
  for (let start = 0; start < items.length; start += perTransaction) {
    const events: ParsedEvent[] = [];
    for (const [offset, item] of items.slice(start, start + perTransaction).entries()) {
      const event = parseEvent(item, start + offset, accountPaths);
      if ('code' in event) rejected.push(event);
      else if (await clocks.isAhead(event.at)) rejected.push(aheadOfTime(event));
      else events.push(event);
    }
    for (const some of inTransactions(events)) {
      const result = await storeEvents(store, some, clocks);
      accepted += result.accepted;
      duplicates += result.duplicates;
      discarded += result.discarded;
      rejected.push(...result.rejected);
    }
  }
  rejected.sort((a, b) => a.index - b.index);
  return { accepted, duplicates, discarded, rejected };
}

/** Splits events, in their order, so that no transaction grows too large. */
function inTransactions(events: readonly ParsedEvent[]): ParsedEvent[][] {
  const batches: ParsedEvent[][] = [];
  let bytes = Infinity;
  for (const event of events) {
    if (bytes + event.bytes > bytesPerTransaction) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)?.push(event);
    bytes += event.bytes;
  }
  return batches;
}

function aheadOfTime({ index }: ParsedEvent): Rejection {
  return { index, code: 'validation', detail: 'startTime is more than an hour in the future' };
}

async function storeEvents(store: Store, events: readonly ParsedEvent[], clocks: Clocks): Promise<IngestResult> {
  const at = await receiptTime(store);
  const ciphers = await store.vault.ciphersOf([...new Set(events.map(({ account }) => account))]);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store.transaction((session) =>
        storeIn(store, session, events, { clocks, at, ciphers, lookUp: attempt > 1 }),
      );
    } catch (error) {
      // A call that is known, or that another request stored meanwhile: it is found when looking for it.
      if (!isDuplicateKey(error) || attempt === attempts) throw error;
    }
  }
}

function isDuplicateKey(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 11000;
}

/** By account. */
type Ciphers = ReadonlyMap<string, Cipher>;

/** What events are judged by. */
interface Judgement {
  readonly clocks: Clocks;
  /** When they were received, by the clock the receipts' expiry goes by. */
  readonly at: Date;
  readonly ciphers: Ciphers;
  /**
   * Look for every call before it is stored. Hardly any comes twice, so the first try leaves that to the ids: the
   * database refuses to store one twice.
   */
  readonly lookUp: boolean;
}

async function storeIn(
  store: Store,
  session: ClientSession,
  events: readonly ParsedEvent[],
  { clocks, at, ciphers, lookUp }: Judgement,
): Promise<IngestResult> {
  const accounts = await loadAccounts(store, session, [...new Set(events.map((event) => event.account))]);
  const keyless = await keylessOf(store.vault, accounts, ciphers);
  const { open, refused, rejected } = admit(events, accounts, keyless, store);
  const doubtful = lookUp ? open : open.filter((admitted) => !isSurelyKept(admitted));
  const known = await takenBefore(
    store,
    session,
    doubtful.map(({ event }) => event),
  );
  const intake = await sort(open, known, clocks);
  const fresh = [...intake.kept, ...intake.counted];
  await passGates(store, session, arrivalsOf(intake, accounts));
  await countRefused(store, session, accounts, refused, at);
  if (fresh.length > 0) {
    await native(store.receipts).insertMany(receiptsFor(fresh, at), { session });
    await native(store.totals).bulkWrite(additionsOf(fresh), { session });
  }
  await insertRecords(store, session, intake.kept, ciphers);
  const discarded = [...intake.late.values()].reduce((sum, n) => sum + n, 0);
  return { accepted: fresh.length, duplicates: open.length - fresh.length - discarded, discarded, rejected };
}

type AccountView = Pick<
  AccountDocument,
  '_id' | 'region' | 'state' | 'inactive' | 'erasing' | 'lifecycle' | 'certificateIds'
>;

/** By the ids that events name them by; an erased one is found by its pseudonym. */
async function loadAccounts(store: Store, session: ClientSession, ids: string[]): Promise<Map<string, AccountView>> {
  const found = await viewsOf(store, session, ids);
  const erased = ids.filter((id) => !found.has(id));
  if (erased.length === 0) return found;
  const tombstones = await viewsOf(
    store,
    session,
    erased.map((id) => tombstoneId(store, id)),
  );
  for (const id of erased) {
    const tombstone = tombstones.get(tombstoneId(store, id));
    if (tombstone !== undefined) found.set(id, tombstone);
  }
  return found;
}

async function viewsOf(store: Store, session: ClientSession, ids: string[]): Promise<Map<string, AccountView>> {
  const projection = { region: 1, state: 1, inactive: 1, erasing: 1, 'lifecycle.overrides': 1, certificateIds: 1 };
  const found = await native(store.accounts)
    .find<AccountView>({ _id: { $in: ids } }, { session, projection })
    .toArray();
  return new Map(found.map((account) => [account._id, account]));
}

/** An event of an account that takes any. */
interface Admitted {
  readonly event: ParsedEvent;
  readonly account: AccountView;
}

/** Why nothing can be stored for an account whose own document has nothing against it. */
type Keyless = 'unknown-account' | 'account-erased';

/**
 * What there is of an account without its key is left of a creation that failed; with its key destroyed, it is erased,
 * whatever a restored database says (R23).
 */
async function keylessOf(
  vault: Vault,
  accounts: ReadonlyMap<string, AccountView>,
  ciphers: Ciphers,
): Promise<Map<string, Keyless>> {
  const keyless = new Map<string, Keyless>();
  for (const [account, { state }] of accounts) {
    if (state === 'erased' || ciphers.has(account)) continue;
    const missing = await vault.cipherOf(account).then(() => undefined, keylessBy);
    // It was made a moment ago.
    keyless.set(account, missing ?? 'unknown-account');
  }
  return keyless;
}

function keylessBy(error: unknown): Keyless {
  if (error instanceof KeyDestroyedError) return 'account-erased';
  if (error instanceof KeyMissingError) return 'unknown-account';
  throw error;
}

/** Turns away what belongs to no account, to another region's (R25), or to one that is erased or being erased (R15). */
function admit(
  events: readonly ParsedEvent[],
  accounts: ReadonlyMap<string, AccountView>,
  keyless: ReadonlyMap<string, Keyless>,
  { region }: Store,
) {
  const open: Admitted[] = [];
  const refused = new Map<string, number>();
  const rejected: Rejection[] = [];
  for (const event of events) {
    const { index } = event;
    const account = accounts.get(event.account);
    const foreign = account !== undefined && account.region !== region;
    const code = account === undefined ? 'unknown-account' : refusalOf(account, keyless);
    if (foreign) {
      rejected.push({ index, code: 'wrong-region', detail: 'the account belongs to another region' });
    } else if (account !== undefined && code === undefined) {
      open.push({ event, account });
    } else if (code === 'account-erased') {
      rejected.push({ index, code, detail: 'the account is erased or being erased' });
      count(refused, event.account);
    } else {
      rejected.push({ index, code: 'unknown-account', detail: 'there is no such account' });
    }
  }
  return { open, refused, rejected };
}

function refusalOf({ _id, state, erasing }: AccountView, keyless: ReadonlyMap<string, Keyless>): Keyless | undefined {
  return state === 'erased' || erasing !== undefined ? 'account-erased' : keyless.get(_id);
}

/** What is done with events that are not turned away. */
interface Intake {
  /** Stored, and counted in the totals. */
  readonly kept: readonly ParsedEvent[];
  /** Counted in the totals alone (R12). */
  readonly counted: readonly ParsedEvent[];
  /** How many happened while their account was not active, by account (R15). */
  readonly late: ReadonlyMap<string, number>;
}

async function sort(admitted: readonly Admitted[], known: ReadonlySet<ParsedEvent>, clocks: Clocks): Promise<Intake> {
  const kept: ParsedEvent[] = [];
  const counted: ParsedEvent[] = [];
  const late = new Map<string, number>();
  const seen = new Set<string>();
  for (const { event, account } of admitted) {
    if (known.has(event) || seen.has(recordId(event))) continue;
    if (isInactiveAt(account.inactive, event.at)) {
      count(late, event.account);
      continue;
    }
    seen.add(recordId(event));
    ((await isKept(event, account, clocks)) ? kept : counted).push(event);
  }
  return { kept, counted, late };
}

/** Its log record is stored for good, so that its id tells a repeat whatever became of the receipt. */
function isSurelyKept({ event, account }: Admitted): boolean {
  return account.lifecycle.overrides.activeRetentionDays === undefined && !isInactiveAt(account.inactive, event.at);
}

function count(counts: Map<string, number>, account: string): void {
  counts.set(account, (counts.get(account) ?? 0) + 1);
}

function isInactiveAt(stretches: readonly Inactivity[], at: Date): boolean {
  return stretches.some(({ from, to }) => at >= from && (to === undefined || at < to));
}

/** R12: with zero days set no record is kept, nor is one that has passed its age before it came. */
async function isKept({ at }: ParsedEvent, account: AccountView, clocks: Clocks): Promise<boolean> {
  const days = account.lifecycle.overrides.activeRetentionDays;
  return days === undefined || (days > 0 && !(await clocks.isAged(at, days)));
}

function arrivalsOf({ kept, counted, late }: Intake, accounts: ReadonlyMap<string, AccountView>): Map<string, Arrival> {
  const arrivals = new Map<string, Arrival>();
  for (const [account, discarded] of late) arrivals.set(account, { stores: false, discarded });
  for (const { account } of counted) arrivals.set(account, { ...arrivals.get(account), stores: true });
  for (const { account, at } of kept) {
    const before = arrivals.get(account);
    const days = accounts.get(account)?.lifecycle.overrides.activeRetentionDays;
    const purgeAt = days === undefined ? undefined : earlier(before?.purgeAt, passesAgeAt(at, days));
    arrivals.set(account, { ...before, stores: true, ...(purgeAt === undefined ? {} : { purgeAt }) });
  }
  return arrivals;
}

function earlier(a: Date | undefined, b: Date): Date {
  return a !== undefined && a < b ? a : b;
}

/**
 * R15: what arrives for an erased account is refused and counted, on its tombstone, and appended to its certificate's
 * record. While its erasure runs the gate counts, so that late data does not come between the erasure's batches.
 */
async function countRefused(
  store: Store,
  session: ClientSession,
  accounts: ReadonlyMap<string, AccountView>,
  refused: ReadonlyMap<string, number>,
  at: Date,
): Promise<void> {
  for (const [account, n] of refused) {
    const found = accounts.get(account);
    if (found?.state !== 'erased') {
      await native(store.gates).updateOne({ _id: account }, { $inc: { refused: n } }, { session });
      continue;
    }
    await native(store.accounts).updateOne({ _id: found._id }, { $inc: { lateRefused: n } }, { session });
    const [certificate] = found.certificateIds ?? [];
    if (certificate === undefined) continue;
    await native(store.certificates).updateOne(
      { _id: certificate },
      { $inc: { 'late.refused': n }, $max: { 'late.lastAt': at } },
      { session },
    );
  }
}

/** Stores records, category by category: while the server takes one, the next is encrypted. */
async function insertRecords(
  store: Store,
  session: ClientSession,
  events: readonly ParsedEvent[],
  ciphers: Ciphers,
): Promise<void> {
  const known = addressed(events, ciphers);
  let storing: Promise<unknown> = Promise.resolve();
  try {
    for (const category of categories) {
      const documents = await recordsOf(known, category);
      await storing;
      if (documents.length === 0) continue;
      storing = native(store.records[category]).insertMany(documents, { session });
      // It is waited for when the next are ready.
      storing.catch(() => undefined);
    }
  } finally {
    await storing;
  }
}

/** Records encrypted in one go, before others get their turn: a millisecond or so. */
const atOnce = 64;

async function recordsOf(events: readonly Addressed[], category: Category): Promise<RecordDocument[]> {
  const documents: RecordDocument[] = [];
  for (const [place, { event, cipher, userIndex }] of events.entries()) {
    if (place % atOnce === 0) await nextTurn();
    const { account, callId, at, model } = event;
    const body = event.bodies[category];
    if (body === undefined) continue;
    const _id = recordId(event);
    documents.push({
      _id,
      account,
      callId,
      at,
      ...(model === undefined ? {} : { model }),
      ...(userIndex === undefined ? {} : { userIndex }),
      body: protectContent(cipher, category, _id, { ...event, body }),
    });
  }
  return documents;
}

/** An event with what it is encrypted by, and how its person is found again. */
interface Addressed {
  readonly event: ParsedEvent;
  readonly cipher: Cipher;
  readonly userIndex: string | undefined;
}

/** Most calls of a batch come from few people. */
function addressed(events: readonly ParsedEvent[], ciphers: Ciphers): Addressed[] {
  const indexes = new Map<string, string>();
  return events.map((event) => {
    const { account, user } = event;
    const cipher = ciphers.get(account);
    if (cipher === undefined) throw new Error(`the key of account ${account} was not looked for`);
    if (user === undefined) return { event, cipher, userIndex: undefined };
    const person = `${account}:${user}`;
    const userIndex = indexes.get(person) ?? userIndexOf(cipher, user);
    indexes.set(person, userIndex);
    return { event, cipher, userIndex };
  });
}
