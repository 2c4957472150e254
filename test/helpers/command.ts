/** The command line, and other programs of ours, as operators run them. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** What a program came to. */
export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `ablauf` in an environment, and waits for its end. */
export function ablauf(environment: NodeJS.ProcessEnv, ...options: string[]): Promise<Said> {
  return run(environment, 'cli.ts', ...options);
}

/** Runs a program of `src` in an environment, and waits for its end. */
export function run(environment: NodeJS.ProcessEnv, entry: string, ...options: string[]): Promise<Said> {
  const program = join(__dirname, '..', '..', 'src', entry);
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...options], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (bytes) => (out += String(bytes)));
  child.stderr.on('data', (bytes) => (err += String(bytes)));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
}
