/**
 * Holding the database and the key store against the ledger (R23).
 *
 * 1. A tombstone comes before its line. So whatever the ledger tells of, and the database does not, the database has forgotten:
 *    it was restored from before.
 * 2. Only what is new since the last comparison is looked at. That position lies in the database itself, and goes back with it.
 *    One that has none was never compared, or an operator took it away: then everything is looked at.
 * 3. Where the database is behind, nobody is served until what came back is erased again.
 * 4. Certificates that have no line yet get one here too: whatever crashed in between, nothing stays out of the ledger.
 */
import { native } from '../database';
import {
  reErase,
  reEraseLapsed,
  removeOrphans,
  restoreTombstone,
  type CertificateDocument,
  type OutsideStore,
  type Store,
} from '../data';
import { bySystem } from '../lifecycle';
import type { ErasureEntry } from './line';
import type { Ledger, PlacedLine, Position } from './ledger';
import { positionIn } from './positions';

export interface ComparisonOptions {
  readonly store: Store;
  readonly ledger: Ledger;
  /** Further places where something of accounts lies. */
  readonly outside?: readonly OutsideStore[];
  /** Called before anything is erased again; nobody is to be served from here on. */
  readonly behind?: (erasures: number) => void;
}

/** What a comparison came to. */
export interface Comparison {
  /** Lines looked at. */
  readonly lines: number;
  /** Accounts that lived again and were erased again. */
  readonly erasedAgain: number;
  /** Erased accounts the database did not know at all. */
  readonly tombstones: number;
  /** Keys of erased accounts that were there again. */
  readonly keys: number;
  /** Records of erased accounts that were found beside, by data set. */
  readonly orphans: Readonly<Record<string, number>>;
  /** What a law obliged to keep and was lost with the restored database, by data set. */
  readonly lost: Readonly<Record<string, number>>;
  /** Lines that were missing in the ledger, and were added. */
  readonly added: number;
}

/** An erased account's line. */
type ErasureLine = Omit<PlacedLine, 'line'> & { readonly entry: ErasureEntry };

const linesAtOnce = 1000;

/** Compares, and puts right what is behind. Safe to repeat, and for several processes at once. @throws {LedgerError} */
export async function compareWithLedger(options: ComparisonOptions): Promise<Comparison> {
  const data = await compareData(options);
  const keys = await compareKeys(options);
  const added = await addMissing(options.store, options.ledger);
  return { ...data, keys, added };
}

interface DataComparison extends Omit<Comparison, 'keys' | 'added'> {
  erasedAgain: number;
  tombstones: number;
  lines: number;
  orphans: Readonly<Record<string, number>>;
  readonly lost: Record<string, number>;
}

async function compareData(options: ComparisonOptions): Promise<DataComparison> {
  const { store, ledger, behind } = options;
  const kept = positionIn(store.connection);
  const from = await kept.read();
  const found: DataComparison = { lines: 0, erasedAgain: 0, tombstones: 0, orphans: {}, lost: {} };
  let restored = await kept.isRestored();
  for await (const page of pagesOf(ledger, from)) {
    found.lines += page.lines.length;
    const missing = await missingIn(store, page.lines);
    if (missing.length > 0 || (from === undefined && page.lines.length > 0)) {
      behind?.(missing.length);
      if (!restored) await kept.restored();
      restored = true;
    }
    await eraseMissing(options, missing, found);
    await markCertificates(store, page.lines);
    // What others have written may not have reached the disk yet, and is taken for granted from here on.
    await ledger.sync();
    await kept.write(page.last);
  }
  if (restored) {
    behind?.(0);
    found.orphans = await removeOrphans(store);
    await kept.dealtWith();
  }
  return found;
}

/** The lines of erasures after a position, some at a time, and where they end. */
async function* pagesOf(
  ledger: Ledger,
  from: Position | undefined,
): AsyncIterable<{ readonly lines: readonly ErasureLine[]; readonly last: Position }> {
  let lines: ErasureLine[] = [];
  let last: Position | undefined;
  for await (const { line, position } of ledger.after(from)) {
    const { entry } = line;
    if (entry.kind !== 'beginning') lines.push({ entry, position });
    last = position;
    if (lines.length < linesAtOnce) continue;
    yield { lines, last };
    [lines, last] = [[], undefined];
  }
  if (last !== undefined) yield { lines, last };
}

/** The lines the database knows nothing of. */
async function missingIn(store: Store, lines: readonly ErasureLine[]): Promise<ErasureLine[]> {
  const tombstones = await native(store.accounts)
    .find(
      { _id: { $in: lines.map(({ entry }) => `~${entry.subject}`) } },
      { projection: { _id: 1, certificateIds: 1 } },
    )
    .toArray();
  const known = new Map(tombstones.map(({ _id, certificateIds = [] }) => [_id, certificateIds]));
  return lines.filter(({ entry }) => known.get(`~${entry.subject}`)?.includes(entry.certificate) !== true);
}

async function eraseMissing(
  { store, outside = [] }: ComparisonOptions,
  missing: readonly ErasureLine[],
  found: DataComparison,
): Promise<void> {
  const accounts = missing.filter(({ entry }) => entry.kind === 'account');
  const living = await livingOf(store, new Set(accounts.map(({ entry }) => entry.subject)));
  for (const { entry } of missing) {
    const erasure = { ...entry, erasedAt: new Date(entry.erasedAt) };
    const account = living.get(entry.subject);
    if (entry.kind === 'retained') {
      await reEraseLapsed(store, erasure);
    } else if (account === undefined) {
      await restoreTombstone(store, erasure);
      found.tombstones += 1;
    } else {
      const { lost } = await reErase(store, account, erasure, outside);
      found.erasedAgain += 1;
      for (const [set, records] of Object.entries(lost)) found.lost[set] = (found.lost[set] ?? 0) + records;
    }
  }
}

