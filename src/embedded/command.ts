import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { systemCode } from './errors';
import { signalGroup } from './identity';

/** How a command ended. */
export interface CommandResult {
  /** The exit code; `undefined` when the command could not be started, was ended by a signal or took too long. */
  code: number | undefined;
  stdout: string;
  stderr: string;
  /** There is no such command. */
  missing: boolean;
}

/**
 * Runs a command to its end, for at most `timeoutMs` milliseconds or until the signal aborts; then it and whatever it
 * started are killed. It never rejects: a failure is part of the result.
 */
export function run(
  command: string,
  args: readonly string[],
  options: { env: NodeJS.ProcessEnv; timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, to be killed as one: python3 is often a script that starts another.
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const kill = (): void => {
      if (child.pid !== undefined) {
        signalGroup(child.pid, 'SIGKILL');
      }
    };
    const timer = setTimeout(kill, options.timeoutMs);
    const end = (code: number | undefined, missing: boolean): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', kill);
      resolve({ code, stdout, stderr, missing });
    };
    child.once('error', (error) => {
      end(undefined, ['ENOENT', 'EACCES'].includes(systemCode(error) ?? ''));
    });
    child.once('close', (code) => {
      end(code ?? undefined, false);
    });
    options.signal?.addEventListener('abort', kill, { once: true });
    if (options.signal?.aborted) {
      kill();
    }
  });
}

/** The first executable of this name on the PATH of `env`. */
export function findOnPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const file = process.platform === 'win32' ? `${name}.exe` : name;
  for (const folder of (env['PATH'] ?? env['Path'] ?? '').split(delimiter)) {
    const path = join(folder, file);
    if (folder !== '' && isExecutable(path)) {
      return path;
    }
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
