/**
 * Writing an archive, part by part.
 *
 * 1. A part is recorded in the moment it is stored, under the condition that the export is still under way: what was
 *    withdrawn grows no further, and a crash costs the part that was being made.
 * 2. Any process may go on where another one stopped: the record says up to where the parts reach.
 * 3. It is ready only once every stored byte was read back, opened, and found to be what was written.
 * 4. What was stored encrypted is encrypted again before it is stored: in between it is in memory alone (R21).
 */
import { createHash, randomBytes } from 'node:crypto';
import { native } from '../database';
import { dataSetNamed, findAccount, openProfile, type DataSet, type Store } from '../data';
import type { Cipher } from '../vault';
import { registerExports, type ExportDocument, type ExportFile, type StoredPart } from './documents';
import { ExportEndedError, ExportGoneError, ExportStuckError, ExportSupersededError } from './errors';
import { archiveEnd, contentOf, fileSegments, lengthOf, manifestName, manifestSet, type Segment } from './layout';
import { categoryLines, plainLines } from './lines';
import { manifestOf } from './manifest';
import { Part } from './part';
import { openPart, sealPart } from './sealed-part';
import { countDays, documentsOf, positionOf } from './source';
import { keyOf, type ArchiveStorage } from './storage';

/** In bytes: small ones fill a part to its size, one of these could double it. */
const largeRecord = 1024 * 1024;

/** How long exports last, and how long they are tried. */
export interface ExportLimits {
  /** How long a finished archive can be fetched, in milliseconds. */
  readonly lifetime: number;
  /** How long to go on where nothing can be stored, in milliseconds. */
  readonly patience: number;
}

const day = 24 * 60 * 60 * 1000;
/** Seven days to fetch it; an hour without getting anywhere before it is given up. */
export const standardLimits: ExportLimits = { lifetime: 7 * day, patience: 60 * 60 * 1000 };

/** What writing tells and asks along the way. */
export interface WriteHooks {
  readonly progress?: (progress: { readonly done: number; readonly total: number }) => void;
  /** Throws to stop. */
  readonly checkpoint?: () => void;
}

/** A finished archive. */
export interface Finished {
  readonly expiresAt: Date;
}

/**
 * Writes an export's archive, from where it was left. Safe to repeat; one that is ready is left alone.
 *
 * @throws {ExportGoneError} its account was erased
 * @throws {ExportEndedError} it was withdrawn, or has ended otherwise
 * @throws {ExportStuckError} for too long nothing could be stored
 * @throws {UnreadableValueError} a record was altered, or put there past us: an archive without it would not say so
 */
export async function writeExport(
  store: Store,
  storage: ArchiveStorage,
  exportId: string,
  limits: ExportLimits = standardLimits,
  hooks: WriteHooks = {},
): Promise<Finished> {
  try {
    return await new Writing(store, storage, exportId, limits, hooks).run();
  } catch (error) {
    hooks.checkpoint?.();
    if (error instanceof ExportGoneError || error instanceof ExportEndedError) throw error;
    const { progress } = await readExport(store, exportId);
    const waited = (await store.databaseTime()).getTime() - progress.at.getTime();
    if (waited > limits.patience) throw new ExportStuckError('nothing could be stored for too long', { cause: error });
    throw error;
  }
}

/** An export as recorded. @throws {ExportGoneError} */
async function readExport(store: Store, exportId: string): Promise<ExportDocument> {
  const found = await native(registerExports(store.connection).exports).findOne<ExportDocument>({ _id: exportId });
  if (found === null) throw new ExportGoneError(`there is no export ${exportId}`);
  return found;
}

/** One attempt. */
class Writing {
  readonly #exports;
  /** The part that is being stored while the next one is made. */
  #storing: Promise<void> = Promise.resolve();
  #place = 0;
  #done = 0;
  #total = 0;

  constructor(
    private readonly store: Store,
    private readonly storage: ArchiveStorage,
    private readonly exportId: string,
    private readonly limits: ExportLimits,
    private readonly hooks: WriteHooks,
  ) {
    this.#exports = native(registerExports(store.connection).exports);
  }

