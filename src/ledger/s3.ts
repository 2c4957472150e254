/**
 * A ledger in an object storage that speaks S3, for any number of machines: one object a line, its key the line's number. A
 * line is put on the condition that there is none of its number (`If-None-Match: *`), so that one of two writers comes
 * first. A bucket with Object Lock keeps anybody from taking lines away.
 */
import type * as Sdk from '@aws-sdk/client-s3';
import { connectS3, type S3Options } from '../object-storage';
import { LedgerError } from './errors';
import type { LedgerStorage, Written } from './storage';

/** Where the ledger is, and who asks; in `us-east-1` where no region is named. */
export type LedgerS3Options = S3Options & { readonly prefix: string };

/** Lines asked for at once. */
const readAhead = 16;
const digits = 12;

/** A ledger in a bucket. The SDK is loaded with the first use. */
export function openS3Storage(options: LedgerS3Options): LedgerStorage {
  const { bucket: Bucket, prefix } = options;
  const name = `s3://${Bucket}/${prefix}`;
  let connected: ReturnType<typeof connectS3> | undefined;
  const connection = () => (connected ??= connectS3({ region: 'us-east-1', ...options }));
  const keyOf = (seq: number) => `${prefix}${String(seq).padStart(digits, '0')}.json`;

  async function get(seq: number): Promise<string | undefined> {
    const { sdk, client } = await connection();
    try {
      const { Body } = await client.send(new sdk.GetObjectCommand({ Bucket, Key: keyOf(seq) }));
      return await Body?.transformToString();
    } catch (error) {
      if (error instanceof sdk.NoSuchKey) return undefined;
      throw error;
    }
  }

  /** @returns whether it was put: not, where there is one already */
  async function put(seq: number, text: string): Promise<boolean> {
    const { sdk, client } = await connection();
    const object = { Bucket, Key: keyOf(seq), Body: text, ContentType: 'application/json' };
    try {
      await client.send(new sdk.PutObjectCommand({ ...object, IfNoneMatch: '*' }));
      return true;
    } catch (error) {
      if (error instanceof sdk.S3ServiceException && isTaken(error)) return false;
      throw error;
    }
  }

  return {
    name,
    readAtStart: false,

    async prepare() {
      const first = await get(0);
      // A storage that does not know the condition puts the same bytes again, and says so by not refusing.
      if (first !== undefined && (await put(0, first))) {
        throw new LedgerError('unsafe-storage', name, 'it does not heed If-None-Match, so two writers could collide');
      }
    },

    async *read(from) {
      const ahead: Promise<string | undefined>[] = [];
      for (let seq = from; ; seq += 1) {
        while (ahead.length < (seq === from ? 1 : readAhead)) {
          const asked = get(seq + ahead.length);
          asked.catch(() => undefined);
          ahead.push(asked);
        }
        const text = await ahead.shift();
        if (text === undefined) return;
        yield { text, start: seq, end: seq + 1, whole: true } satisfies Written;
      }
    },

    async append(text, end) {
      await put(end, text);
    },

    // What the storage has acknowledged lasts.
    sync: () => Promise.resolve(),
  };
}

/** There is an object already, or somebody else puts one at this moment. */
function isTaken({ $metadata, name }: Sdk.S3ServiceException): boolean {
  return $metadata.httpStatusCode === 412 || name === 'PreconditionFailed' || name === 'ConditionalRequestConflict';
}
