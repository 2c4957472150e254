import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * The secret a file holds; made at the first call: `prefix` and 32 random bytes. The file is readable by its owner only,
 * and is made so again if it was not.
 */
export function keptSecret(path: string, prefix: string): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const made = prefix + randomBytes(32).toString('base64url');
  try {
    writeFileSync(path, `${made}\n`, { mode: 0o600, flag: 'wx' });
    return made;
  } catch {
    chmodSync(path, 0o600);
    const kept = readFileSync(path, 'utf8').trim();
    if (kept === '') {
      writeFileSync(path, `${made}\n`, { mode: 0o600 });
      return made;
    }
    return kept;
  }
}
