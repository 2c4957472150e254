/** R18, R21: archives are stored encrypted, in chunks that fit nowhere but in their place. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Store } from '../src/data';
import { native } from '../src/database';
import {
  archiveBytes,
  openGridFsArchives,
  openS3Archives,
  registerExports,
  writeExport,
  type ArchiveStorage,
  type ExportDocument,
} from '../src/exports';
import { sealedOverhead } from '../src/vault';
import { addAccount, askForExport, storedExport } from './helpers/archives';
import { sha256Of, unpack } from './helpers/exports';
import { storeRecords } from './helpers/records';
import { startObjectStorage, type ObjectStorage } from './helpers/s3';
import { dropTestStore, openTestStore } from './helpers/system';

let store: Store;
let s3: ObjectStorage;

beforeAll(async () => {
  store = await openTestStore();
  s3 = await startObjectStorage();
}, 60_000);
afterAll(async () => {
  await s3.stop();
  await dropTestStore(store);
});

/** A chunk as it is stored. */
const chunk = 255 * 1024;
const canary = `canary${randomBytes(12).toString('hex')}`;

/** A finished export of which the first part has several chunks. */
async function exported(storage: ArchiveStorage): Promise<ExportDocument> {
  const account = await addAccount(store);
  await storeRecords(
    store,
    'prompts',
    account,
    Array.from({ length: 40 }, (_, n) => ({
      callId: `call-${n}`,
      at: new Date(Date.UTC(2026, 0, 1) + n * 1000),
      user: canary,
      // Hardly compresses.
      body: JSON.stringify({ canary, noise: randomBytes(24 * 1024).toString('base64') }),
    })),
  );
  await storeRecords(store, 'logs', account, [{ callId: 'call-0', at: new Date(Date.UTC(2026, 0, 1)) }]);
  const id = await askForExport(store, storage, account);
  await writeExport(store, storage, id);
  return storedExport(store, id);
}

interface Part {
  readonly key: string;
  readonly bytes: number;
}

async function collected(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}

function storedLength({ bytes }: Part): number {
  return bytes + Math.ceil(bytes / (chunk - sealedOverhead)) * sealedOverhead;
}

/** A part as it is stored. */
function storedBytes(storage: ArchiveStorage, part: Part): Promise<Buffer> {
  return collected(storage.read(part.key, 0, storedLength(part)));
}

/** Puts other bytes in the place of a part's, past us. */
async function replace(storage: ArchiveStorage, { key }: Part, bytes: Buffer): Promise<void> {
  const { chunks, files } = registerExports(store.connection);
  await native(chunks).deleteMany({ files_id: key });
  await native(files).deleteMany({ _id: key });
  await storage.put(key, [bytes], () => Promise.resolve());
}

function partAt({ parts }: ExportDocument, place: number): ExportDocument['parts'][number] {
  const part = parts[place];
  if (part === undefined) throw new Error(`there is no part ${place}`);
  return part;
}

/** Reads an archive until it ends or fails. */
async function attempt(storage: ArchiveStorage, archive: ExportDocument, start = 0, end = archive.bytes) {
  const got: Uint8Array[] = [];
  try {
    for await (const piece of archiveBytes(store, storage, archive, start, end)) got.push(piece);
    return { bytes: Buffer.concat(got) };
  } catch (error) {
    return { bytes: Buffer.concat(got), error };
  }
}

