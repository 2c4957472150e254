/**
 * R23: the ledger of erasures keeps what it was given, in order, whoever writes at once; and whatever is missing of it, or
 * changed in it, is found and named.
 */
import { randomBytes } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  LedgerError,
  openLedgerAt,
  type ErasureEntry,
  type Ledger,
  type LedgerPlace,
  type Position,
} from '../src/ledger';
import { localKeyProvider, openKeyStore, openVault, type Vault } from '../src/vault';
import { startConditionalStorage, type ConditionalStorage } from './helpers/s3-conditions';
import { startObjectStorage, type ObjectStorage } from './helpers/s3';
import { masterKey, region, required } from './helpers/system';

let vault: Vault;
let folder: string;
let storage: ConditionalStorage;
let careless: ObjectStorage;

async function vaultOf(site: string): Promise<Vault> {
  const uri = new URL(required('ABLAUF_TEST_MONGODB'));
  uri.pathname = `/test_${randomBytes(6).toString('hex')}`;
  const keyStore = await openKeyStore({ uri: uri.href });
  return openVault({ keyStore, region: site, master: localKeyProvider(masterKey, site) });
}

async function drop(opened: Vault): Promise<void> {
  await opened.keyStore.connection.dropDatabase();
  await opened.close();
}

beforeAll(async () => {
  vault = await vaultOf(region);
  folder = await mkdtemp(join(tmpdir(), 'ablauf-ledger-'));
  storage = await startConditionalStorage();
  careless = await startObjectStorage();
});

afterAll(async () => {
  await drop(vault);
  await storage.stop();
  await careless.stop();
  await rm(folder, { recursive: true, force: true });
});

function freshFile(): string {
  return join(folder, randomBytes(6).toString('hex'), 'ledger.ndjson');
}

function freshBucket(): LedgerPlace {
  return { ...storage.options, prefix: `${randomBytes(6).toString('hex')}/` };
}

const places: [string, () => LedgerPlace][] = [
  ['a file', () => ({ path: freshFile() })],
  ['an object storage', freshBucket],
];

function entry(name: string, kind: ErasureEntry['kind'] = 'account'): ErasureEntry {
  return {
    kind,
    subject: vault.pseudonymOf(name),
    erasedAt: '2026-11-22T13:35:00.000Z',
    certificate: `cert_${name}`,
  };
}

async function read(ledger: Ledger, from?: Position): Promise<ErasureEntry[]> {
  const found: ErasureEntry[] = [];
  for await (const { line } of ledger.after(from)) if (line.entry.kind !== 'beginning') found.push(line.entry);
  return found;
}

/** A ledger with so many lines, begun, and where the last one lies. */
async function filled(place: LedgerPlace, count: number): Promise<{ ledger: Ledger; last: Position | undefined }> {
  const ledger = openLedgerAt(place, vault);
  await ledger.open({ positions: [], expected: false });
  let last: Position | undefined;
  for (let n = 0; n < count; n += 1) last = await ledger.append(entry(`a${n}`), last);
  return { ledger, last };
}

async function findingOf(opening: Promise<unknown>): Promise<string> {
  const error = await opening.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (!(error instanceof LedgerError)) throw new Error(`expected a finding, not ${String(error)}`);
  expect(error.message).toContain('docs/restore.md');
  return error.finding;
}

describe.each(places)('in %s', (_where, fresh) => {
  test('R23: lines are read as they were written, after any position', async () => {
    const place = fresh();
    const { ledger } = await filled(place, 3);
    const second = await ledger.append(entry('a1'), undefined);
    expect(await read(ledger)).toEqual(['a0', 'a1', 'a2'].map((name) => entry(name)));
    expect(await read(ledger, second)).toEqual([entry('a2')]);
    await ledger.append(entry('a2', 'retained'), second);
    expect(await read(openLedgerAt(place, vault))).toHaveLength(3);
  });

  test('R23: the same certificate has one line, however often it is asked for, also after a crash', async () => {
    const place = fresh();
    const { last } = await filled(place, 2);
    const again = openLedgerAt(place, vault);
    await again.open({ positions: last === undefined ? [] : [last], expected: true });
    const positions = await Promise.all([again.append(entry('new'), last), again.append(entry('new'), undefined)]);
    expect(positions[0]).toEqual(positions[1]);
    expect(await read(again)).toHaveLength(3);
  });

  test('R23: writers that know nothing of each other lose no line and corrupt none', async () => {
    const place = fresh();
    const writers = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const ledger = openLedgerAt(place, vault);
        await ledger.open({ positions: [], expected: false });
        return ledger;
      }),
    );
    await Promise.all(
      writers.map(async (ledger, writer) => {
        let last: Position | undefined;
        for (let n = 0; n < 5; n += 1) last = await ledger.append(entry(`w${writer}-${n}`), last);
      }),
    );
    const [ledger] = writers;
    if (ledger === undefined) throw new Error('there is no writer');
    await ledger.open({ positions: [], expected: true });
    const names = (await read(ledger)).map(({ certificate }) => certificate);
    expect(new Set(names).size).toBe(20);
    expect(names).toHaveLength(20);
  });

  test('R23: one that is missing is begun where there was none, and missed where there was one', async () => {
    const place = fresh();
    const ledger = openLedgerAt(place, vault);
    expect(await findingOf(ledger.open({ positions: [], expected: true }))).toBe('missing');
    const position = { seq: 4, hash: 'h', start: 4, end: 5 };
    expect(await findingOf(ledger.open({ positions: [position], expected: false }))).toBe('missing');
    await ledger.open({ positions: [], expected: false });
    expect(await read(ledger)).toEqual([]);
  });

  test('R23: one that ends before what was read of it is truncated, and another one in its place is altered', async () => {
    const { last } = await filled(fresh(), 4);
    if (last === undefined) throw new Error('nothing was written');
    const shorter = fresh();
    await filled(shorter, 2);
    expect(await findingOf(openLedgerAt(shorter, vault).open({ positions: [last], expected: true }))).toBe('truncated');
    const other = fresh();
    await filled(other, 6);
    expect(await findingOf(openLedgerAt(other, vault).open({ positions: [last], expected: true }))).toBe('altered');
  });

  test("R25: another region's ledger is refused, and so is one signed by a key that is not ours", async () => {
    const place = fresh();
    await filled(place, 1);
    const elsewhere = await vaultOf('us-east-1');
    const stranger = await vaultOf(region);
    try {
      const opened = (own: Vault) => openLedgerAt(place, own).open({ positions: [], expected: true });
      expect(await findingOf(opened(elsewhere))).toMatch(/foreign|altered/);
      expect(await findingOf(opened(stranger))).toBe('altered');
    } finally {
      await drop(elsewhere);
      await drop(stranger);
    }
  });
});

