/**
 * An archive that exists only as its parts: where each header, part and padding lies in it. Any stretch of its bytes is
 * put together from that, so that downloads resume and nothing is stored twice.
 */
import type { ExportDocument, ExportFile, StoredPart } from './documents';
import { ArchiveDamagedError } from './errors';
import { placeIn } from './storage';
import { endBytes, headerOf, paddingOf } from './tar';

/** A stretch of an archive: bytes that are known, or a stored part. */
export type Segment = { readonly known: Buffer } | { readonly part: StoredPart };

/** The name of the file that describes the others. */
export const manifestName = 'manifest.json';
/** What the manifest's part is stored under in place of a data set. */
export const manifestSet = 'manifest';

/** A gzip file of nothing: what a data set without records leaves. */
const emptyGzip = Buffer.from('1f8b080000000000000303000000000000000000', 'hex');

/** The segments of one file, its header first. */
export function fileSegments(
  file: Pick<ExportFile, 'name' | 'bytes'>,
  modified: Date,
  content: readonly Segment[],
): Segment[] {
  const header = headerOf({ name: file.name, bytes: file.bytes, modified });
  return [{ known: header }, ...content, { known: Buffer.alloc(paddingOf(file.bytes)) }];
}

/** The content of a data set's file. */
export function contentOf(parts: readonly StoredPart[], dataset: string): Segment[] {
  const own = parts.filter((part) => part.dataset === dataset);
  return own.length === 0 ? [{ known: emptyGzip }] : own.map((part) => ({ part }));
}

/** A whole archive, in order. */
export function archiveSegments({ at, parts, files = [] }: Pick<ExportDocument, 'at' | 'parts' | 'files'>): Segment[] {
  return [...files.flatMap((file) => fileSegments(file, at, contentOf(parts, file.dataset))), archiveEnd];
}

/**
 * Parts count from the first to the manifest, and their keys say so, which their chunks are bound to: none is missing, doubled
 * or out of order.
 *
 * @throws {ArchiveDamagedError} the record of an export was altered
 */
export function assertComplete({ _id, parts }: Pick<ExportDocument, '_id' | 'parts'>): void {
  if (parts.some(({ key }, place) => placeIn(key) !== place) || parts.at(-1)?.dataset !== manifestSet) {
    throw new ArchiveDamagedError(`the parts of export ${_id} are not those it was made of`);
  }
}

/** What ends every archive. */
export const archiveEnd: Segment = { known: Buffer.alloc(endBytes) };

/** How long a segment is, in bytes. */
export function lengthOf(segment: Segment): number {
  return 'known' in segment ? segment.known.length : segment.part.bytes;
}
