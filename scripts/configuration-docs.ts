/** `npm run docs:configuration`: renews docs/configuration.md from the schema the environment is checked with. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { developmentVariables, documentedVariables } from '../src/config';

const file = join(__dirname, '..', 'docs', 'configuration.md');

/** The page as it ought to be. */
export function configurationPage(): string {
  const rows = documentedVariables().map(
    ({ name, standard, description }) => `| \`${name}\` | ${standardText(standard)} | ${description} |`,
  );
  const development = Object.entries(developmentVariables).map(
    ([name, description]) => `| \`${name}\` | ${description} |`,
  );
  return `# Configuration

Environment variables, read and checked once when a process starts. A wrong or missing one stops the start with a message
that names it. Each may be given as a file instead, by its name with \`_FILE\` appended, which is how secrets should be given.
\`npm run dev\` makes up what it can: the keys, and the addresses of its own servers.

| variable | default | what it is |
| --- | --- | --- |
${rows.join('\n')}

Durations are ISO 8601 in weeks, days, hours, minutes and seconds. Defaults for both periods can also be changed at run
time, by \`PUT /v1/settings/policy\`; a new default binds periods that begin later (R7).

## Development only

| variable | what it is |
| --- | --- |
${development.join('\n')}
`;
}

function standardText(standard: string | undefined): string {
  if (standard === undefined) return 'required';
  return standard === '' ? 'none' : `\`${standard}\``;
}

/** The page as it is. */
export function currentPage(): string {
  return readFileSync(file, 'utf8');
}

if (require.main === module) writeFileSync(file, configurationPage());
