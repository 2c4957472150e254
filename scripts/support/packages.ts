/** What a release is made of, by the lock file: every package that is installed where it runs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(__dirname, '..', '..');

/** A package of a release. */
export interface LockedPackage {
  /** `NAME@VERSION`. */
  readonly id: string;
  readonly name: string;
  readonly version: string;
  /** As its own `package.json` says; absent where that says nothing. */
  readonly license?: string;
  /** What the registry's file is checked against, in the form of Subresource Integrity. */
  readonly integrity?: string;
  /** Where it would come from, where that is not the registry. */
  readonly resolved?: string;
  /** It would run a script when it is installed, which `.npmrc` forbids. */
  readonly hasInstallScript?: true;
}

interface LockEntry extends Partial<Omit<LockedPackage, 'id'>> {
  readonly dev?: true;
}

/** The product's own name and version. */
export interface Product {
  readonly name: string;
  readonly version: string;
}

/** The product, by its `package.json`. */
export function readProduct(folder: string): Product {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Product;
}

/** The packages of a release in order, those for development left out. */
export function lockedPackages(folder: string): LockedPackage[] {
  const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockEntry>>;
  };
  const found = new Map<string, LockedPackage>();
  for (const [path, { dev, ...entry }] of Object.entries(lock.packages)) {
    if (path === '' || dev === true) continue;
    const name = entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const version = entry.version ?? '';
    found.set(`${name}@${version}`, { ...entry, id: `${name}@${version}`, name, version });
  }
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}
