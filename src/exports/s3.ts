/**
 * Archives in an object storage that speaks S3. An object is removed again where its part could not be recorded; what a
 * crash leaves between the two is found by `removeLeftArchives`, which lists the bucket.
 */
import type { Readable } from 'node:stream';
import { deleteIn, type Deletion, type Store } from '../data';
import { connectS3, type S3Options } from '../object-storage';
import { ExportSupersededError } from './errors';
import { ownerOf, pieceBytes, prefixOf, type ArchiveStorage } from './storage';

/** Objects removed in one transaction of the gate's. */
const removedAtOnce = 100;

/** Archives in a bucket, in `us-east-1` where no region is named. The SDK is loaded with the first use. */
export function openS3Archives(store: Store, options: S3Options): ArchiveStorage {
  const { bucket: Bucket, prefix: base = '' } = options;
  let opened: ReturnType<typeof connectS3> | undefined;
  const open = () => (opened ??= connectS3({ region: 'us-east-1', ...options }));

  /** Keys that begin with a prefix, after a key, as the bucket has them now. */
  async function list(prefix: string, limit: number, after?: string): Promise<string[]> {
    const { sdk, client } = await open();
    const { Contents = [] } = await client.send(
      new sdk.ListObjectsV2Command({
        Bucket,
        Prefix: `${base}${prefix}`,
        MaxKeys: limit,
        ...(after === undefined ? {} : { StartAfter: `${base}${after}` }),
      }),
    );
    return Contents.flatMap(({ Key }) => (Key === undefined ? [] : [Key.slice(base.length)]));
  }

  /**
   * Removes a batch while the gate is held open: the transaction has written the account's own document, so a hold that
   * is placed meanwhile is acknowledged after it, or before and then nothing is removed.
   */
  async function removeBatch(account: string, keys: readonly string[], purpose: Deletion['purpose']): Promise<boolean> {
    const { sdk, client } = await open();
    return store.transaction(async (session) => {
      const sets = { archives: { _id: { $in: keys } }, 'archive-chunks': { files_id: { $in: keys } } };
      if ((await deleteIn(store, session, { account, purpose, sets })) === undefined) return false;
      const { Errors = [] } = await client.send(
        new sdk.DeleteObjectsCommand({
          Bucket,
          Delete: { Objects: keys.map((key) => ({ Key: `${base}${key}` })), Quiet: true },
        }),
      );
      if (Errors.length > 0)
        throw new Error(`${Errors.length} objects could not be removed (${Errors[0]?.Code ?? ''})`);
      return true;
    });
  }

  async function removeAllOf(account: string, prefix: string, purpose: Deletion['purpose']) {
    for (let removed = 0; ;) {
      const keys = await list(prefix, removedAtOnce);
      if (keys.length === 0) return { removed, held: false };
      if (!(await removeBatch(account, keys, purpose))) return { removed, held: true };
      removed += keys.length;
    }
  }

  return {
    kind: 's3',

    async put(key, pieces, record) {
      const { sdk, client } = await open();
      const Key = `${base}${key}`;
      await client.send(new sdk.PutObjectCommand({ Bucket, Key, Body: Buffer.concat(pieces) }));
      try {
        await store.transaction(record);
      } catch (error) {
        // Refused for certain. Where that is not known the object stays, and goes with its export.
        if (error instanceof ExportSupersededError)
          await client.send(new sdk.DeleteObjectCommand({ Bucket, Key })).catch(() => undefined);
        throw error;
      }
    },

    async *read(key, start, end) {
      if (start >= end) return;
      const { sdk, client } = await open();
      const { Body } = await client.send(
        new sdk.GetObjectCommand({ Bucket, Key: `${base}${key}`, Range: `bytes=${start}-${end - 1}` }),
      );
      if (Body === undefined) throw new Error('the object storage answered without a body');
      const stream = Body as Readable;
      try {
        for await (const bytes of stream as AsyncIterable<Uint8Array>) {
          for (let from = 0; from < bytes.length; from += pieceBytes) yield bytes.subarray(from, from + pieceBytes);
        }
      } finally {
        stream.destroy();
      }
    },

    async remove(account, exportId) {
      return !(await removeAllOf(account, prefixOf(account, exportId), 'archive')).held;
    },

    async removeAll(account) {
      const { removed, held } = await removeAllOf(account, prefixOf(account), 'erasure');
      return held ? undefined : removed;
    },

    async find(account) {
      let found = 0;
      for (let after: string | undefined; ;) {
        const keys = await list(prefixOf(account), 1000, after);
        found += keys.length;
        after = keys.at(-1);
        if (after === undefined) return found;
      }
    },

    async *exportsKept() {
      const { sdk, client } = await open();
      for (let after: string | undefined; ;) {
        // One answer names a thousand exports, whatever number of parts each has.
        const page = { Bucket, Prefix: base, Delimiter: '/', ...(after === undefined ? {} : { StartAfter: after }) };
        const { CommonPrefixes = [], IsTruncated } = await client.send(new sdk.ListObjectsV2Command(page));
        for (const { Prefix = '' } of CommonPrefixes) {
          yield ownerOf(Prefix.slice(base.length));
          // Beyond every part of this export: `~` comes after all that a part's key holds.
          after = `${Prefix}~`;
        }
        if (IsTruncated !== true) return;
      }
    },
  };
}
