/** Which licences the packages of a release may have. */
import type { LockedPackage } from './packages';

/** Permissive ones: nothing of ours has to be published, and nobody has to be asked. SPDX identifiers. */
const allowed: readonly string[] = [
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'Unlicense',
];

/** What was looked at by hand, and why it may be there. By package, of whatever version. */
const exceptions: Readonly<Record<string, { readonly license: string | undefined; readonly why: string }>> = {
  'caniuse-lite': {
    license: 'CC-BY-4.0',
    why: 'data on browsers that webpack brings, unchanged; its licence asks for attribution, which its own folder holds',
  },
  unionfs: { license: undefined, why: 'its package.json names no licence; its LICENSE file is the Unlicense' },
};

/** A package whose licence is not allowed. */
export interface LicenceFlaw {
  readonly package: string;
  readonly license: string;
}

/** How many packages have each licence, the most frequent first. */
export function licencesOf(packages: readonly LockedPackage[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { license = 'none named' } of packages) counts.set(license, (counts.get(license) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

/** The packages that may not be there. */
export function licenceFlaws(packages: readonly LockedPackage[]): LicenceFlaw[] {
  return packages
    .filter(({ name, license }) => {
      const exception = exceptions[name];
      return !isAllowed(license) && !(exception !== undefined && exception.license === license);
    })
    .map(({ id, license = 'none named' }) => ({ package: id, license }));
}

/** Whether an SPDX expression of the simple kinds is satisfied: all of an `AND`, one of an `OR`; nothing deeper is understood. */
function isAllowed(license: string | undefined): boolean {
  if (license === undefined) return false;
  const plain = license.replace(/^\((.*)\)$/, '$1');
  if (/[()]/.test(plain)) return false;
  return plain.split(' OR ').some((all) => all.split(' AND ').every((one) => allowed.includes(one)));
}
