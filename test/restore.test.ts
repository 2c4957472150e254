/**
 * R23: after an old backup is restored no erased account serves or keeps data. The database is put back to before accounts
 * were erased, with and without the key store, and in part.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { dataSets, ingest, tombstoneId, type OutsideStore, type Store } from '../src/data';
import { native } from '../src/database';
import {
  addMissing,
  compareWithLedger,
  LedgerError,
  openAgainst,
  watchLedger,
  type Comparison,
  type LedgerWatch,
} from '../src/ledger';
import { startApi, type Api } from './helpers/api';
import { courseSettings } from './helpers/courses';
import { dumpOf, restore, type Dump } from './helpers/dumps';
import { eventually } from './helpers/eventually';
import { accountPaths, event } from './helpers/events';
import { storeInvoices } from './helpers/invoices';
import { openTestLedger } from './helpers/ledger';
import { dropTestStore, openTestStore, workflowIdOf } from './helpers/system';

let api: Api;
/** The watch the API goes by, if any. */
let watch: LedgerWatch | undefined;

beforeAll(async () => {
  api = await startApi({
    settings: courseSettings,
    dependencies: (given) => ({ ...given, closed: () => watch?.closed() }),
  });
}, 120_000);

afterAll(async () => {
  await api.stop();
});

const store = (): Store => api.system.store;
const newId = (): string => `restored-${randomBytes(5).toString('hex')}`;
const quiet = { behind: () => undefined, restored: () => undefined, failed: () => undefined };

/** An account with records, an invoice and a key. */
async function account(): Promise<string> {
  const id = await api.system.createAccount({ id: newId() });
  const items = [0, 1, 2].map((n) => event(id, new Date(Date.now() - 1000), `call-${n}`));
  expect(await ingest(store(), items, accountPaths)).toMatchObject({ accepted: 3 });
  await storeInvoices(store(), id, ['2026-05-03']);
  await api.keyFor('customer', id);
  await store().vault.makeKey(id);
  return id;
}

async function erase(id: string): Promise<void> {
  await api.system.send(id, 'close');
  await api.system.client.workflow.getHandle(workflowIdOf(store().region, id)).result();
}

/** How much there is of an account, by collection, in whatever names it by its id. */
async function remainsOf(id: string): Promise<Record<string, number>> {
  const remains: Record<string, number> = {};
  const database = store().connection.getClient().db(store().connection.name);
  for (const { name } of await database.listCollections({}, { nameOnly: true }).toArray()) {
    const documents = database.collection(name).find({}, { raw: true }) as unknown as AsyncIterable<Uint8Array>;
    let found = 0;
    for await (const document of documents) if (Buffer.from(document).includes(id)) found += 1;
    if (found > 0) remains[name] = found;
  }
  return remains;
}

async function keyOf(id: string, kind = 'account') {
  const { vault } = store();
  return vault.keyStore.keys.findOne({ _id: `${kind}/${vault.pseudonymOf(id)}` });
}

/** The audit log stays: its sequencer has it in memory, and begins anew only with its process. */
function restoreData(backup: Dump): Promise<void> {
  const names = [...backup.collections.keys()].filter((name) => !name.startsWith('audit'));
  return restore(store().connection, backup, names);
}

function compare(outside: readonly OutsideStore[] = []): Promise<Comparison> {
  return compareWithLedger({ store: store(), ledger: api.system.ledger.ledger, outside });
}

