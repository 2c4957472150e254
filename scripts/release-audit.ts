/**
 * `npm run release:audit [FOLDER]`: looks at what a release is made of, and writes down what was found. Ends with 0 where
 * everything was looked at and is well, with 1 where something is not, and with 3 where something could not be looked at:
 * that nobody answered is no clean bill.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { licenceFlaws, licencesOf } from './support/licences';
import { lockedPackages, readProduct, root, type LockedPackage } from './support/packages';

type Outcome = 'well' | 'flawed' | 'not-looked-at';

/** What one look came to. */
interface Look {
  readonly what: string;
  readonly outcome: Outcome;
  readonly found: readonly string[];
}

const exitCodes: Readonly<Record<Outcome, number>> = { well: 0, flawed: 1, 'not-looked-at': 3 };
/** Nobody who has not answered by then will, in milliseconds. */
const patience = Number(process.env['RELEASE_AUDIT_PATIENCE'] ?? 120_000);
const mostOutput = 64 * 1024 * 1024;

function licences(packages: readonly LockedPackage[]): Look {
  const flaws = licenceFlaws(packages).map(({ package: id, license }) => `${id}: ${license}`);
  const found = flaws.length > 0 ? flaws : licencesOf(packages).map(([license, count]) => `${license}: ${count}`);
  return { what: 'licences', outcome: flaws.length > 0 ? 'flawed' : 'well', found };
}

/** Whether each package is pinned to bytes, and to the registry. */
function pins(packages: readonly LockedPackage[]): Look {
  const found = packages.flatMap(({ id, integrity, resolved }) => [
    ...(integrity?.startsWith('sha512-') === true ? [] : [`${id}: is pinned to no SHA-512`]),
    ...(resolved === undefined ? [] : [`${id}: comes from ${resolved}`]),
  ]);
  return { what: 'pins', outcome: found.length > 0 ? 'flawed' : 'well', found };
}

/** Whether the registry knows of a vulnerability. */
async function vulnerabilities(): Promise<Look> {
  const what = 'vulnerabilities';
  const said = await npm(['audit', '--omit', 'dev', '--package-lock-only', '--json']);
  const counts = membersOf(membersOf(said['metadata'])['vulnerabilities']);
  if (typeof counts['total'] !== 'number') return unanswered(what, said);
  const found = Object.entries(membersOf(said['vulnerabilities'])).map(([name, vulnerability]) => {
    const { severity, via } = membersOf(vulnerability);
    // What it comes from: an advisory, or the name of a package that has one.
    const sources = (Array.isArray(via) ? via : []).map((source: unknown) => {
      const { title, url } = membersOf(source);
      return typeof source === 'string' ? `by ${source}` : `${String(title)} (${String(url)})`;
    });
    return `${name}: ${String(severity)}: ${sources.join('; ')}`;
  });
  return { what, outcome: counts['total'] > 0 ? 'flawed' : 'well', found };
}

/** Whether the registry signed what is installed, and says where it was built where it says so at all. */
async function signatures(): Promise<Look> {
  const what = 'signatures';
  const said = await npm(['audit', 'signatures', '--omit', 'dev', '--json']);
  const { invalid, missing } = said;
  if (!Array.isArray(invalid) || !Array.isArray(missing)) return unanswered(what, said);
  const named = (list: readonly unknown[], flaw: string) =>
    list.map((one) => `${String(membersOf(one)['name'])}@${String(membersOf(one)['version'])}: ${flaw}`);
  const found = [...named(invalid, 'its signature is not valid'), ...named(missing, 'is not signed')];
  return { what, outcome: found.length > 0 ? 'flawed' : 'well', found };
}

function unanswered(what: string, said: Readonly<Record<string, unknown>>): Look {
  const error = membersOf(said['error']);
  const why = [said['message'], error['summary'], error['code']].find((text) => typeof text === 'string');
  return { what, outcome: 'not-looked-at', found: [typeof why === 'string' ? firstLine(why) : 'npm gave no answer'] };
}

/** What npm says, as JSON; it says it also where it ends with an error. */
async function npm(asked: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const options = { cwd: root, timeout: patience, maxBuffer: mostOutput };
  const text = await promisify(execFile)('npm', asked, options).then(
    ({ stdout }) => stdout,
    (error: unknown) => {
      const { stdout } = membersOf(error);
      return typeof stdout === 'string' ? stdout : '';
    },
  );
  try {
    return membersOf(JSON.parse(text));
  } catch {
    return {};
  }
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function firstLine(text: string): string {
  return text.split('\n')[0]?.slice(0, 300) ?? '';
}

async function main(folder: string): Promise<void> {
  const { name, version } = readProduct(root);
  const packages = lockedPackages(root);
  const looks = [licences(packages), pins(packages), await vulnerabilities(), await signatures()];
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}-${version}.audit.json`);
  writeFileSync(file, `${JSON.stringify({ name, version, packages: packages.length, looks }, null, 2)}\n`);
  for (const { what, outcome, found } of looks) {
    process.stdout.write(`${what}: ${outcome}\n${found.map((line) => `  ${line}\n`).join('')}`);
  }
  const outcomes = looks.map(({ outcome }) => outcome);
  const worst = (['flawed', 'not-looked-at'] as const).find((outcome) => outcomes.includes(outcome)) ?? 'well';
  process.exitCode = exitCodes[worst];
}

main(resolve(process.argv[2] ?? join(root, 'release'))).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
