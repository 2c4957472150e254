/** Schemathesis, a fuzzer of HTTP interfaces, as it comes from PyPI: kept in a cache, and run over a contract. */
import { spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

const version = '4.32.5';
const configuration = join(__dirname, '..', 'endurance', 'schemathesis.toml');

/** Somebody to ask as. */
export interface Asker {
  readonly role: string;
  /** Asked for just before: who was asked as before may have revoked every key there was. */
  readonly key: () => Promise<string>;
  readonly seconds: number;
}

/** What a run came to. */
export interface Fuzzed {
  readonly role: string;
  readonly cases: number;
  readonly failures: number;
  /** What the fuzzer said; of use where something failed. */
  readonly report: string;
}

/** Why there is no fuzzer here. */
export class NoFuzzerError extends Error {
  override readonly name = 'NoFuzzerError';
}

/**
 * The program, installed where it is not yet: some 60 MB in the user's cache, once.
 *
 * @throws {NoFuzzerError} there is no Python 3.10, or the package cannot be had
 */
export async function fuzzer(): Promise<string> {
  const cache =
    process.env['ABLAUF_CACHE_DIR'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'ablauf');
  const home = join(cache, `schemathesis-${version}`);
  const program = join(home, 'bin', 'schemathesis');
  if (await exists(program)) return program;
  if (process.env['ABLAUF_OFFLINE'] === '1') throw new NoFuzzerError('ABLAUF_OFFLINE=1, and it is not in the cache');
  const python = await run('python3', ['-c', 'import sys, venv; sys.exit(sys.version_info < (3, 10))'], 30);
  if (python.code !== 0) throw new NoFuzzerError('it needs python3, 3.10 or newer, with venv');
  await mkdir(cache, { recursive: true });
  await rm(home, { recursive: true, force: true });
  // pip writes programs last: where this one is, the rest is.
  const steps: (readonly [string, readonly string[]])[] = [
    ['python3', ['-m', 'venv', home]],
    [
      join(home, 'bin', 'python'),
      ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `schemathesis==${version}`],
    ],
  ];
  for (const [command, given] of steps) {
    const done = await run(command, given, 240);
    if (done.code !== 0) {
      await rm(home, { recursive: true, force: true });
      throw new NoFuzzerError(`schemathesis ${version} cannot be installed: ${lastLine(done.said)}`);
    }
  }
  return program;
}

/** Asks a system everything its contract offers, and much that it does not, for so many seconds each. */
export async function fuzz(
  program: string,
  { url, contract, askers, seed }: { url: string; contract: unknown; askers: readonly Asker[]; seed: number },
): Promise<Fuzzed[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-fuzz-'));
  const results: Fuzzed[] = [];
  try {
    await writeFile(join(folder, 'contract.json'), JSON.stringify(contract));
    for (const { role, key, seconds } of askers) {
      const report = join(folder, `${role}.json`);
      const given = [
        ...['--config-file', configuration, '--no-color', 'run', join(folder, 'contract.json'), '--url', url],
        ...['--header', `Authorization: Bearer ${await key()}`, '--max-time', String(seconds), '--seed', String(seed)],
        ...['--report', 'json', '--report-json-path', report, '--continue-on-failure'],
      ];
      const { said } = await run(program, given, seconds + 90, folder);
      const counts = /^ *(\d+) generated(?:, (\d+) found)?/m.exec(said);
      const errors = /(\d+) errors?\b[^\n]*in [\d.]+s/.exec(said)?.[1] ?? '0';
      results.push({
        role,
        cases: Number(counts?.[1] ?? 0),
        failures: Number(counts?.[2] ?? 0) + Number(errors),
        report: said,
      });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return results;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * The contract with what no schema can say: which accounts there are, which lengths of time this deployment takes, and which
 * entity tag is never stale. Without it nearly every request would end at an account there is not. A cursor is only ever one that was
 * given out: what becomes of others is shown by test/hostile-input.test.ts.
 */
export function narrowed(contract: Json, accounts: readonly string[]): Json {
  const copy = structuredClone(contract) as {
    paths: Record<string, Record<string, { parameters?: { name?: string; in?: string; schema?: unknown }[] }>>;
    components: { schemas: Record<string, unknown>; parameters: Record<string, { schema: unknown }> };
  };
  for (const [path, operations] of Object.entries(copy.paths)) {
    for (const operation of Object.values(operations)) {
      // Whoever follows the log waits for its next entry: that is its promise, and no answer to wait for here.
      operation.parameters = (operation.parameters ?? []).filter(({ name }) => name !== 'cursor' && name !== 'follow');
      if (!path.startsWith('/v1/accounts/{id}')) continue;
      for (const parameter of operation.parameters) {
        if (parameter.in === 'path' && parameter.name === 'id') parameter.schema = { type: 'string', enum: accounts };
      }
    }
  }
  copy.components.schemas['LengthOfTime'] = { type: 'string', enum: ['P14D', 'P2W', 'PT336H', 'P1DT12H'] };
  const { IfMatch } = copy.components.parameters;
  if (IfMatch !== undefined) IfMatch.schema = { type: 'string', enum: ['*'] };
  return copy;
}

function run(
  command: string,
  given: readonly string[],
  seconds: number,
  cwd?: string,
): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, given, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: seconds * 1000,
      ...(cwd === undefined ? {} : { cwd }),
    });
    let said = '';
    child.stdout.on('data', (bytes) => (said += String(bytes)));
    child.stderr.on('data', (bytes) => (said += String(bytes)));
    child.on('error', (error) => resolve({ code: -1, said: `${said}${error.message}` }));
    child.on('close', (code) => resolve({ code, said }));
  });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