async function expectErased(id: string): Promise<void> {
  const tombstone = await api.ask('GET', `/v1/accounts/${id}`);
  expect(tombstone).toMatchObject({ status: 200, body: { id, state: 'erased' } });
  expect(tombstone.body).not.toHaveProperty('email');
  // By their own rules, the log and what the law keeps say what they say.
  const { auditEntries: _log, sealedRecords: _kept, ...remains } = await remainsOf(id);
  expect(remains).toEqual({});
  expect(await keyOf(id)).toMatchObject({ destroyedAt: expect.any(Date) as unknown });
  const again = await api.ask('POST', '/v1/accounts', {
    body: { id, name: 'Again', email: 'again@example.org', plan: 'standard' },
  });
  expect(again).toMatchObject({ status: 409, body: { code: 'conflict' } });
  const late = await api.ask('POST', '/v1/ingest/litellm', {
    body: { ...event(id, new Date()), metadata: { user_api_key_org_id: id } },
  });
  expect(late.body).toMatchObject({ accepted: 0, rejected: [{ code: 'account-erased' }] });
}

test('R23: an erasure is in the ledger before it counts as complete, once', async () => {
  const id = await account();
  await erase(id);
  const { certificateIds = [], erasedAt } = await native(store().accounts)
    .findOne({ _id: tombstoneId(store(), id) })
    .then((found) => found ?? { certificateIds: [], erasedAt: undefined });
  const lines = (await readFile(api.system.ledger.path, 'utf8'))
    .split('\n')
    .filter((line) => line.includes(certificateIds[0] ?? '?'));
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ subject: store().vault.pseudonymOf(id), kind: 'account' });
  expect(erasedAt).toBeInstanceOf(Date);
  expect(await addMissing(store(), api.system.ledger.ledger)).toBe(0);
  // In step: nothing is behind, however often it is compared.
  for (let round = 0; round < 2; round += 1) {
    expect(await compare()).toMatchObject({ erasedAgain: 0, tombstones: 0, keys: 0, orphans: {}, added: 0 });
  }
  expect((await compare()).lines).toBe(0);
}, 120_000);

test('R23: a restored database serves nobody until what came back is erased again; then the account is gone for good', async () => {
  const [id, other] = [await account(), await account()];
  const backup = await dumpOf(store().connection);
  const later = await account();
  await erase(id);
  await erase(later);
  const { body: erased } = await api.ask('GET', `/v1/accounts/${id}`);
  await restoreData(backup);
  expect(await remainsOf(id)).toMatchObject({ prompts: 3, invoices: 1, accounts: 1 });

  // Somewhere something of the account lies that takes its time to go.
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const slow: OutsideStore = { name: 'slow', find: () => Promise.resolve(0), removeAll: () => released.then(() => 0) };
  const told: string[] = [];
  const hooks = { ...quiet, behind: () => told.push('behind'), restored: () => told.push('restored') };
  watch = watchLedger({ store: store(), ledger: api.system.ledger.ledger, outside: [slow], hooks });
  try {
    await eventually('the watch finds that the database is behind', () => Promise.resolve(told[0]));
    for (const [method, path] of [
      ['GET', `/v1/accounts/${id}`],
      ['GET', `/v1/accounts/${other}`],
      ['GET', '/v1/accounts'],
      ['POST', '/v1/ingest/litellm'],
      ['GET', '/no-such-path'],
    ] as const) {
      const answer = await api.ask(method, path, method === 'POST' ? { body: [] } : {});
      expect([path, answer.status, answer.body['code']]).toEqual([path, 503, 'unavailable']);
    }
    expect((await api.ask('GET', '/healthz')).status).toBe(200);
    const ready = await api.ask('GET', '/readyz');
    expect(ready).toMatchObject({ status: 503, body: { checks: { ledger: 'missing', mongodb: 'ok' } } });
    expect(ready.body['detail']).toContain('restored from before');
    release();
    await watch.open;
    expect((await api.ask('GET', '/readyz')).status).toBe(200);
    expect(told).toEqual(['behind', 'restored']);
  } finally {
    await watch.stop();
    watch = undefined;
  }

  await expectErased(id);
  await expectErased(later);
  expect((await api.ask('GET', `/v1/accounts/${id}`)).body).toMatchObject({
    erasedAt: erased['erasedAt'],
    certificateIds: erased['certificateIds'],
  });
  const { body: audit } = await api.ask('GET', `/v1/accounts/${id}/timeline`);
  expect((audit['items'] as { action: string }[]).map(({ action }) => action)).toContain('account.re-erased');
  // Nobody else lost anything.
  expect(await remainsOf(other)).toMatchObject({ prompts: 3, invoices: 1, accounts: 1 });
  expect(await keyOf(other)).not.toHaveProperty('destroyedAt');
}, 180_000);

