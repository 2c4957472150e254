import { extname } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { type Child, startChild } from './child';

/** One of this project's own processes. */
export interface ServiceOptions {
  name: string;
  /** The file to run: TypeScript source or built JavaScript. */
  entry: string;
  env: NodeJS.ProcessEnv;
  /** The path of its log file. */
  log: string;
  /** Told of each warning and error it logs, as one readable line. */
  report: (line: string) => void;
}

/**
 * Starts one of this project's processes with the Node.js that runs this one.
 *
 * @throws EmbeddedServerError `start-failed` if it cannot be started
 */
export function startService(options: ServiceOptions): Promise<Child> {
  const loader = extname(options.entry) === '.ts' ? ['--import', pathToFileURL(require.resolve('tsx')).href] : [];
  let last = '';
  let lastAt = 0;
  return startChild({
    command: process.execPath,
    args: ['--enable-source-maps', ...loader, options.entry],
    env: options.env,
    log: options.log,
    onLine: (line) => {
      const warning = readableWarning(line);
      // A warning that repeats at once says nothing new; the log has every one.
      if (warning !== undefined && (warning !== last || Date.now() - lastAt > repeatAfterMs)) {
        last = warning;
        lastAt = Date.now();
        options.report(`${options.name}: ${warning}`);
      }
    },
  });
}

/** How soon a repeated warning is shown again. */
const repeatAfterMs = 30_000;
const warnLevel = 40;
const errorLevel = 50;
const maxLength = 400;

/** A log line of level warning or above in words; `undefined` for every other line. */
export function readableWarning(line: string): string | undefined {
  if (!line.startsWith('{')) {
    return undefined;
  }
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const { level, msg, err } = entry;
  if (typeof level !== 'number' || level < warnLevel) {
    return undefined;
  }
  const cause =
    typeof err === 'object' && err !== null && 'message' in err && err.message !== msg ? String(err.message) : '';
  const parts = [typeof msg === 'string' ? msg : '', cause].filter((part) => part !== '');
  const text = (parts.length === 0 ? line : parts.join(': ')).replaceAll(/\s+/g, ' ').slice(0, maxLength);
  return `${level >= errorLevel ? 'error' : 'warning'}: ${text}`;
}
