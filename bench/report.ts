/** `docs/benchmarks.md`: the numbers of one whole run, and what they were measured on. */
import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { meets, type Figure } from './figures';
import { remarks } from './remarks';

const gibibyte = 1024 ** 3;

/** @param servers what was measured on, as the servers describe themselves */
export async function writeReport(
  table: string,
  servers: readonly string[],
  figures: readonly Figure[],
  loadBefore: number,
): Promise<void> {
  const missed = figures.filter((figure) => !meets(figure)).map(({ name }) => `- ${name}`);
  const processors = cpus();
  const text = `# Benchmarks

Written by \`npm run bench -- --write\`; change the text in \`bench/report.ts\` and \`bench/remarks.ts\`, not here.

- Date: ${new Date().toISOString().slice(0, 10)}
- Machine: ${processors.length} cores (${processors[0]?.model.trim() ?? 'unknown'}), ${(totalmem() / gibibyte).toFixed(0)} GiB of memory
- Load before the run began: ${loadBefore.toFixed(1)} (one-minute average; on an idle machine it is near 0)
- Node.js ${process.version} on ${process.platform} ${process.arch}
- Servers: ${servers.join('; ')}; both embedded, on the loopback interface

${table}

${missed.length === 0 ? 'Every target was met in this run.' : `Missed in this run:\n\n${missed.join('\n')}`}

${remarks}`;
  await writeFile(join(__dirname, '..', 'docs', 'benchmarks.md'), text);
}
