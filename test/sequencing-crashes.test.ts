/**
 * R19, R20: processes that give entries their places are killed in the middle of it, again and again, two at a time. Real
 * processes: each API and each worker has a sequencer of its own.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newestState, sourceIn, verifyLog, type AuditEntryDocument } from '../src/audit';
import { noteKeyOf, originOf } from '../src/audit/note';
import { openStore, type Store } from '../src/data';
import { native } from '../src/database';
import { bySystem } from '../src/lifecycle';
import { eventually } from './helpers/eventually';
import { startProcesses, type ProcessSystem } from './helpers/processes';
import { openTestVault, region } from './helpers/system';

const added = 4000;
const kills = 3;

let system: ProcessSystem;
let store: Store;

beforeAll(async () => {
  system = await startProcesses();
  const uri = system.environment['ABLAUF_MONGODB_URI'] ?? '';
  store = await openStore({ uri, region, vault: await openTestVault(uri) });
}, 120_000);
afterAll(async () => {
  await store.close();
  await system.stop();
}, 60_000);

/** Entries that wait, as many acts at once would leave them. */
async function addEntries(): Promise<void> {
  for (let first = 0; first < added; first += 500) {
    await store.transaction(async (session) => {
      for (let n = first; n < first + 500; n += 1) {
        await store.audit.append(session, { at: new Date(), actor: bySystem, action: 'test.done', details: { n } });
      }
    });
  }
}

async function sequenced(): Promise<number> {
  return (await newestState(store))?.size ?? 0;
}

function total(): Promise<number> {
  return native(store.audit.entries).countDocuments({});
}

async function verified() {
  const keys = (await store.vault.publicKeys()).map((key) => noteKeyOf(originOf(region), key));
  return verifyLog(sourceIn(store.connection, region), { keys, vault: store.vault });
}

test('R20: kill -9 of every sequencer in the middle of its work leaves a log that verifies, and each entry gets its place once', async () => {
  let died = 0;
  for (let round = 0; round < kills; round += 1) {
    // Nobody sequences while they are added, so that there is much to do at once.
    await Promise.all([system.kill('worker'), system.kill('api')]);
    await addEntries();
    const before = await sequenced();
    const waiting = (await total()) - before;
    await Promise.all([system.start('worker'), system.start('api')]);
    await eventually('some have their places', async () => ((await sequenced()) > before ? true : undefined));
    await Promise.all([system.kill('worker'), system.kill('api')]);
    // What was not committed has not happened: the log is whole, if shorter than what there is.
    const found = await verified();
    expect(found).toMatchObject({ ok: true, entries: await sequenced() });
    if (found.entries - before < waiting) died += 1;
    await Promise.all([system.start('worker'), system.start('api')]);
    await eventually('all have their places', async () => ((await sequenced()) === (await total()) ? true : undefined));
  }
  // Otherwise nothing was tried.
  expect(died).toBeGreaterThan(0);
  const entries = await native(store.audit.entries)
    .find<AuditEntryDocument>({}, { projection: { position: 1, details: 1, action: 1 } })
    .toArray();
  const positions = entries.map(({ position }) => position).sort((a, b) => Number(a) - Number(b));
  expect(positions).toEqual(Array.from({ length: entries.length }, (_, n) => n));
  expect(entries.filter(({ action }) => action === 'test.done')).toHaveLength(kills * added);
  expect(await verified()).toMatchObject({ ok: true, entries: entries.length });
}, 300_000);
