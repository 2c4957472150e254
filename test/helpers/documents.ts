/** Looking into the documentation: what it names has to be there. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { allCommands } from '../../src/cli/index';
import { documentedVariables } from '../../src/config';

const root = join(__dirname, '..', '..');

/** A document of `docs/`. */
export function readDocument(name: string): string {
  return readFileSync(join(root, 'docs', name), 'utf8');
}

/** Test files a text names that do not exist. */
export function missingTests(text: string): string[] {
  const named = [...text.matchAll(/\btest\/[\w./-]+\.test\.ts\b/g)].map(([path]) => path);
  return [...new Set(named)].filter((path) => !existsSync(join(root, path)));
}

/** Commands of npm and of ours that a text names and that do not exist. */
export function missingCommands(text: string): string[] {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const ofNpm = [...text.matchAll(/\bnpm run ([\w:-]+)/g)].filter(([, name = '']) => !(name in scripts));
  const ours = [...text.matchAll(/\bnpx ablauf ([a-z]+)(?: ([a-z]+)\b)?/g)].filter(([, name, inner]) => {
    const command = allCommands().find((one) => one.name() === name);
    if (command === undefined) return true;
    return command.commands.length > 0 && !command.commands.some((one) => one.name() === inner);
  });
  return [...ofNpm, ...ours].map(([command]) => command);
}

/** Variables a text names that no process reads. */
export function missingVariables(text: string): string[] {
  const known = new Set(documentedVariables().map(({ name }) => name));
  const named = [...text.matchAll(/\b(?:ABLAUF|LITELLM)_[A-Z0-9_]+\b/g)].map(([name]) => name);
  return [...new Set(named)].filter((name) => !known.has(name));
}

/** Links of a document of `docs/` to files, or to headings in them, that are not there. */
export function brokenLinks(name: string): string[] {
  return [...readDocument(name).matchAll(/\]\((?!https?:)([^)#\s]*)(#[^)\s]+)?\)/g)].flatMap(
    ([, path = '', anchor]) => {
      const file = path === '' ? join('docs', name) : normalize(join(dirname(join('docs', name)), path));
      if (!existsSync(join(root, file))) return [file];
      if (anchor === undefined) return [];
      const headings = [...readFileSync(join(root, file), 'utf8').matchAll(/^#+ (.*)$/gm)].map(
        ([, heading = '']) =>
          `#${heading
            .toLowerCase()
            .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
            .replaceAll(' ', '-')}`,
      );
      return headings.includes(anchor) ? [] : [`${file}${anchor}`];
    },
  );
}
