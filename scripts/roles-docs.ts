/** `npm run docs:roles`: renews the table in docs/roles.md from the declared permissions. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { permissions } from '../src/access';
import { roles } from '../src/lifecycle';

const file = join(__dirname, '..', 'docs', 'roles.md');
const begin = '<!-- From src/access/roles.ts: npm run docs:roles -->';
const end = '<!-- Until here. -->';

/** The page as it is. */
export function currentRolesPage(): string {
  return readFileSync(file, 'utf8');
}

/** The page as it ought to be. */
export function rolesPage(): string {
  const page = currentRolesPage();
  const [before = '', rest = ''] = page.split(begin);
  const [, after = ''] = rest.split(end);
  return `${before}${begin}\n\n${table()}\n\n${end}${after}`;
}

function table(): string {
  const heads = ['', ...roles];
  const rows = Object.entries(permissions).map(([name, allowed]) => [
    wordsOf(name),
    ...roles.map((role) => ((allowed as readonly string[]).includes(role) ? '✓' : '')),
  ]);
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** `readErasurePlan` is to read: read erasure plan. */
function wordsOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

if (require.main === module) writeFileSync(file, rolesPage());