/** Which accounts live under these pseudonyms: found by trying all there are, since nothing says it the other way. */
async function livingOf(store: Store, subjects: ReadonlySet<string>): Promise<Map<string, string>> {
  const living = new Map<string, string>();
  if (subjects.size === 0) return living;
  const accounts = native(store.accounts).find({}, { projection: { _id: 1 } });
  for await (const { _id } of accounts) {
    if (_id.startsWith('~')) continue;
    const subject = store.vault.pseudonymOf(_id);
    if (subjects.has(subject)) living.set(subject, _id);
  }
  return living;
}

/** Says with each certificate which line tells of it, where whoever wrote the line did not come to it. */
async function markCertificates(store: Store, lines: readonly ErasureLine[]): Promise<void> {
  const unmarked = await native(store.certificates)
    .find({ _id: { $in: lines.map(({ entry }) => entry.certificate) } }, { projection: { _id: 1, ledger: 1 } })
    .toArray();
  const numbers = new Map(lines.map(({ entry, position }) => [entry.certificate, position.seq]));
  for (const { _id, ledger = 0 } of unmarked) {
    const seq = numbers.get(_id);
    if (seq === undefined || ledger === seq) continue;
    await native(store.certificates).updateOne({ _id }, { $set: { ledger: seq } });
  }
}

/** Destroys the keys of erased accounts where a restored key store has them again. @returns how many there were */
async function compareKeys({ store, ledger }: ComparisonOptions): Promise<number> {
  const { keyStore } = store.vault;
  const kept = positionIn(keyStore.connection);
  const from = await kept.read();
  let destroyed = 0;
  for await (const { lines, last } of pagesOf(ledger, from)) {
    const names = new Map(lines.map(({ entry }) => [`${entry.kind}/${entry.subject}`, entry]));
    const living = await keyStore.keys
      .find({ _id: { $in: [...names.keys()] } })
      .toArray()
      .then((keys) => keys.filter(({ destroyedAt }) => destroyedAt === undefined));
    for (const { _id } of living) {
      const entry = names.get(_id);
      // The law may go on keeping something of an account that has let go of the rest.
      if (entry === undefined || (entry.kind === 'retained' && (await isKept(store, entry.subject)))) continue;
      await destroyAgain(store, entry);
      destroyed += 1;
    }
    await kept.write(last);
  }
  return destroyed;
}

async function isKept(store: Store, subject: string): Promise<boolean> {
  return (await native(store.sealed).findOne({ subject }, { projection: { _id: 1 } })) !== null;
}

async function destroyAgain(store: Store, { kind, subject, certificate }: ErasureEntry): Promise<void> {
  const account = `~${subject}`;
  const keyDestroyedAt = await store.vault.destroyKey(account, kind);
  const details = { kind, certificate, keyDestroyedAt: keyDestroyedAt.toISOString() };
  await store.transaction((session) =>
    store.audit.append(session, {
      at: keyDestroyedAt,
      actor: bySystem,
      action: 'key.re-destroyed',
      account,
      details,
    }),
  );
}

const certificatesAtOnce = 200;

/**
 * Adds a line for each certificate that has none yet: the last step of an erasure, and safe to repeat.
 *
 * @returns how many were added
 * @throws {LedgerError} the ledger cannot be relied on; the erasure is not complete
 */
export async function addMissing(store: Store, ledger: Ledger): Promise<number> {
  let added = 0;
  for (;;) {
    const due = await native(store.certificates)
      .find({ ledger: 0 }, { limit: certificatesAtOnce, projection: { kind: 1, subject: 1, issuedAt: 1 } })
      .toArray();
    if (due.length === 0) return added;
    const position = await positionIn(store.connection).read();
    const erasedAt = await erasureTimesOf(store, due);
    for (const certificate of due) {
      const { seq } = await ledger.append(entryOf(certificate, erasedAt.get(certificate._id)), position);
      await native(store.certificates).updateOne({ _id: certificate._id }, { $set: { ledger: seq } });
      added += 1;
    }
  }
}

type Due = Pick<CertificateDocument, '_id' | 'kind' | 'subject' | 'issuedAt'>;

/** When accounts were erased, as their tombstones say, by certificate. */
async function erasureTimesOf(store: Store, due: readonly Due[]): Promise<Map<string, Date>> {
  const tombstones = await native(store.accounts)
    .find({ _id: { $in: due.map(({ subject }) => `~${subject}`) } }, { projection: { erasedAt: 1, certificateIds: 1 } })
    .toArray();
  return new Map(
    tombstones.flatMap(({ erasedAt, certificateIds = [] }): [string, Date][] =>
      erasedAt === undefined || certificateIds[0] === undefined ? [] : [[certificateIds[0], erasedAt]],
    ),
  );
}

function entryOf({ _id, kind, subject, issuedAt }: Due, erasedAt = issuedAt): ErasureEntry {
  return {
    kind: kind === 'erasure' ? 'account' : 'retained',
    subject,
    erasedAt: erasedAt.toISOString(),
    certificate: _id,
  };
}
