/** One gzip member under way: what goes in is compressed beside whatever else the process does. */
import { once } from 'node:events';
import type { TransformOptions } from 'node:stream';
import { createGzip, type ZlibOptions } from 'node:zlib';

/** Between speed and size: level 6 is a few per cent smaller and takes up to twice the time. */
export const gzipLevel = 4;
/** From when on a part is full: compressed and before. Both bound what is kept in memory. */
const fullCompressed = 6 * 1024 * 1024;
const fullPlain = 96 * 1024 * 1024;
/** What may wait to be compressed. */
const waitingBytes = 1024 * 1024;
const compression: ZlibOptions & TransformOptions = {
  level: gzipLevel,
  chunkSize: 256 * 1024,
  highWaterMark: waitingBytes,
};

/** A gzip member that grows. */
export class Part {
  readonly #gzip = createGzip(compression);
  readonly #pieces: Buffer[] = [];
  #compressed = 0;
  #plain = 0;

  constructor() {
    this.#gzip.on('data', (piece: Buffer) => {
      this.#pieces.push(piece);
      this.#compressed += piece.length;
    });
  }

  /** Whether it is time to finish it. */
  get isFull(): boolean {
    return this.#compressed >= fullCompressed || this.#plain >= fullPlain;
  }

  /** Adds lines; waits while too much waits to be compressed. */
  async add(lines: Buffer): Promise<void> {
    this.#plain += lines.length;
    if (!this.#gzip.write(lines)) await once(this.#gzip, 'drain');
  }

  /** Ends it. @returns its bytes */
  async finish(): Promise<Buffer[]> {
    const ended = once(this.#gzip, 'end');
    this.#gzip.end();
    await ended;
    return this.#pieces;
  }

  /** Gives it up. */
  discard(): void {
    this.#gzip.destroy();
  }
}
