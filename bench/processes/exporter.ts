/** A process that does nothing but write an archive, and says how much memory that took. */
import { prepareStore } from '../../src/data';
import { openGridFsArchives, registerExports, requestExport, writeExport } from '../../src/exports';
import type { Told } from '../export';
import { openBenchStore } from '../stores';

async function main(): Promise<void> {
  const store = await openBenchStore(process.env['BENCH_MONGODB'] ?? '');
  const { exports } = registerExports(store.connection);
  await prepareStore(store);
  const storage = openGridFsArchives(store);
  const account = process.env['BENCH_ACCOUNT'] ?? '';
  const id = 'exp_many';
  let peak = 0;
  let ended = false;
  const look = () => (peak = Math.max(peak, process.memoryUsage.rss()));
  setInterval(look, 100).unref();
  const run = async () => {
    const at = new Date();
    await store.transaction((session) =>
      requestExport(store, session, storage, { id, account, requestedBy: 'bench', at, to: at }),
    );
    await writeExport(store, storage, id, undefined, { progress: look });
    ended = true;
  };
  process.on('message', (question) => {
    if (question === 'begin') {
      run().catch((error: unknown) => {
        console.error(error);
        process.exit(1);
      });
      process.send?.('begun');
      return;
    }
    void exports
      .findById(id, { records: 1 })
      .lean()
      .then((found) => process.send?.({ peak, records: found?.records ?? 0, ended } satisfies Told));
  });
  process.once('SIGTERM', () => process.exit(0));
  process.send?.('ready');
}

process.on('disconnect', () => process.exit(0));
void main();
