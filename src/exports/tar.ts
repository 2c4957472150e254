/** The tar format (POSIX ustar), as far as an archive of a few plain files needs it. Headers are computed, never stored. */

const blockBytes = 512;
/** What twelve bytes hold in octal digits; larger sizes are written in base 256, as GNU tar and BSD tar do. */
const mostOctal = 8 ** 11 - 1;

/** A file inside an archive. */
export interface TarEntry {
  /** Up to 100 ASCII characters. */
  readonly name: string;
  readonly bytes: number;
  readonly modified: Date;
}

/** The header block of a file. */
export function headerOf({ name, bytes, modified }: TarEntry): Buffer {
  const header = Buffer.alloc(blockBytes);
  header.write(name, 0, 100, 'latin1');
  header.write(octal(0o644, 8), 100, 'latin1');
  header.write(octal(0, 8), 108, 'latin1');
  header.write(octal(0, 8), 116, 'latin1');
  writeSize(header, bytes);
  header.write(octal(Math.floor(modified.getTime() / 1000), 12), 136, 'latin1');
  header.write('        ', 148, 'latin1');
  header.write('0', 156, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1');
  return header;
}

/** How many zero bytes follow a file's content. */
export function paddingOf(bytes: number): number {
  return (blockBytes - (bytes % blockBytes)) % blockBytes;
}

/** What ends an archive: two empty blocks. */
export const endBytes = 2 * blockBytes;

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\u0000`;
}

function writeSize(header: Buffer, bytes: number): void {
  if (bytes <= mostOctal) {
    header.write(octal(bytes, 12), 124, 'latin1');
    return;
  }
  header[124] = 0x80;
  header.writeBigUInt64BE(BigInt(bytes), 128);
}
