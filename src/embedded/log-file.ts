import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const maxBytes = 20 * 1024 * 1024;

/**
 * A log file of bounded size. Opening it moves what an earlier run wrote to `<name>.1`, and so does reaching 20 MB: there
 * are never more than two files.
 */
export class LogFile {
  private descriptor: number;
  private bytes = 0;

  constructor(readonly path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.descriptor = this.rotate();
  }

  write(text: string): void {
    if (this.bytes > maxBytes) {
      closeSync(this.descriptor);
      this.descriptor = this.rotate();
    }
    this.bytes += writeSync(this.descriptor, text);
  }

  close(): void {
    closeSync(this.descriptor);
  }

  private rotate(): number {
    if (statSync(this.path, { throwIfNoEntry: false })?.size) {
      renameSync(this.path, `${this.path}.1`);
    }
    this.bytes = 0;
    return openSync(this.path, 'a', 0o600);
  }
}
