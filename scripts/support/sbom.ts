/**
 * Software bills of materials that say the same each time they are made of the same release: what `npm sbom` says of the lock
 * file, without the packages for development, in one order, with the time of the release and a number that follows from the
 * content.
 *
 * `npm sbom --omit dev` is not used: it leaves out what development needs as well, and so most of a release (npm 11.19).
 */
import { createHash } from 'node:crypto';
import type { Product } from './packages';

/** What both formats are given. */
export interface Release {
  readonly product: Product;
  /** When it was made. */
  readonly at: Date;
  /** What it is made of, as `NAME@VERSION`. */
  readonly packages: ReadonlySet<string>;
}

interface Component {
  readonly 'bom-ref': string;
  readonly properties?: readonly { readonly name: string }[];
}

/** A bill in the form of CycloneDX, as far as it is touched here. */
export interface CycloneDx {
  readonly serialNumber: string;
  readonly metadata: { readonly timestamp: string; readonly component: Component & { readonly name: string } };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** A bill in the form of SPDX, as far as it is touched here. */
export interface Spdx {
  readonly documentNamespace: string;
  readonly creationInfo: { readonly created: string };
  readonly packages: readonly { readonly SPDXID: string; readonly name: string; readonly versionInfo: string }[];
  readonly relationships: readonly {
    readonly spdxElementId: string;
    readonly relatedSpdxElement: string;
    readonly relationshipType: string;
  }[];
}

/** The bill of a release in the form of CycloneDX. @throws {Error} a package of the release is not in it */
export function cycloneDxOf<B extends CycloneDx>(bill: B, { product, at, packages }: Release): B {
  const itself = bill.metadata.component['bom-ref'];
  const isPart = (ref: string) => packages.has(ref) || ref === itself;
  const components = sorted(
    bill.components.filter((component) => isPart(component['bom-ref'])),
    (component) => component['bom-ref'],
  );
  assertWhole(
    packages,
    components.map((component) => component['bom-ref']),
  );
  const dependencies = sorted(
    bill.dependencies
      .filter(({ ref }) => isPart(ref))
      .map((dependency) => ({ ...dependency, dependsOn: dependency.dependsOn.filter(isPart).sort() })),
    ({ ref }) => ref,
  );
  // npm calls the product after the folder it lies in.
  const component = { ...bill.metadata.component, name: product.name };
  const metadata = { ...bill.metadata, timestamp: at.toISOString(), component };
  const content = { ...bill, metadata, components, dependencies };
  return { ...content, serialNumber: `urn:uuid:${numberOf({ ...content, serialNumber: '' })}` };
}

/** The bill of a release in the form of SPDX. @throws {Error} a package of the release is not in it */
export function spdxOf<B extends Spdx>(bill: B, { product, at, packages }: Release): B {
  const itself = `${product.name}@${product.version}`;
  const idOf = ({ name, versionInfo }: Spdx['packages'][number]) => `${name}@${versionInfo}`;
  const parts = bill.packages.filter((part) => packages.has(idOf(part)) || idOf(part) === itself);
  assertWhole(packages, parts.map(idOf));
  const known = new Set(['SPDXRef-DOCUMENT', ...parts.map(({ SPDXID }) => SPDXID)]);
  const relationships = bill.relationships.filter(
    // What a package needs for its own development is not needed here.
    ({ spdxElementId, relatedSpdxElement, relationshipType }) =>
      known.has(spdxElementId) && known.has(relatedSpdxElement) && relationshipType !== 'DEV_DEPENDENCY_OF',
  );
  const content = {
    ...bill,
    creationInfo: { ...bill.creationInfo, created: at.toISOString().replace(/\.\d+Z$/, 'Z') },
    packages: sorted(parts, ({ SPDXID }) => SPDXID),
    relationships: sorted(relationships, (one) => JSON.stringify(one)),
  };
  const number = numberOf({ ...content, documentNamespace: '' });
  return { ...content, documentNamespace: `https://spdx.org/spdxdocs/${product.name}-${product.version}-${number}` };
}

function assertWhole(packages: ReadonlySet<string>, listed: readonly string[]): void {
  const known = new Set(listed);
  const missing = [...packages].filter((id) => !known.has(id));
  if (missing.length > 0) throw new Error(`npm sbom says nothing of ${missing.join(', ')}`);
}

function sorted<T>(items: readonly T[], by: (item: T) => string): T[] {
  return [...items].sort((a, b) => (by(a) < by(b) ? -1 : 1));
}

/** A UUID (RFC 9562, version 8) that follows from a content. */
function numberOf(content: unknown): string {
  const digest = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  const variant = '89ab'[Number.parseInt(digest[16] ?? '0', 16) % 4] ?? '8';
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `${variant}${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join('-');
}
