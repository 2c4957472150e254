import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import { setting } from './environment';
import { EmbeddedServerError } from './errors';
import type { PinnedFile } from './pins';

/** Where fetched servers are kept: `ABLAUF_CACHE_DIR`, or the operating system's folder for caches. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  const named = setting(env, 'ABLAUF_CACHE_DIR');
  if (named !== undefined) {
    return named;
  }
  if (process.platform === 'win32') {
    return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'ablauf', 'servers');
  }
  if (process.platform === 'darwin') {
    return join(homedir(), 'Library', 'Caches', 'ablauf', 'servers');
  }
  return join(setting(env, 'XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'ablauf', 'servers');
}

/** The SHA-256 of a file, in hexadecimal. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}

/** What the cache holds of a build: all of it, none of it, or something that is not what was pinned. */
export type CacheState = 'present' | 'absent' | 'tampered';

/** Compares a folder with the checksums of a build. */
export async function inspect(folder: string, files: readonly PinnedFile[]): Promise<CacheState> {
  if (!(await exists(folder))) {
    return 'absent';
  }
  const matches = await Promise.all(
    files.map(async (file) => {
      const path = join(folder, file.path);
      return (await exists(path)) && (await sha256(path)) === file.sha256;
    }),
  );
  return matches.every(Boolean) ? 'present' : 'tampered';
}

/**
 * Copies a build's files from where they were unpacked into the cache, once all of them match their checksums. The folder
 * appears in one rename, so that a second process fetching the same build sees all of it or nothing; whichever comes last
 * finds the other's folder and keeps it.
 *
 * @throws EmbeddedServerError `checksum-mismatch`, and then the cache is as it was
 */
export async function install(
  folder: string,
  files: readonly PinnedFile[],
  locate: (file: PinnedFile) => string | undefined,
  title: string,
): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const staging = await mkdtemp(join(dirname(folder), '.staging-'));
  try {
    for (const file of files) {
      const source = locate(file);
      const target = join(staging, file.path);
      if (source !== undefined) {
        await mkdir(dirname(target), { recursive: true });
        await copyFile(source, target);
        await chmod(target, 0o755);
      }
      if (source === undefined || (await sha256(target)) !== file.sha256) {
        throw new EmbeddedServerError('checksum-mismatch', `${title} was delivered with a wrong checksum and not kept`);
      }
    }
    await moveInPlace(staging, folder, files);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function moveInPlace(staging: string, folder: string, files: readonly PinnedFile[]): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    try {
      await rename(staging, folder);
      return;
    } catch (error) {
      if ((await inspect(folder, files)) === 'present') {
        return;
      }
      if (attempt === 4) {
        throw error;
      }
      await discard(folder);
    }
  }
}

/** Takes a folder out of the cache, in one step as seen by other processes. */
export async function discard(folder: string): Promise<void> {
  const aside = join(dirname(folder), `.discarded-${randomUUID()}`);
  try {
    await rename(folder, aside);
  } catch {
    return; // another process was first
  }
  await rm(aside, { recursive: true, force: true });
}

/** The first file with one of these names below a folder. */
export async function findFile(folder: string, names: readonly string[]): Promise<string | undefined> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && names.includes(entry.name)) {
      return join(entry.parentPath, entry.name);
    }
  }
  return undefined;
}

/** Whether there is something at a path. */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