  async run(): Promise<Finished> {
    const found = await readExport(this.store, this.exportId);
    if (found.status === 'ready' && found.expiresAt !== undefined) return { expiresAt: found.expiresAt };
    if (found.status !== 'running') throw new ExportEndedError(`export ${this.exportId} is ${found.status}`);
    if (found.storage !== this.storage.kind) {
      throw new Error(
        `export ${this.exportId} was begun in ${found.storage}, and ${this.storage.kind} is configured now`,
      );
    }
    this.#place = found.parts.length;
    this.#done = found.progress.done;
    this.#total = found.progress.total ?? (await this.#count(found));
    try {
      for (let set = found.cursor.set; set < found.datasets.length; set += 1) {
        const after = set === found.cursor.set ? found.cursor.after : undefined;
        await this.#writeSet(found, set, after);
      }
      await this.#storing;
    } finally {
      await this.#storing.catch(() => undefined);
    }
    return this.#finish();
  }

  async #count({ account, datasets, from, to }: ExportDocument): Promise<number> {
    let total = 0;
    for (const name of datasets) {
      const set = dataSetNamed(name);
      if (set.category === undefined) continue;
      const range = { to, ...(from === undefined ? {} : { from }) };
      total += (await countDays(this.store, account, set, range)).reduce((sum, { count }) => sum + count, 0);
    }
    const at = await this.store.databaseTime();
    await this.#exports.updateOne(
      { _id: this.exportId, status: 'running' },
      { $set: { 'progress.total': total, 'progress.at': at, stored: true } },
    );
    return total;
  }

  async #writeSet(
    { account, datasets, from, to }: ExportDocument,
    index: number,
    after: ExportDocument['cursor']['after'],
  ) {
    const set = dataSetNamed(datasets[index] ?? '');
    const range = { to, ...(from === undefined ? {} : { from }) };
    const lines = set.category === undefined ? plainLines(set) : categoryLines(set.category);
    let part: Part | undefined;
    let records = 0;
    let last: Buffer | undefined;
    const store = async () => {
      const rest = lines.rest();
      if (part === undefined || last === undefined) return;
      if (rest !== undefined) await part.add(rest);
      const pieces = await part.finish();
      const stretch = { set: index, after: positionOf(set, last) };
      await this.#storing;
      this.#storing = this.#store(account, set, pieces, records, stretch);
      // It is waited for when the next part is ready.
      this.#storing.catch(() => undefined);
      [part, records, last] = [undefined, 0, undefined];
    };
    try {
      for await (const batch of documentsOf(this.store, account, set, range, after)) {
        this.hooks.checkpoint?.();
        const cipher = await this.store.vault.cipherOf(account);
        for (const raw of batch) {
          // A large record is a part of its own: a part is one transaction, and no server takes them of any size.
          if (raw.length > largeRecord && records > 0) await store();
          const full = lines.add(raw, cipher);
          if (full !== undefined) {
            part ??= new Part();
            await part.add(full);
          }
          records += 1;
          last = raw;
          part ??= new Part();
          if (raw.length > largeRecord || (full !== undefined && part.isFull)) await store();
        }
        part ??= new Part();
      }
      await store();
    } finally {
      part?.discard();
    }
  }

  async #store(
    account: string,
    set: DataSet,
    pieces: readonly Buffer[],
    records: number,
    cursor: ExportDocument['cursor'],
  ): Promise<void> {
    const part = partOf(account, this.exportId, this.#place, set.name, pieces, records);
    const sealed = sealPart(await this.store.vault.cipherOf(account), part, pieces);
    const counted = set.category === undefined ? 0 : records;
    const at = await this.store.databaseTime();
    await this.storage
      .put(part.key, sealed, async (session) => {
        const { matchedCount } = await this.#exports.updateOne(
          { _id: this.exportId, status: 'running', parts: { $size: this.#place } },
          {
            $push: { parts: part },
            $set: { cursor, 'progress.at': at },
            $inc: { 'progress.done': counted, records: counted, bytes: part.bytes },
          },
          { session },
        );
        if (matchedCount === 0)
          throw new ExportSupersededError(`export ${this.exportId} is not where this attempt left it`);
      })
      .catch(async (error: unknown) => {
        // Somebody else's attempt, or the end of the export: the record tells.
        if (error instanceof ExportSupersededError) await this.#assertRunning();
        throw error;
      });
    this.#place += 1;
    this.#done += counted;
    this.hooks.progress?.({ done: this.#done, total: this.#total });
  }

  async #assertRunning(): Promise<void> {
    const { status } = await readExport(this.store, this.exportId);
    if (status !== 'running') throw new ExportEndedError(`export ${this.exportId} is ${status}`);
  }

  /** Reads all of it back, describes it, and says that it is ready. */
  async #finish(): Promise<Finished> {
    const found = await readExport(this.store, this.exportId);
    const account = await findAccount(this.store, found.account);
    if (account === null) throw new ExportGoneError(`there is no account ${found.account}`);
    const cipher = await this.store.vault.cipherOf(found.account);
    const archive = createHash('sha256');
    const files: ExportFile[] = [];
    let bytes = 0;
    for (const file of filesOf(found)) {
      const content = contentOf(found.parts, file.dataset);
      const own = createHash('sha256');
      for (const segment of fileSegments(file, found.at, content)) {
        bytes += lengthOf(segment);
        for await (const piece of this.#bytesOf(segment, cipher)) {
          archive.update(piece);
          if (content.includes(segment)) own.update(piece);
        }
      }
      files.push({ ...file, sha256: own.digest('hex') });
    }
    const manifest = Buffer.from(manifestOf(found, await openProfile(this.store, account), files));
    const part = partOf(found.account, this.exportId, found.parts.length, manifestSet, [manifest], 0);
    const described = {
      name: manifestName,
      dataset: manifestSet,
      records: 0,
      bytes: manifest.length,
      sha256: createHash('sha256').update(manifest).digest('hex'),
    };
    for (const segment of [...fileSegments(described, found.at, [{ known: manifest }]), archiveEnd]) {
      bytes += lengthOf(segment);
      if ('known' in segment) archive.update(segment.known);
    }
    return this.#becomeReady(found, part, sealPart(cipher, part, [manifest]), {
      files: [...files, described],
      bytes,
      sha256: archive.digest('hex'),
    });
  }

  async #becomeReady(
    { account, parts }: ExportDocument,
    part: StoredPart,
    sealed: readonly Buffer[],
    result: Pick<ExportDocument, 'files' | 'bytes' | 'sha256'>,
  ): Promise<Finished> {
    const readyAt = await this.store.databaseTime();
    const expiresAt = new Date(readyAt.getTime() + this.limits.lifetime);
    await this.storage
      .put(part.key, sealed, async (session) => {
        const after = await this.#exports.findOneAndUpdate(
          { _id: this.exportId, status: 'running', parts: { $size: parts.length } },
          {
            $push: { parts: part },
            $set: {
              ...result,
              status: 'ready',
              readyAt,
              expiresAt,
              'progress.at': readyAt,
              'progress.total': this.#done,
            },
          },
          { session, returnDocument: 'after', projection: { records: 1 } },
        );
        if (after === null)
          throw new ExportSupersededError(`export ${this.exportId} is not where this attempt left it`);
        await this.store.audit.append(session, {
          at: readyAt,
          actor: exporter,
          action: 'export.ready',
          account,
          details: {
            export: this.exportId,
            records: after.records,
            bytes: result.bytes,
            sha256: result.sha256,
            expiresAt: expiresAt.toISOString(),
          },
        });
      })
      .catch(async (error: unknown) => {
        if (error instanceof ExportSupersededError) await this.#assertRunning();
        throw error;
      });
    return { expiresAt };
  }

  /** The bytes of a segment, as they will be handed out. @throws {ArchiveDamagedError} they are not what was stored */
  async *#bytesOf(segment: Segment, cipher: Cipher): AsyncGenerator<Uint8Array> {
    if ('known' in segment) {
      yield segment.known;
      return;
    }
    for await (const piece of openPart(cipher, this.storage, segment.part)) {
      this.hooks.checkpoint?.();
      yield piece;
    }
  }
}

/** Who makes archives, in the audit log. */
export const exporter = { type: 'system', id: 'export' } as const;

function partOf(
  account: string,
  exportId: string,
  place: number,
  dataset: string,
  pieces: readonly Buffer[],
  records: number,
): StoredPart {
  const attempt = randomBytes(4).toString('hex');
  return {
    key: keyOf(account, exportId, place, attempt),
    dataset,
    bytes: pieces.reduce((sum, { length }) => sum + length, 0),
    records,
  };
}

/** The files of an archive beside its manifest: every category asked for, and of the rest what there is anything of. */
function filesOf({ datasets, parts }: ExportDocument): Omit<ExportFile, 'sha256'>[] {
  return datasets.flatMap((dataset) => {
    const own = parts.filter((part) => part.dataset === dataset);
    if (own.length === 0 && dataSetNamed(dataset).category === undefined) return [];
    const bytes = contentOf(parts, dataset).reduce((sum, segment) => sum + lengthOf(segment), 0);
    const records = own.reduce((sum, part) => sum + part.records, 0);
    return [{ name: `${dataset}.ndjson.gz`, dataset, records, bytes }];
  });
}