test('R22, R23: a line says the pseudonym, the time, the certificate and its place in the chain, and nothing else', async () => {
  const path = freshFile();
  await filled({ path }, 1);
  const lines = (await readFile(path, 'utf8')).trim().split('\n');
  const members = Object.keys(JSON.parse(lines[1] ?? '') as object);
  expect(members).toEqual(['v', 'region', 'seq', 'prev', 'kind', 'subject', 'erasedAt', 'certificate', 'kid', 'sig']);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

describe('a file somebody has touched', () => {
  /** What opening finds once the file's lines were changed. */
  async function after(change: (lines: string[]) => string[], read: 'nothing' | 'all' = 'nothing'): Promise<string> {
    const path = freshFile();
    const { last } = await filled({ path }, 5);
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    await writeFile(path, `${change(lines).join('\n')}\n`);
    const positions = read === 'all' && last !== undefined ? [last] : [];
    return findingOf(openLedgerAt({ path }, vault).open({ positions, expected: true }));
  }

  const flipped = (line: string, at: number) =>
    line.slice(0, at) + String.fromCharCode(line.charCodeAt(at) ^ 1) + line.slice(at + 1);

  test('R23: a flipped bit is found wherever it is, in a line that was read before and in one that was not', async () => {
    for (const index of [0, 1, 3, 5]) {
      for (const share of [0, 0.2, 0.4, 0.6, 0.8, 0.99]) {
        const change = (lines: string[]) =>
          lines.map((line, n) => (n === index ? flipped(line, Math.floor(line.length * share)) : line));
        expect([index, share, await after(change)]).toEqual([index, share, 'altered']);
        expect([index, share, await after(change, 'all')]).toEqual([index, share, 'altered']);
      }
    }
  });

  test('R23: a line taken out, moved, or put in is found', async () => {
    expect(await after((lines) => lines.filter((_, n) => n !== 2))).toBe('altered');
    expect(await after((lines) => lines.filter((_, n) => n !== 0))).toBe('altered');
    expect(await after(([a = '', b = '', c = '', ...rest]) => [a, c, b, ...rest])).toBe('altered');
    expect(await after((lines) => [...lines, '{"v":1}'])).toBe('altered');
    expect(await after(() => ['not a ledger'])).toBe('altered');
    expect(await after((lines) => lines.slice(0, 3), 'all')).toBe('truncated');
  });

  test('R23: a line that is there twice counts once', async () => {
    const path = freshFile();
    const { ledger } = await filled({ path }, 2);
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    await appendFile(path, `${lines[1] ?? ''}\n`);
    await ledger.open({ positions: [], expected: true });
    expect(await read(ledger)).toHaveLength(2);
  });

  test('R23: what a crash broke off never counted, and is written again behind it', async () => {
    const path = freshFile();
    const { ledger, last } = await filled({ path }, 2);
    const { size } = await stat(path);
    await ledger.append(entry('broken'), last);
    const whole = (await stat(path)).size;
    for (const end of [size + 1, size + 40, whole - 2]) {
      await truncate(path, end);
      const again = openLedgerAt({ path }, vault);
      await again.open({ positions: last === undefined ? [] : [last], expected: true });
      expect(await read(again)).toHaveLength(2);
      await again.append(entry('broken'), last);
      await again.open({ positions: [], expected: true });
      expect(await read(again)).toHaveLength(3);
      await truncate(path, size);
    }
  });
});

test('R23: an object storage that lets one line overwrite another is refused', async () => {
  const place = { ...careless.options, prefix: 'ledger/' };
  expect(await findingOf(openLedgerAt(place, vault).open({ positions: [], expected: false }))).toBe('unsafe-storage');
});
