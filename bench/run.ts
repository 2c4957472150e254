/**
 * `npm run bench [-- NAME…] [-- --write]`: measures what the specification promises of speed and size, each as a ratio
 * to the plainest thing that does the same work, within one run on one machine.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveTimeSkippingServer, startTestServers } from '../src/embedded';
import { bundleWorkflows } from '../src/temporal';
import { searchAttributeTypes } from '../src/workflows';
import { certifying } from './certificate';
import { auditing } from './audit';
import { command } from './command';
import { erase } from './erase';
import { exporting } from './export';
import { meets, tableOf, type Figure } from './figures';
import type { Benchmark, Ground } from './harness';
import { ingesting } from './ingest';
import { life } from './life';
import { reads } from './reads';
import { writeReport } from './report';
import { rotation } from './rotation';
import { sleeping } from './sleeping';
import { sweeping } from './sweep';
import { vault } from './vault';

const benchmarks: readonly Benchmark[] = [
  reads,
  erase,
  ingesting,
  command,
  life,
  sleeping,
  sweeping,
  exporting,
  certifying,
  vault,
  auditing,
  rotation,
];

async function main(options: readonly string[]): Promise<void> {
  const names = options.filter((option) => !option.startsWith('--'));
  const unknown = names.filter((name) => !benchmarks.some((benchmark) => benchmark.name === name));
  if (unknown.length > 0) {
    throw new Error(
      `there is no benchmark ${unknown.join(', ')}; there are ${benchmarks.map(({ name }) => name).join(', ')}`,
    );
  }
  const chosen = benchmarks.filter(({ name }) => names.length === 0 || names.includes(name));
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const started = performance.now();
  const [load = NaN] = loadavg();
  const figures: Figure[] = [];
  const servers = await startTestServers({ searchAttributes: searchAttributeTypes, onProgress: say });
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-bench-'));
  try {
    const ground: Ground = {
      mongodbUri: servers.mongodb.uri,
      temporalAddress: servers.temporal.address,
      timeSkippingServer: (await resolveTimeSkippingServer({ onProgress: say })).path,
      bundle: await bundleInto(folder),
    };
    for (const benchmark of chosen) {
      const begun = performance.now();
      const measured = await benchmark.run(ground, (text) => say(`${benchmark.name}: ${text}`));
      figures.push(...measured);
      say(`${benchmark.name}: done in ${seconds(begun)} s\n${tableOf(measured)}`);
    }
  } finally {
    await servers.stop();
    await rm(folder, { recursive: true, force: true });
  }
  const table = tableOf(figures);
  console.log(`\n${table}\n`);
  const missed = figures.filter((figure) => !meets(figure));
  say(`${figures.length - missed.length} of ${figures.length} targets met, in ${seconds(started)} s`);
  if (options.includes('--write')) {
    if (names.length > 0) throw new Error('--write takes a whole run: name no benchmark');
    await writeReport(table, [servers.mongodb.description, servers.temporal.description], figures, load);
  }
}

async function bundleInto(folder: string): Promise<string> {
  const code = await bundleWorkflows(require.resolve('../src/workflows/entry'));
  const path = join(folder, 'workflows.js');
  await writeFile(path, code);
  return path;
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(0);
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
