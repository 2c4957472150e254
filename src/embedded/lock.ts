import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { EmbeddedServerError, systemCode } from './errors';
import { type ProcessIdentity, identify, stillRuns } from './identity';

/** A held lock. */
export interface FolderLock {
  /** The process that held it and died without giving it back, if there was one. */
  takenOverFrom: number | undefined;
  /** Gives the lock back; doing so twice is no error. */
  release(): void;
}

/**
 * Makes a data folder this process's own, making the folder if it does not exist. The lock names its holder and when that
 * process started, so that a lock left by a crash is told from one that is held, even if the number was given out again.
 *
 * @throws EmbeddedServerError `locked` if another running process holds it
 */
export function lockFolder(folder: string): FolderLock {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, 'lock');
  const own = `${path}.${process.pid}`;
  writeFileSync(own, JSON.stringify(identify(process.pid)), { mode: 0o600 });
  try {
    let takenOverFrom: number | undefined;
    for (;;) {
      try {
        // A link appears with its content or not at all: nobody reads a lock that is half written.
        linkSync(own, path);
        break;
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') {
          throw error;
        }
      }
      const holder = readHolder(path);
      if (holder !== undefined && stillRuns(holder)) {
        throw new EmbeddedServerError(
          'locked',
          `${folder} is in use by process ${holder.pid}: stop it, or set ABLAUF_DATA_DIR to another folder`,
        );
      }
      takenOverFrom = holder?.pid;
      rmSync(path, { force: true });
    }
    return { takenOverFrom, release: () => release(path) };
  } finally {
    rmSync(own, { force: true });
  }
}

function release(path: string): void {
  if (readHolder(path)?.pid === process.pid) {
    rmSync(path, { force: true });
  }
}

function readHolder(path: string): ProcessIdentity | undefined {
  try {
    const holder: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof holder === 'object' && holder !== null && 'pid' in holder && 'started' in holder
      ? { pid: Number(holder.pid), started: String(holder.started) }
      : undefined;
  } catch {
    return undefined;
  }
}
