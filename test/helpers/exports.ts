/** Asking for exports, and looking into what comes of them with the tools anybody has. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually';

/** An export as the API shows it. */
export interface ExportView {
  readonly id: string;
  readonly status: string;
  readonly reason?: string;
  readonly progress: { readonly done: number; readonly total: number | null };
  readonly bytes: number;
  readonly records: number;
  readonly sha256?: string;
  readonly expiresAt?: string;
}

/** What a manifest says. */
export interface Manifest {
  readonly format: string;
  readonly version: number;
  readonly id: string;
  readonly created: string;
  readonly account: Readonly<Record<string, unknown>>;
  readonly range: { readonly from: string | null; readonly to: string };
  readonly files: readonly {
    readonly name: string;
    readonly dataset: string;
    readonly records: number;
    readonly bytes: number;
    readonly sha256: string;
    readonly schema: Readonly<Record<string, unknown>>;
  }[];
}

/** An archive, unpacked by `tar`, its files checked by `gzip -t` and `sha256sum`. */
export interface Unpacked {
  readonly names: readonly string[];
  readonly manifest: Manifest;
  /** The lines of each file, parsed. */
  readonly lines: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
}

/** Unpacks an archive with the real tools. */
export async function unpack(archive: Buffer): Promise<Unpacked> {
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-export-'));
  try {
    const tar = join(folder, 'archive.tar');
    await writeFile(tar, archive);
    const names = run('tar', ['tf', tar]).trim().split('\n');
    run('tar', ['xf', tar, '-C', folder]);
    const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as Manifest;
    const sums = manifest.files.map(({ sha256, name }) => `${sha256}  ${name}\n`).join('');
    await writeFile(join(folder, 'SHA256SUMS'), sums);
    run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], folder);
    const lines: Record<string, Record<string, unknown>[]> = {};
    for (const name of await readdir(folder)) {
      if (!name.endsWith('.gz')) continue;
      run('gzip', ['-t', name], folder);
      const text = run('gzip', ['-dc', name], folder);
      const parsed = text.split('\n').slice(0, -1);
      lines[name.replace('.ndjson.gz', '')] = parsed.map((line) => JSON.parse(line) as Record<string, unknown>);
    }
    return { names, manifest, lines };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run(program: string, options: readonly string[], folder?: string): string {
  return execFileSync(program, options, { cwd: folder, encoding: 'utf8', maxBuffer: 1024 ** 3 });
}

export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Waits until an export is no longer under way. */
export function untilDone(read: () => Promise<ExportView>): Promise<ExportView> {
  return eventually('the export is done', async () => {
    const view = await read();
    return view.status === 'running' ? undefined : view;
  });
}
