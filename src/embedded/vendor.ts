import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isNativeError } from 'node:util/types';
import { cacheFolder, discard, exists, findFile, install, sha256 } from './cache';
import { run } from './command';
import { EmbeddedServerError, messageOf } from './errors';
import { type PinnedFile, mongodVersion } from './pins';
import type { FetchOptions } from './sources';

/** A vendor that has not begun to answer after this long counts as unreachable: closed networks often drop packets silently. */
const connectTimeoutMs = 2_500;
/** A download that delivers nothing for this long is given up. */
const stallTimeoutMs = 20_000;

/**
 * Fetches a build from its vendor's archive into the cache.
 *
 * @throws EmbeddedServerError `unreachable` or `checksum-mismatch`
 */
export async function fetchFromVendor(
  url: string,
  folder: string,
  executable: PinnedFile,
  fileName: string,
  title: string,
  options: FetchOptions,
): Promise<void> {
  await withUnpackedArchive(url, folder, title, options, async (unpacked) => {
    const found = await findFile(unpacked, [fileName, `${fileName}.exe`]);
    await install(folder, [executable], () => found, title);
  });
}

/**
 * Fetches MongoDB's own server into the cache; the result is the executable's path. The vendor's checksum, fetched over an
 * authenticated connection, covers the archive; the checksum of the executable is kept beside it for later starts.
 *
 * @throws EmbeddedServerError `unreachable`, `unsupported-platform` or `checksum-mismatch`
 */
export async function fetchMongod(options: FetchOptions): Promise<string> {
  const { folder, file } = mongodPlace(options.env);
  const url = await mongodArchive();
  const expected = (await text(`${url}.sha256`, options)).trim().split(/\s+/)[0] ?? '';
  await withUnpackedArchive(
    url,
    folder,
    'MongoDB',
    options,
    async (unpacked) => {
      const found = await findFile(unpacked, [file]);
      if (found === undefined) {
        throw new EmbeddedServerError('checksum-mismatch', `The archive ${url} holds no ${file}`);
      }
      const digest = await sha256(found);
      await install(mongodBuild(folder, digest), [{ path: file, sha256: digest }], () => found, 'MongoDB');
    },
    expected,
  );
  const path = await cachedMongod(options.env);
  if (path === undefined) {
    throw new EmbeddedServerError('unreachable', 'MongoDB was fetched, but is not in the cache');
  }
  return path;
}

/** The MongoDB server an earlier start fetched, if it still is what was fetched. A changed one is taken out of the cache. */
export async function cachedMongod(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { folder, file } = mongodPlace(env);
  if (!(await exists(folder))) {
    return undefined;
  }
  const path = await findFile(folder, [file]);
  if (path !== undefined && dirname(path) === mongodBuild(folder, await sha256(path))) {
    return path;
  }
  await discard(folder);
  return undefined;
}

/** The folder's name is the executable's checksum: nothing else needs to be written, or can get lost, beside it. */
function mongodBuild(folder: string, digest: string): string {
  return join(folder, digest);
}

function mongodPlace(env: NodeJS.ProcessEnv): { folder: string; file: string } {
  return {
    folder: join(cacheFolder(env), `mongod-${mongodVersion}-${process.platform}-${process.arch}`),
    file: process.platform === 'win32' ? 'mongod.exe' : 'mongod',
  };
}

/** Which archive fits this distribution is a long table; the one of `mongodb-memory-server` is maintained. */
async function mongodArchive(): Promise<string> {
  try {
    const { DryMongoBinary } = await import('mongodb-memory-server-core/lib/util/DryMongoBinary.js');
    const { MongoBinaryDownloadUrl } = await import('mongodb-memory-server-core/lib/util/MongoBinaryDownloadUrl.js');
    const build = await DryMongoBinary.generateOptions({ version: mongodVersion });
    return await new MongoBinaryDownloadUrl(build).getDownloadUrl();
  } catch (error) {
    throw new EmbeddedServerError('unsupported-platform', `MongoDB has no build for this system: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

export async function withUnpackedArchive(
  url: string,
  folder: string,
  title: string,
  options: FetchOptions,
  use: (unpacked: string) => Promise<void>,
  expectedSha256?: string,
): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const temporary = await mkdtemp(join(dirname(folder), '.download-'));
  try {
    const archive = join(temporary, 'archive');
    const unpacked = join(temporary, 'unpacked');
    await mkdir(unpacked);
    await download(url, archive, title, options);
    if (expectedSha256 !== undefined && (await sha256(archive)) !== expectedSha256) {
      throw new EmbeddedServerError('checksum-mismatch', `${title} was delivered with a wrong checksum and not kept`);
    }
    // bsdtar, which Windows and macOS carry, also reads zip archives
    const tar = await run('tar', ['-xf', archive, '-C', unpacked], { env: options.env, timeoutMs: 120_000 });
    if (tar.code !== 0) {
      throw new EmbeddedServerError('unreachable', `tar could not unpack ${title}: ${messageOf(tar.stderr)}`);
    }
    await use(unpacked);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function download(url: string, target: string, title: string, options: FetchOptions): Promise<void> {
  await request(url, options, async (response, alive) => {
    if (response.body === null) {
      throw new Error('an empty answer');
    }
    const host = new URL(url).host;
    options.onProgress(`fetching ${title} from ${host}`);
    const total = Number(response.headers.get('content-length') ?? 0);
    let received = 0;
    let reported = 0;
    const counted = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        alive();
        received += chunk.length;
        if (total > 0 && received - reported >= total / 4) {
          reported = received;
          options.onProgress(`fetching ${title} from ${host}: ${Math.round((100 * received) / total)} %`);
        }
        yield chunk;
      }
    };
    await pipeline(Readable.fromWeb(response.body), counted, createWriteStream(target));
  });
}

async function text(url: string, options: FetchOptions): Promise<string> {
  return request(url, options, (response) => response.text());
}

async function request<T>(
  url: string,
  options: FetchOptions,
  read: (response: Response, alive: () => void) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  options.signal?.addEventListener('abort', abort, { once: true });
  let timer = setTimeout(abort, connectTimeoutMs);
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(abort, stallTimeoutMs);
  };
  try {
    const response = await fetch(url, { signal: controller.signal });
    if (!response.ok) {
      throw new Error(`it answered ${response.status}`);
    }
    alive();
    return await read(response, alive);
  } catch (error) {
    if (error instanceof EmbeddedServerError) {
      throw error;
    }
    const reason = controller.signal.aborted ? 'no answer in time' : messageOf(causeOf(error));
    throw new EmbeddedServerError('unreachable', `${new URL(url).host}: ${reason}`, { cause: error });
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', abort);
  }
}

/** `fetch` reports every network failure as "fetch failed"; what happened is its cause. */
function causeOf(error: unknown): unknown {
  return isNativeError(error) && isNativeError(error.cause) ? error.cause : error;
}
