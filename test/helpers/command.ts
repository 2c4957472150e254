/** The command line, as operators run it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** What a command came to. */
export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `ablauf` in an environment, and waits for its end. */
export function ablauf(environment: NodeJS.ProcessEnv, ...options: string[]): Promise<Said> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(__dirname, '..', '..', 'src', 'cli.ts'), ...options], {
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
