/**
 * Archives in the database itself, laid out as GridFS lays files out. Written without the driver's bucket, because a
 * part, its chunks and the record of it become true in one transaction: nothing is ever half stored, and nothing is left
 * behind by a crash.
 */
import type { ClientSession } from 'mongoose';
import { native } from '../database';
import { deleteThroughGate, type Deletion, type Store } from '../data';
import { registerExports, type ArchiveChunkDocument } from './documents';
import { ArchiveDamagedError } from './errors';
import { ownerOf, pieceBytes, prefixOf, type ArchiveStorage } from './storage';

/** GridFS's own default, and just what is sent between two looks. */
const chunkSize = pieceBytes;
/** Chunks fetched at a time while reading. */
const readAhead = 8;
/** Parts removed in one transaction: some 50 MB. */
const removedAtOnce = 8;

/** Archives in a store's database. */
export function openGridFsArchives(store: Store): ArchiveStorage {
  const models = registerExports(store.connection);
  const files = native(models.files);
  const chunks = native(models.chunks);

  async function removeBatches(account: string, prefix: string, purpose: Deletion['purpose']) {
    for (let removed = 0; ;) {
      const keys = await files
        .find({ _id: beginningWith(prefix) }, { projection: { _id: 1 } })
        .sort({ _id: 1 })
        .limit(removedAtOnce)
        .toArray();
      const [first, last] = [keys.at(0)?._id, keys.at(-1)?._id];
      if (first === undefined || last === undefined) return { removed, held: false };
      const range = { $gte: first, $lte: last };
      const sets = { archives: { _id: range }, 'archive-chunks': { files_id: range } };
      const deleted = await deleteThroughGate(store, { account, purpose, sets });
      if (deleted === undefined) return { removed, held: true };
      removed += deleted.sets['archives'] ?? 0;
    }
  }

  return {
    kind: 'gridfs',

    async put(key, pieces, record) {
      const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const documents = chunksOf(key, Buffer.concat(pieces));
      const file = { _id: key, length, chunkSize, uploadDate: await store.databaseTime(), filename: key };
      await store.transaction(async (session: ClientSession) => {
        await record(session);
        await chunks.insertMany(documents, { session });
        await files.insertOne(file, { session });
      });
    },

    async *read(key, start, end) {
      const last = Math.ceil(end / chunkSize);
      for (let first = Math.floor(start / chunkSize); first < last; first += readAhead) {
        const upTo = Math.min(last, first + readAhead);
        const found = await chunks
          .find<ArchiveChunkDocument>({ files_id: key, n: { $gte: first, $lt: upTo } }, { promoteBuffers: true })
          .sort({ n: 1 })
          .toArray();
        if (found.length !== upTo - first) throw new ArchiveDamagedError('chunks of an archive are missing');
        for (const { n, data } of found) {
          const offset = n * chunkSize;
          yield data.subarray(Math.max(0, start - offset), Math.min(data.length, end - offset));
        }
      }
    },

    async remove(account, exportId) {
      return !(await removeBatches(account, prefixOf(account, exportId), 'archive')).held;
    },

    async removeAll(account) {
      const { removed, held } = await removeBatches(account, prefixOf(account), 'erasure');
      return held ? undefined : removed;
    },

    async find(account) {
      const range = beginningWith(prefixOf(account));
      const [kept, loose] = await Promise.all([
        files.countDocuments({ _id: range }),
        chunks.countDocuments({ files_id: range }),
      ]);
      return Math.max(kept, loose);
    },

    async *exportsKept() {
      // From one export to the next by the index, whatever number of parts each has.
      for (let after = ''; ;) {
        const next = await files
          .find({ _id: { $gt: after } }, { projection: { _id: 1 } })
          .sort({ _id: 1 })
          .limit(1)
          .next();
        if (next === null) return;
        const owner = ownerOf(next._id);
        yield owner;
        after = endOf(prefixOf(owner.account, owner.exportId));
      }
    },
  };
}

function chunksOf(key: string, bytes: Buffer): ArchiveChunkDocument[] {
  return Array.from({ length: Math.ceil(bytes.length / chunkSize) }, (_, n) => ({
    files_id: key,
    n,
    data: bytes.subarray(n * chunkSize, (n + 1) * chunkSize),
  }));
}

function beginningWith(prefix: string): { $gte: string; $lt: string } {
  return { $gte: prefix, $lt: endOf(prefix) };
}

/** The first text after everything that begins with a prefix, which ends with `:` or `/`. */
function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