test('R10, R23: with the key store restored too, keys are destroyed again and what the law keeps is kept again', async () => {
  const id = await account();
  const data = await dumpOf(store().connection);
  const keys = await dumpOf(store().vault.keyStore.connection);
  await erase(id);
  await restoreData(data);
  await restore(store().vault.keyStore.connection, keys);
  expect(await keyOf(id)).not.toHaveProperty('destroyedAt');
  expect(await compare()).toMatchObject({ erasedAgain: 1, lost: {} });
  await expectErased(id);
  const subject = store().vault.pseudonymOf(id);
  expect(await native(store().sealed).countDocuments({ subject })).toBe(1);
  expect((await keyOf(id, 'retained'))?.destroyedAt).toBeUndefined();
}, 120_000);

test('R23: a key store restored alone gives no erased account its key back', async () => {
  const id = await account();
  const keys = await dumpOf(store().vault.keyStore.connection);
  await erase(id);
  await restore(store().vault.keyStore.connection, keys);
  expect(await compare()).toMatchObject({ erasedAgain: 0, keys: 1 });
  expect(await keyOf(id)).toMatchObject({ destroyedAt: expect.any(Date) as unknown });
  expect(await store().audit.entries.countDocuments({ action: 'key.re-destroyed' })).toBe(1);
}, 120_000);

test('R8, R23: a hold that stands on what a restore brought back does not bring the account back', async () => {
  const id = await api.system.createAccount({ id: newId() });
  const { hold } = await api.system.send(id, 'placeHold', { reason: 'a case' });
  const backup = await dumpOf(store().connection);
  await api.system.send(id, 'releaseHold', { holdId: hold?.id });
  await erase(id);
  await restoreData(backup);
  expect(await compare()).toMatchObject({ erasedAgain: 1 });
  await expectErased(id);
  const entries = await api.ask('GET', `/v1/accounts/${id}/timeline`);
  expect(entries.text).toContain('"holds":1');
}, 120_000);

test('R23: collections restored by themselves: with the position taken away, everything is looked at', async () => {
  const id = await account();
  const backup = await dumpOf(store().connection);
  await erase(id);
  const some = dataSets.filter((set) => set.category !== undefined).map((set) => set.collection);
  await restore(store().connection, backup, some);
  expect((await compare()).orphans).toEqual({});
  const database = store().connection.getClient().db(store().connection.name);
  await database.collection('ledgerPosition').deleteMany({});
  const { orphans } = await compare();
  expect(orphans).toEqual({ prompts: 3, completions: 3, logs: 3, usage: 3 });
  await expectErased(id);
}, 120_000);

test('R23: whatever is interrupted goes on with the next comparison', async () => {
  const id = await account();
  const backup = await dumpOf(store().connection);
  await erase(id);
  await restoreData(backup);
  let left = 1;
  const failing: OutsideStore = {
    name: 'failing',
    find: () => Promise.resolve(0),
    removeAll: () => (left-- > 0 ? Promise.reject(new Error('away')) : Promise.resolve(0)),
  };
  await expect(compare([failing])).rejects.toThrow('away');
  expect(await api.system.account(id)).toMatchObject({ state: 'expired', reErasing: { holds: 0 } });
  await Promise.all([compare([failing]), compare([failing])]);
  await expectErased(id);
}, 120_000);

// The ledger itself

async function findingOf(opening: Promise<unknown>): Promise<string> {
  const error = await opening.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (!(error instanceof LedgerError)) throw new Error(`expected a finding, not ${String(error)}`);
  return error.finding;
}

async function linesOf(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8')).trim().split('\n');
}

