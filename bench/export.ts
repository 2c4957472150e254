/** Writing an archive, against a native cursor, `JSON.stringify` and gzip of the same documents; and what it takes in memory. */
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { randomUUID } from 'node:crypto';
import { categories, prepareStore, type Category, type Store } from '../src/data';
import { gzipLevel, openGridFsArchives, registerExports, requestExport, writeExport } from '../src/exports';
import { summaryOf } from './figures';
import { byTurns, databaseUri, startHelper, timed, type Benchmark, type Ground } from './harness';
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
    const store = await freshStore(ground, 'export');
    registerExports(store.connection);
    await prepareStore(store);
    await addAccounts(store, [account]);
    for (const category of categories) await fill(store, category, recordsEach, 'Some words of a prompt. '.repeat(20));
    const pairs = await byTurns(
      () => timed(() => exportOurs(store)),
      () => timed(() => exportRaw(store)),
    );
    await dropStore(store);
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
        name: `Memory of a process that exports ${many} records, in MiB`,
        values: [peak],
        target: { atMost: 256 },
        judgedBy: 'worst',
      },
    ];
  },
};

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

async function fill(store: Store, category: Category, count: number, text: string): Promise<void> {
  const start = Date.UTC(2026, 0, 1);
  const body = (n: number) => JSON.stringify({ n, text });
  for (let first = 0; first < count; first += perInsert) {
    const documents = Array.from({ length: Math.min(perInsert, count - first) }, (_, offset) => {
      const n = first + offset;
      const callId = `call-${String(n).padStart(8, '0')}`;
      const _id = `${account}:${callId}` as never;
      return { _id, account, callId, at: new Date(start + n * 1000), model: 'gpt-4o', user: 'u-1', body: body(n) };
    });
    await store.records[category].collection.insertMany(documents);
  }
}
