/**
 * Parts as they are stored: cut into chunks, each encrypted under the account's key (R21).
 *
 * A chunk is bound to its part, to the data set the part belongs to, to its place in the part, and to whether it is the
 * last. So none can be altered, left out, doubled or put elsewhere without being found before a byte of it is handed out,
 * any stretch can be read by itself, and no more than one chunk is kept in memory.
 */
import { sealedOverhead, UnreadableValueError, type Cipher, type Place } from '../vault';
import type { StoredPart } from './documents';
import { ArchiveDamagedError } from './errors';
import { pieceBytes, type ArchiveStorage } from './storage';

/** As stored: just what the storage hands out at a time. */
const sealedChunk = pieceBytes;
/** The same before it is encrypted. */
const plainChunk = sealedChunk - sealedOverhead;

/** What tells a part from all others. */
type Identity = Pick<StoredPart, 'key' | 'dataset'>;

/** The bytes of a part as they are to be stored. */
export function sealPart(cipher: Cipher, part: Identity, pieces: readonly Uint8Array[]): Buffer[] {
  const plain = Buffer.concat(pieces);
  const chunks = chunksOf(plain.length);
  return Array.from({ length: chunks }, (_, n) =>
    cipher.seal(plain.subarray(n * plainChunk, (n + 1) * plainChunk), placeOf(part, n, chunks)),
  );
}

/**
 * The bytes of a stored part from `start` up to but not including `end`, a chunk at a time.
 *
 * @throws {ArchiveDamagedError} what is stored is not what was; nothing of the chunk in question is handed out
 */
export async function* openPart(
  cipher: Cipher,
  storage: Pick<ArchiveStorage, 'read'>,
  part: Identity & Pick<StoredPart, 'bytes'>,
  start = 0,
  end: number = part.bytes,
): AsyncGenerator<Buffer> {
  if (start >= end) return;
  const chunks = chunksOf(part.bytes);
  const last = Math.ceil(end / plainChunk);
  let n = Math.floor(start / plainChunk);
  const stored = storage.read(
    part.key,
    n * sealedChunk,
    Math.min(last * sealedChunk, part.bytes + chunks * sealedOverhead),
  );
  for await (const sealed of inChunks(stored)) {
    const plain = openChunk(cipher, sealed, placeOf(part, n, chunks));
    const offset = n * plainChunk;
    n += 1;
    yield plain.subarray(Math.max(0, start - offset), Math.min(plain.length, end - offset));
  }
  if (n !== last) throw new ArchiveDamagedError(`the stored part ${part.key} ends early`);
}

function chunksOf(bytes: number): number {
  return Math.ceil(bytes / plainChunk);
}

function placeOf({ key, dataset }: Identity, n: number, chunks: number): Place {
  const id = `${key}/${dataset}/${n}${n === chunks - 1 ? '/last' : ''}`;
  return { collection: 'archives.chunks', field: 'data', id };
}

function openChunk(cipher: Cipher, sealed: Buffer, place: Place): Buffer {
  try {
    const plain = cipher.open(sealed, place);
    if (Buffer.isBuffer(plain)) return plain;
  } catch (error) {
    if (!(error instanceof UnreadableValueError)) throw error;
    throw new ArchiveDamagedError(`the stored chunk ${place.id ?? ''} was altered, or belongs elsewhere`, {
      cause: error,
    });
  }
  throw new ArchiveDamagedError(`the stored chunk ${place.id ?? ''} is not one`);
}

/** Bytes as they come, cut anew; whoever takes a chunk has done with it when asking for the next. */
async function* inChunks(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const chunk = Buffer.allocUnsafe(sealedChunk);
  let filled = 0;
  for await (const piece of pieces) {
    for (let from = 0; from < piece.length;) {
      const taken = Math.min(sealedChunk - filled, piece.length - from);
      chunk.set(piece.subarray(from, from + taken), filled);
      filled += taken;
      from += taken;
      if (filled < sealedChunk) continue;
      yield chunk;
      filled = 0;
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}
