/** What a release says of itself: its bills of materials, and the audit of what it is made of. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { licenceFlaws } from '../scripts/support/licences';
import { lockedPackages, root, type LockedPackage } from '../scripts/support/packages';
import { cycloneDxOf, type CycloneDx } from '../scripts/support/sbom';
import { listen } from './helpers/api';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablauf-release-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly text: string;
}

/** Runs a script of the release into a folder. */
function run(script: string, to: string, environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', join(root, 'scripts', `${script}.ts`), to],
      { cwd: root, env: { ...process.env, ...environment } },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, text: stdout + stderr }),
    );
  });
}

const read = (file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Record<string, unknown>;
const epoch = { SOURCE_DATE_EPOCH: '1767225600' };

describe('bills of materials', () => {
  it('name every package of a release with its digest, none for development, and are the same each time', async () => {
    const again = mkdtempSync(join(tmpdir(), 'ablauf-release-'));
    try {
      expect(await run('release-sbom', folder, epoch)).toMatchObject({ code: 0 });
      expect(await run('release-sbom', again, epoch)).toMatchObject({ code: 0 });
      for (const file of ['ablauf-0.1.0.cdx.json', 'ablauf-0.1.0.spdx.json', 'SHA256SUMS']) {
        expect(readFileSync(join(again, file), 'utf8')).toBe(readFileSync(join(folder, file), 'utf8'));
      }
    } finally {
      rmSync(again, { recursive: true });
    }
    const wanted = lockedPackages(root).map(({ id }) => id);
    expect(wanted).toEqual(
      expect.arrayContaining([expect.stringMatching(/^express@/), expect.stringMatching(/^bson@/)]),
    );
    expect(wanted.filter((id) => /^(jest|typescript|oidc-provider)@/.test(id))).toEqual([]);

    const cdx = read('ablauf-0.1.0.cdx.json') as unknown as CycloneDx;
    const hashed = (read('ablauf-0.1.0.cdx.json') as { components: { hashes: { alg: string }[] }[] }).components;
    expect(cdx.components.map((component) => component['bom-ref'])).toEqual(wanted);
    expect(hashed.every(({ hashes }) => hashes.some(({ alg }) => alg === 'SHA-512'))).toBe(true);
    expect(cdx.metadata).toMatchObject({ timestamp: '2026-01-01T00:00:00.000Z', component: { name: 'ablauf' } });
    expect(cdx.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const refs = new Set(['ablauf@0.1.0', ...wanted]);
    expect(
      cdx.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]).filter((ref) => !refs.has(ref)),
    ).toEqual([]);

    const { packages, relationships } = read('ablauf-0.1.0.spdx.json') as {
      packages: { name: string; versionInfo: string }[];
      relationships: { relationshipType: string }[];
    };
    const listed = packages.map(({ name, versionInfo }) => `${name}@${versionInfo}`).sort();
    expect(listed).toEqual(['ablauf@0.1.0', ...wanted].sort());
    expect(relationships.some(({ relationshipType }) => relationshipType.startsWith('DEV_'))).toBe(false);
  }, 120_000);

  it('are not made where npm leaves a package out', () => {
    const bill: CycloneDx = {
      serialNumber: '',
      metadata: { timestamp: '', component: { 'bom-ref': 'x@1', name: 'x' } },
      components: [{ 'bom-ref': 'a@1' }],
      dependencies: [],
    };
    const release = { product: { name: 'x', version: '1' }, at: new Date(), packages: new Set(['a@1', 'b@2']) };
    expect(() => cycloneDxOf(bill, release)).toThrow('npm sbom says nothing of b@2');
  });
});

describe('licences', () => {
  const one = (name: string, license?: string): LockedPackage => ({
    id: `${name}@1`,
    name,
    version: '1',
    ...(license === undefined ? {} : { license }),
  });

  it('of everything there is are allowed', () => {
    expect(licenceFlaws(lockedPackages(root))).toEqual([]);
  });

  it.each([
    ['a licence that asks for more', one('a', 'GPL-3.0-only')],
    ['one of two that are both to be kept', one('a', 'MIT AND GPL-2.0-only')],
    ['none', one('a')],
    ['words', one('a', 'SEE LICENSE IN LICENSE')],
    ['more than is understood', one('a', '(MIT OR (ISC AND GPL-3.0-only))')],
    ['an exception that has changed', one('unionfs', 'GPL-3.0-only')],
    ['another package’s exception', one('a', 'CC-BY-4.0')],
  ])('%s is named', (_, found) => {
    expect(licenceFlaws([found])).toEqual(
      [{ package: 'a@1', license: found.license ?? 'none named' }].map((flaw) => ({ ...flaw, package: found.id })),
    );
  });

  it.each(['MIT', '(MIT OR GPL-3.0-only)', 'Apache-2.0 AND MIT'])('%s is allowed', (license) => {
    expect(licenceFlaws([one('a', license)])).toEqual([]);
  });
});

describe('the audit', () => {
  /** A registry that knows what it is told to, and nothing else. */
  async function audited(
    advisories: unknown,
  ): Promise<Ended & { looks: { what: string; outcome: string; found: string[] }[] }> {
    const server = await listen(
      createServer((request, response) => {
        const isAsked = request.method === 'POST' && request.url === '/-/npm/v1/security/advisories/bulk';
        const known = isAsked && advisories !== undefined;
        request.resume();
        response.writeHead(known ? 200 : 405, { 'content-type': 'application/json' });
        response.end(JSON.stringify(known ? advisories : { error: 'no' }));
      }),
    );
    const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    try {
      // What checks signatures asks others than the registry, and waits for them longer than a test does.
      const environment = {
        npm_config_registry: registry,
        npm_config_fetch_retries: '0',
        RELEASE_AUDIT_PATIENCE: '15000',
      };
      const ended = await run('release-audit', folder, environment);
      return { ...ended, looks: read('ablauf-0.1.0.audit.json')['looks'] as never };
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  it('names what the registry knows of a package, and fails', async () => {
    const advisory = {
      id: 1,
      url: 'https://example.org/1',
      title: 'a flaw',
      severity: 'high',
      vulnerable_versions: '<99',
      cwe: [],
      cvss: { score: 7, vectorString: '' },
    };
    const { code, looks } = await audited({ express: [advisory] });
    const look = looks.find(({ what }) => what === 'vulnerabilities');
    expect([code, look?.outcome, look?.found]).toEqual([
      1,
      'flawed',
      ['express: high: a flaw (https://example.org/1)'],
    ]);
  }, 120_000);

  it('is no clean bill where nobody answers', async () => {
    const { code, looks, text } = await audited(undefined);
    expect(looks.map(({ what, outcome }) => `${what}: ${outcome}`)).toEqual([
      'licences: well',
      'pins: well',
      'vulnerabilities: not-looked-at',
      'signatures: not-looked-at',
    ]);
    expect(code).toBe(3);
    expect(text).toContain('405 Method Not Allowed');
  }, 120_000);
});
