/**
 * Writing an archive, against a native cursor, `JSON.stringify` and gzip of the same documents in the clear, and against the
 * same without encryption; and what it takes in memory.
 */
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { randomUUID } from 'node:crypto';
import { categories, prepareStore, protectContent, userIndexOf, type Category, type Store } from '../src/data';
import { gzipLevel, openGridFsArchives, registerExports, requestExport, writeExport } from '../src/exports';
import { summaryOf } from './figures';
import { byTurns, databaseUri, repeats, startHelper, timed, type Benchmark, type Ground } from './harness';
import { withoutEncryption } from './plain-vault';
import { addAccounts, dropStore, freshStore } from './stores';

const account = 'acct-export';
const recordsEach = 25_000;
const records = recordsEach * categories.length;
const many = 5_000_000;
const perInsert = 5000;
const mebibyte = 1024 * 1024;

export const exporting: Benchmark = {
  name: 'export',
  async run(ground, say) {
    const store = await filled(ground, 'export', (opened) => opened);
    const clear = await filled(ground, 'export_clear', withoutEncryption);
    const plain = await freshStore(ground, 'export_raw');
    for (const category of categories) await fillPlain(plain, category);
    const pairs = await byTurns(
      () => timed(() => exportOurs(store)),
      () => timed(() => exportRaw(plain)),
    );
    say('with encryption and without');
    const encrypted = await byTurns(
      () => timed(() => exportOurs(store)),
      () => timed(() => exportOurs(clear)),
      { turns: 2 * repeats + 1 },
    );
    await Promise.all([store, clear, plain].map(dropStore));
    const rate = (records * 1000) / summaryOf(pairs.map(({ ours }) => ours)).median;
    const peak = await memory(ground, say);
    return [
      {
        name: `Exporting ${records} records, rate to a native cursor, \`JSON.stringify\` and gzip`,
        values: pairs.map(({ ours, theirs }) => theirs / ours),
        target: { atLeast: 0.8 },
        remark: `${rate.toFixed(0)} records a second`,
      },
      {
        name: `Exporting ${records} records, rate to the same without encryption`,
        values: encrypted.map(({ ours, theirs }) => theirs / ours),
        target: { atLeast: 0.75 },
      },
      {
        name: `Memory of a process that exports ${many} records, in MiB`,
        values: [peak],
        target: { atMost: 256 },
        judgedBy: 'worst',
      },
    ];
  },
};

/** A store with the account and its records, as ingest would store them there. */
async function filled(ground: Ground, name: string, as: (store: Store) => Store): Promise<Store> {
  const store = as(await freshStore(ground, name));
  registerExports(store.connection);
  await prepareStore(store);
  await addAccounts(store, [account]);
  for (const category of categories) await fill(store, category, recordsEach, words);
  return store;
}

/** Asks for an archive of everything, and makes it, verified and ready. */
async function exportOurs(store: Store): Promise<void> {
  const storage = openGridFsArchives(store);
  const exports = registerExports(store.connection).exports.collection;
  await exports.updateMany({ status: 'ready' }, { $set: { status: 'expired' } });
  const id = `exp_${randomUUID().replaceAll('-', '')}`;
  const at = new Date();
  await store.transaction((session) =>
    requestExport(store, session, storage, { id, account, requestedBy: 'bench', at, to: at }),
  );
  await writeExport(store, storage, id);
}

async function exportRaw(store: Store): Promise<void> {
  for (const category of categories) {
    const gzip = createGzip({ level: gzipLevel });
    gzip.resume();
    const cursor = store.records[category].collection.find({ account }).sort({ at: 1 });
    for await (const document of cursor) {
      if (!gzip.write(`${JSON.stringify(document)}\n`)) await once(gzip, 'drain');
    }
    gzip.end();
    await finished(gzip);
  }
}

/** The most a process of its own takes while it exports very many small records. */
async function memory(ground: Ground, say: (text: string) => void): Promise<number> {
  const name = 'export_many';
  const store = await freshStore(ground, name);
  await addAccounts(store, [account]);
  say(`filling ${many} records`);
  await fill(store, 'usage', many, 'x');
  const helper = await startHelper<string>('exporter', {
    BENCH_MONGODB: databaseUri(ground, name),
    BENCH_ACCOUNT: account,
  });
  try {
    await helper.ask('begin');
    for (;;) {
      const { peak, records: done, ended } = await helper.ask<Told>('how far');
      say(`${done} of ${many} records, at most ${(peak / mebibyte).toFixed(0)} MiB`);
      if (!ended) {
        await new Promise((resolve) => setTimeout(resolve, 5000));
        continue;
      }
      if (done !== many) throw new Error(`${done} of ${many} records were exported`);
      return peak / mebibyte;
    }
  } finally {
    await helper.stop();
    await dropStore(store);
  }
}

/** What the exporting process says of itself. */
export interface Told {
  /** The most it took in memory so far, in bytes. */
  readonly peak: number;
  readonly records: number;
  readonly ended: boolean;
}

/** Some words of a prompt, as long as many are. */
const words = 'Some words of a prompt. '.repeat(20);

async function fill(store: Store, category: Category, count: number, text: string): Promise<void> {
  const cipher = await store.vault.cipherOf(account);
  const userIndex = userIndexOf(cipher, user);
  await insert(store, category, count, text, ({ _id, body, ...record }) => ({
    _id,
    ...record,
    userIndex,
    body: protectContent(cipher, category, _id, { body, user }),
  }));
}

/** The same documents in the clear. */
function fillPlain(store: Store, category: Category): Promise<void> {
  return insert(store, category, recordsEach, words, (record) => ({ ...record, user }));
}

const user = 'u-1';

interface Plain {
  readonly _id: string;
  readonly account: string;
  readonly callId: string;
  readonly at: Date;
  readonly model: string;
  /** JSON text. */
  readonly body: string;
}

async function insert(
  store: Store,
  category: Category,
  count: number,
  text: string,
  stored: (record: Plain) => Readonly<Record<string, unknown>>,
): Promise<void> {
  const start = Date.UTC(2026, 0, 1);
  for (let first = 0; first < count; first += perInsert) {
    const documents = Array.from({ length: Math.min(perInsert, count - first) }, (_, offset) => {
      const n = first + offset;
      const callId = `call-${String(n).padStart(8, '0')}`;
      const at = new Date(start + n * 1000);
      const body = JSON.stringify({ n, text });
      return stored({ _id: `${account}:${callId}`, account, callId, at, model: 'gpt-4o', body });
    });
    await store.records[category].collection.insertMany(documents);
  }
}