test('R23: a ledger that is missing, truncated or altered stops the start, and is rebuilt only when told to', async () => {
  const own = await openTestStore();
  const { ledger, path, remove } = await openTestLedger(own);
  try {
    const certificates = ['one', 'two', 'three'].map((name) => ({
      _id: `cert_${name}`,
      kind: 'erasure' as const,
      subject: own.vault.pseudonymOf(name),
      issuedAt: new Date(),
      content: {},
      ledger: 0,
      addenda: [],
    }));
    await native(own.certificates).insertMany(certificates);
    await native(own.accounts).insertMany(certificates.map(({ _id, subject }) => tombstone(own, subject, _id)));
    expect(await compareWithLedger({ store: own, ledger })).toMatchObject({ added: 3 });
    expect(await compareWithLedger({ store: own, ledger })).toMatchObject({ lines: 3, added: 0, erasedAgain: 0 });
    const whole = await linesOf(path);

    const opening = () => openAgainst({ store: own, ledger });
    await rm(path);
    expect(await findingOf(opening())).toBe('missing');
    await writeFile(path, `${whole.slice(0, 2).join('\n')}\n`);
    expect(await findingOf(opening())).toBe('truncated');
    await writeFile(
      path,
      `${whole.map((line, n) => (n === 1 ? line.replace('cert_one', 'cert_onf') : line)).join('\n')}\n`,
    );
    expect(await findingOf(opening())).toBe('altered');
    // Whoever rebuilds takes what is there: what is wrong has to be moved away first.
    expect(await findingOf(openAgainst({ store: own, ledger, rebuild: true }))).toBe('altered');

    // Cut off, and older than the database: the lines that are lost are written again.
    await writeFile(path, `${whole.slice(0, 2).join('\n')}\n`);
    await openAgainst({ store: own, ledger, rebuild: true });
    expect(await compareWithLedger({ store: own, ledger })).toMatchObject({ added: 2, erasedAgain: 0 });
    await opening();
    expect(await linesOf(path)).toHaveLength(4);

    // Gone altogether.
    await rm(path);
    await openAgainst({ store: own, ledger, rebuild: true });
    expect(await compareWithLedger({ store: own, ledger })).toMatchObject({ added: 3 });
    await opening();
    expect(
      (await linesOf(path))
        .slice(1)
        .map((line) => (JSON.parse(line) as { certificate: string }).certificate)
        .sort(),
    ).toEqual(['cert_one', 'cert_three', 'cert_two']);
  } finally {
    await remove();
    await dropTestStore(own);
  }
}, 120_000);

test('R23: a database that is new, beside a ledger that is not, gets every tombstone', async () => {
  const own = await openTestStore();
  const { ledger, remove } = await openTestLedger(own);
  const empty: Dump = { collections: new Map() };
  try {
    const subject = own.vault.pseudonymOf('gone');
    const entry = { kind: 'account' as const, subject, erasedAt: new Date().toISOString(), certificate: 'cert_gone' };
    await ledger.append(entry, undefined);
    await restore(own.connection, empty);
    await openAgainst({ store: own, ledger });
    expect(await compareWithLedger({ store: own, ledger })).toMatchObject({ tombstones: 1 });
    expect(await native(own.accounts).findOne({ _id: `~${subject}` })).toMatchObject({ state: 'erased' });
    await expect(own.vault.makeKey('gone')).rejects.toThrow('destroyed');
  } finally {
    await remove();
    await dropTestStore(own);
  }
}, 60_000);

function tombstone({ region }: Store, subject: string, certificate: string) {
  const at = new Date();
  return {
    _id: `~${subject}`,
    region,
    state: 'erased' as const,
    since: at,
    erasedAt: at,
    lifecycle: { state: 'erased' as const, since: at.toISOString(), causes: [], overrides: {}, holds: [] },
    inactive: [],
    seq: 3,
    version: 3,
    createdAt: at,
    certificateIds: [certificate],
  };
}