describe.each(['gridfs', 's3'] as const)('archives in %s', (kind) => {
  const storage = (): ArchiveStorage =>
    kind === 'gridfs' ? openGridFsArchives(store) : openS3Archives(store, s3.options);
  let archive: ExportDocument;
  let whole: Buffer;

  beforeAll(async () => {
    archive = await exported(storage());
    whole = await collected(archiveBytes(store, storage(), archive, 0, archive.bytes));
  }, 120_000);

  test('R21: nothing of an archive is stored as it is downloaded', async () => {
    expect(sha256Of(whole)).toBe(archive.sha256);
    const { lines } = await unpack(whole);
    expect(lines['prompts']).toHaveLength(40);
    expect(lines['prompts']?.[0]).toMatchObject({ user: canary, body: { canary } });
    expect(archive.parts.length).toBeGreaterThan(2);
    for (const part of archive.parts) {
      const stored = await storedBytes(storage(), part);
      expect(stored.length).toBe(storedLength(part));
      // What a gzip member begins with, and any stretch of the archive.
      expect(stored.includes(Buffer.from([0x1f, 0x8b, 0x08]))).toBe(false);
      for (let from = 0; from + 16 <= whole.length; from += 4096) {
        if (whole.subarray(from, from + 16).some((byte) => byte !== 0)) {
          expect(stored.includes(whole.subarray(from, from + 16))).toBe(false);
        }
      }
    }
  });

  test('R14: any stretch is what it is of the whole, across chunks and parts', async () => {
    expect(partAt(archive, 0).bytes).toBeGreaterThan(2 * chunk);
    const plain = chunk - sealedOverhead;
    const header = 512;
    const edges = [0, 1, header - 1, header, header + plain - 1, header + plain, header + 2 * plain + 1];
    const ends = [...edges, header + partAt(archive, 0).bytes, whole.length - 1, whole.length];
    for (const start of ends) {
      for (const end of ends) {
        if (start >= end) continue;
        const got = await collected(archiveBytes(store, storage(), archive, start, end));
        expect(got.equals(whole.subarray(start, end))).toBe(true);
      }
    }
  });

  test('reads no more than it hands out, but for a chunk or two', async () => {
    const kept = storage();
    let read = 0;
    const counting: ArchiveStorage = {
      ...kept,
      async *read(key, start, end) {
        for await (const piece of kept.read(key, start, end)) {
          read += piece.length;
          yield piece;
        }
      },
    };
    let handedOut = 0;
    for await (const piece of archiveBytes(store, counting, archive, 0, archive.bytes)) {
      expect(piece.length).toBeLessThanOrEqual(chunk);
      handedOut += piece.length;
      expect(read - handedOut).toBeLessThanOrEqual(2 * chunk);
    }
    expect(handedOut).toBe(archive.bytes);
    // One byte costs one chunk.
    read = 0;
    await collected(archiveBytes(store, counting, archive, 512 + chunk, 513 + chunk));
    expect(read).toBe(chunk);
  });

  const changes: readonly (readonly [what: string, change: (stored: Buffer, other: Buffer) => Buffer])[] = [
    ['a bit of the first chunk is turned over', (stored) => flip(stored, 100)],
    ['a bit of the last tag is turned over', (stored) => flip(stored, stored.length - 1)],
    [
      'two chunks change places',
      (stored) =>
        Buffer.concat([stored.subarray(chunk, 2 * chunk), stored.subarray(0, chunk), stored.subarray(2 * chunk)]),
    ],
    [
      'a chunk is there twice',
      (stored) => Buffer.concat([stored.subarray(0, chunk), stored.subarray(0, chunk), stored.subarray(2 * chunk)]),
    ],
    ['a chunk is left out', (stored) => Buffer.concat([stored.subarray(0, chunk), stored.subarray(2 * chunk)])],
    ['the last chunk is cut off', (stored) => stored.subarray(0, Math.floor((stored.length - 1) / chunk) * chunk)],
    ['its end is cut off', (stored) => stored.subarray(0, -1)],
    [
      'a chunk comes from another export',
      (stored, other) => Buffer.concat([other.subarray(0, chunk), stored.subarray(chunk)]),
    ],
  ];

  test.each(changes)('R18: a download fails, with not one wrong byte, where %s', async (_what, change) => {
    const part = partAt(archive, 0);
    const stored = await storedBytes(storage(), part);
    const theirs = await exported(storage());
    const other = await storedBytes(storage(), partAt(theirs, 0));
    await replace(storage(), part, change(stored, other));
    try {
      const { bytes, error } = await attempt(storage(), archive);
      expect(error).toMatchObject({ name: 'ArchiveDamagedError' });
      expect(bytes.length).toBeLessThan(whole.length);
      expect(bytes.equals(whole.subarray(0, bytes.length))).toBe(true);
      expect(String(error)).not.toContain(canary);
    } finally {
      await replace(storage(), part, stored);
    }
    expect((await attempt(storage(), archive)).error).toBeUndefined();
  });

  test('R18: a download fails where the record of the parts is altered', async () => {
    const [first, second, ...rest] = archive.parts;
    if (first === undefined || second === undefined) throw new Error('there are too few parts');
    for (const parts of [
      [second, first, ...rest],
      [first, ...rest],
      [first, first, ...rest],
      archive.parts.slice(0, -1),
      [{ ...first, dataset: 'usage' }, second, ...rest],
      [{ ...first, key: second.key }, { ...second, key: first.key }, ...rest],
      [{ ...first, bytes: first.bytes - 1 }, second, ...rest],
    ]) {
      const { bytes, error } = await attempt(storage(), { ...archive, parts });
      expect(error).toMatchObject({ name: 'ArchiveDamagedError' });
      // At most the header of the first file, which is no content.
      expect(bytes.length).toBeLessThanOrEqual(512 + first.bytes);
    }
  });

  test('R18: an archive that was altered while it was made never becomes ready', async () => {
    const kept = storage();
    const altering: ArchiveStorage = {
      ...kept,
      put: (key, pieces, record) =>
        kept.put(
          key,
          pieces.map((piece) => flip(Buffer.from(piece), 64)),
          record,
        ),
    };
    await expect(exported(altering)).rejects.toMatchObject({ name: 'ArchiveDamagedError' });
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
