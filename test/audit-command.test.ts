/** R20: `ablauf audit verify`, as operators run it and as an auditor does who has the public key and no other. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newestCheckpoint, originOf, sequenceBatch } from '../src/audit';
import type { Store } from '../src/data';
import { native } from '../src/database';
import { bySystem } from '../src/lifecycle';
import { ablauf } from './helpers/command';
import { complete } from './helpers/configuration';
import { dropTestStore, masterKey, openTestStore, region, required, vaultUriBeside } from './helpers/system';

let store: Store;
let folder: string;
let uri: string;
const size = 300;

beforeAll(async () => {
  store = await openTestStore();
  folder = await mkdtemp(join(tmpdir(), 'ablauf-audit-'));
  uri = uriOf(store.connection.name);
  const account = 'acct-0123456789';
  await store.vault.makeKey(account);
  await store.transaction(async (session) => {
    for (let n = 0; n < size; n += 1) {
      const entry = { at: new Date(), actor: bySystem, action: 'test.done', account, details: { n } };
      await store.audit.append(session, entry);
    }
  });
  await sequenceBatch(store);
  await writeFile(file('keys.json'), JSON.stringify({ keys: await store.vault.publicKeys() }));
  await writeFile(file('witness.ndjson'), `${JSON.stringify({ note: await newestCheckpoint(store) })}\n`);
});
afterAll(async () => {
  await dropTestStore(store);
  await rm(folder, { recursive: true });
});

const file = (name: string) => join(folder, name);

function uriOf(database: string): string {
  const found = new URL(required('ABLAUF_TEST_MONGODB'));
  found.pathname = `/${database}`;
  return found.href;
}

/** As an auditor: an environment that says nothing. */
const audit = (...options: string[]) =>
  ablauf({ PATH: process.env['PATH'] }, 'audit', 'verify', '--uri', uri, '--region', region, ...options);

/** As an operator, where the processes run. */
const operate = (...options: string[]) =>
  ablauf(
    {
      PATH: process.env['PATH'],
      ...complete,
      LITELLM_MASTER_KEY: masterKey,
      ABLAUF_MONGODB_URI: uri,
      ABLAUF_VAULT_URI: vaultUriBeside(uri),
      ABLAUF_VAULT_SHARED: '1',
    },
    'audit',
    'verify',
    ...options,
  );

async function tampered<T>(position: number, $set: object, look: () => Promise<T>): Promise<T> {
  const entries = native(store.audit.entries);
  const before = await entries.findOne({ position });
  await entries.updateOne({ position }, { $set });
  try {
    return await look();
  } finally {
    if (before !== null) await entries.replaceOne({ _id: before._id }, before);
  }
}

describe('an auditor with the public key', () => {
  test('R20: is told that the log holds, and what was not looked at', async () => {
    const said = await audit('--key', file('keys.json'));
    expect(said).toMatchObject({ code: 0, err: '' });
    expect(said.out).toContain(`The audit log of ${region} holds: ${size} entries`);
    expect(said.out).toContain('Personal parts were not opened');
    expect(said.out).toContain('against no witness');
    const [key] = await store.vault.publicKeys();
    await writeFile(file('one.json'), JSON.stringify(key));
    const witnessed = await audit('--key', file('one.json'), '--witness', file('witness.ndjson'));
    expect(witnessed).toMatchObject({ code: 0, err: '' });
    expect(witnessed.out).toContain(`the one the witness file:${file('witness.ndjson')} saw`);
  });

  test('R20: is told the first fault exactly', async () => {
    const said = await tampered(42, { 'details.n': -1 }, () => audit('--key', file('keys.json'), '--json'));
    expect(said.code).toBe(1);
    expect(JSON.parse(said.out)).toMatchObject({
      ok: false,
      entries: 42,
      firstFault: { stream: originOf(region), seq: 42, fault: 'altered' },
      personalParts: false,
    });
    const people = await tampered(42, { 'details.n': -1 }, () => audit('--key', file('keys.json')));
    expect(people).toMatchObject({ code: 1, out: '' });
    expect(people.err).toContain('from number 42 on: altered');
  });

  test('R20: trusts the keys that were given, and not those the database goes with', async () => {
    const stranger = { kty: 'OKP', crv: 'Ed25519', x: Buffer.alloc(32, 7).toString('base64url') };
    await writeFile(file('stranger.json'), JSON.stringify({ keys: [stranger] }));
    const said = await audit('--key', file('stranger.json'));
    expect(said.code).toBe(1);
    expect(said.err).toContain('signature');
  });

  test('R20: is told that the log is not the one a witness saw', async () => {
    const note = (await newestCheckpoint(store)).replace(`\n${size}\n`, `\n${size - 1}\n`);
    await writeFile(file('other.ndjson'), `${JSON.stringify({ note })}\n`);
    const said = await audit('--key', file('keys.json'), '--witness', file('other.ndjson'));
    expect(said.code).toBe(1);
  });

  test.each([
    [['--key', 'missing.json'], 'missing.json'],
    [[], '--uri needs --key'],
    [['--key', 'keys.json', '--region', 'us-east-1'], 'us-east-1'],
    [['--key', 'keys.json', '--witness', 'ftp://a.example'], 'ftp://a.example'],
    [['--key', 'keys.json', '--witness', 'https://a.example'], 'cannot be read again'],
    [['--key', 'keys.json', '--witness', 'missing.ndjson'], 'missing.ndjson'],
    [['--key', 'keys.json', '--uri', 'mongodb://db.example/ablauf'], 'in the clear'],
    [['--key', 'keys.json', '--uri', 'nonsense'], 'not a URI'],
    [['--key', 'witness.ndjson'], 'no Ed25519 key'],
  ])('is told that it could not be asked, and why: %j', async (options, reason) => {
    const there = (option: string) => (/\.(json|ndjson)$/.test(option) ? file(option) : option);
    const said = await audit(...options.map(there));
    // Of another region's log every checkpoint is a stranger's.
    expect([said.code, said.out]).toEqual([reason === 'us-east-1' ? 1 : 2, '']);
    expect(said.err).toContain(reason);
  });

  test('is not told that a log holds where there is none', async () => {
    const said = await audit('--key', file('keys.json'), '--uri', uriOf('test_of_nobody'));
    expect(said).toMatchObject({ code: 2, out: '' });
    expect(said.err).toContain('no audit log');
  });
});

describe('an operator, where the processes run', () => {
  test('R20: has personal parts opened too', async () => {
    const said = await operate('--json');
    expect(said).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(said.out)).toMatchObject({ ok: true, entries: size, personalParts: true, witnesses: [] });
    const other = await native(store.audit.entries).findOne({ position: 8 });
    const exchanged = await tampered(7, { customer: other?.customer }, () => operate());
    expect(exchanged.code).toBe(1);
    expect(exchanged.err).toContain('from number 7 on: commitment');
  });

  test('has to have a configuration', async () => {
    const said = await ablauf({ PATH: process.env['PATH'] }, 'audit', 'verify');
    expect(said).toMatchObject({ code: 2, out: '' });
    expect(said.err).toContain('ABLAUF_MONGODB_URI');
  });
});
