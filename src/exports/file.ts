/** Reading a finished archive: any stretch of it, for as long as it may be read. */
import { native } from '../database';
import type { Store } from '../data';
import { registerExports, type ExportDocument } from './documents';
import { ExportEndedError } from './errors';
import { archiveSegments, assertComplete, lengthOf } from './layout';
import { openPart } from './sealed-part';
import type { ArchiveStorage } from './storage';

/**
 * The bytes of an archive from `start` up to but not including `end`. Before each piece it looks whether the export may
 * still be read: what is withdrawn ends in the middle (R15).
 *
 * @throws {ExportEndedError} it was withdrawn, or its time has passed
 * @throws {ArchiveDamagedError} what is stored is not what was; it comes before the first byte that would be wrong
 */
export async function* archiveBytes(
  store: Store,
  storage: ArchiveStorage,
  archive: ExportDocument,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  const assertReadable = async () => {
    const found = await native(registerExports(store.connection).exports).findOne<Pick<ExportDocument, 'status'>>(
      { _id: archive._id },
      { projection: { status: 1 } },
    );
    if (found?.status !== 'ready') throw new ExportEndedError(`export ${archive._id} may no longer be read`);
  };
  assertComplete(archive);
  let offset = 0;
  for (const segment of archiveSegments(archive)) {
    const length = lengthOf(segment);
    const first = Math.max(0, start - offset);
    const last = Math.min(length, end - offset);
    offset += length;
    if (first >= last) continue;
    if ('known' in segment) {
      await assertReadable();
      yield segment.known.subarray(first, last);
      continue;
    }
    const cipher = await store.vault.cipherOf(archive.account);
    for await (const bytes of openPart(cipher, storage, segment.part, first, last)) {
      await assertReadable();
      yield bytes;
    }
  }
}
