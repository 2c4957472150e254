/**
 * A ledger in a file, for the processes of one machine.
 *
 * There is no lock to be left behind by a crash: a line is added by one `write` to a file opened with `O_APPEND`, which the
 * kernel puts at the end as a whole. If two processes add at once, both continue the same line; the chain goes on with the
 * first, and whoever wrote the second sees that and writes again. See `ledger.ts`.
 *
 * A network file system may not append so: where several machines write, the ledger belongs in an object storage.
 */
import { constants, type PathLike } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LedgerStorage, Written } from './storage';

const { O_APPEND, O_CREAT, O_RDWR } = constants;
const lineBreak = 0x0a;
const chunkBytes = 64 * 1024;
/** No line of ours is nearly as long; what is belongs to nobody. */
const longestLine = 64 * 1024;

/** A ledger in a file, which is made with its folder when the first line is written. */
export function openFileStorage(path: string): LedgerStorage {
  return {
    name: path,
    readAtStart: true,

    async prepare() {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    },

    async *read(from) {
      const file = await opened(path);
      if (file === undefined) return;
      try {
        yield* linesOf(file, from);
      } finally {
        await file.close();
      }
    },

    async append(text) {
      const file = await open(path, O_RDWR | O_CREAT | O_APPEND, 0o600);
      try {
        const { size } = await file.stat();
        // What a crash broke off stays as it is, on a line of its own.
        const broken = size > 0 && !(await endsLine(file, size));
        const bytes = Buffer.from(`${broken ? '\n' : ''}${text}\n`);
        const { bytesWritten } = await file.write(bytes);
        if (bytesWritten !== bytes.length) throw new Error(`the ledger's disk took only part of a line (${path})`);
        await file.sync();
        // The file may be new: its name has to last as well.
        if (size === 0) await syncFolder(dirname(path));
      } finally {
        await file.close();
      }
    },

    async sync() {
      const file = await opened(path);
      if (file === undefined) return;
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

async function opened(path: PathLike): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function endsLine(file: FileHandle, size: number): Promise<boolean> {
  const last = Buffer.alloc(1);
  await file.read(last, 0, 1, size - 1);
  return last[0] === lineBreak;
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function* linesOf(file: FileHandle, from: number): AsyncIterable<Written> {
  const chunk = Buffer.alloc(chunkBytes);
  let pending = Buffer.alloc(0);
  let start = from;
  for (let at = from; ;) {
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, at);
    if (bytesRead === 0) break;
    at += bytesRead;
    pending = Buffer.concat([pending, chunk.subarray(0, bytesRead)]);
    let begin = 0;
    for (let end = pending.indexOf(lineBreak); end !== -1; end = pending.indexOf(lineBreak, begin)) {
      const length = end - begin + 1;
      if (length > 1) {
        const text = pending.toString('utf8', begin, end);
        yield { text, start, end: start + length, whole: true };
      }
      start += length;
      begin = end + 1;
    }
    pending = pending.subarray(begin);
    if (pending.length > longestLine) throw new Error('the ledger holds what is no line');
  }
  if (pending.length > 0) yield { text: pending.toString('utf8'), start, end: start + pending.length, whole: false };
}
