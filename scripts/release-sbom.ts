/**
 * `npm run release:sbom [FOLDER]`: writes the software bills of materials of a release, in the forms of CycloneDX and SPDX, and
 * their digests. Made of the same commit by the same npm they are the same, byte for byte; see docs/release.md.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { lockedPackages, readProduct, root } from './support/packages';
import { cycloneDxOf, spdxOf, type CycloneDx, type Release, type Spdx } from './support/sbom';

/** Long enough for what npm says of a thousand packages. */
const mostOutput = 64 * 1024 * 1024;

/** The instant of a release: `SOURCE_DATE_EPOCH`, as reproducible builds have it, or that of the commit. */
function releasedAt(): Date {
  const given = process.env['SOURCE_DATE_EPOCH'];
  const seconds = given ?? execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' }).trim();
  if (!/^\d{1,11}$/.test(seconds)) throw new Error('SOURCE_DATE_EPOCH must be a number of seconds');
  return new Date(Number(seconds) * 1000);
}

function npmSbom(format: 'cyclonedx' | 'spdx'): unknown {
  const asked = ['sbom', '--package-lock-only', '--sbom-format', format];
  const said = execFileSync('npm', asked, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: mostOutput,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return JSON.parse(said);
}

function main(folder: string): void {
  const product = readProduct(root);
  const packages = new Set(lockedPackages(root).map(({ id }) => id));
  const release: Release = { product, at: releasedAt(), packages };
  const bills = {
    'cdx.json': cycloneDxOf(npmSbom('cyclonedx') as CycloneDx, release),
    'spdx.json': spdxOf(npmSbom('spdx') as Spdx, release),
  };
  mkdirSync(folder, { recursive: true });
  const digests = Object.entries(bills).map(([ending, bill]) => {
    const name = `${product.name}-${product.version}.${ending}`;
    const text = `${JSON.stringify(bill, null, 2)}\n`;
    writeFileSync(join(folder, name), text);
    return `${createHash('sha256').update(text).digest('hex')}  ${name}\n`;
  });
  writeFileSync(join(folder, 'SHA256SUMS'), digests.join(''));
  process.stdout.write(`${packages.size} packages\n${digests.join('')}`);
}

main(resolve(process.argv[2] ?? join(root, 'release')));
