import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';

/** A process, told apart from a later one that got the same number. */
export interface ProcessIdentity {
  pid: number;
  /** When it started, in whatever form the system tells it. Empty where it tells nothing. */
  started: string;
}

/** Who has this number now; `undefined` when no such process runs. A zombie does not run. */
export function identify(pid: number): ProcessIdentity | undefined {
  if (process.platform === 'linux') {
    try {
      // The name in the second field may hold spaces and brackets; the fields are counted from its end.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' || fields[0] === 'X' ? undefined : { pid, started: fields[19] ?? '' };
    } catch {
      return undefined;
    }
  }
  if (process.platform === 'win32') {
    try {
      process.kill(pid, 0);
      return { pid, started: '' };
    } catch {
      return undefined;
    }
  }
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    return line === '' || line.startsWith('Z') ? undefined : { pid, started: line.replace(/^\S+\s+/, '') };
  } catch {
    return undefined;
  }
}

/** Whether the very process that was identified still runs. */
export function stillRuns(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/**
 * The processes that a package manager put between itself and this one, itself included: `npm`, perhaps a shell, `tsx`.
 * Empty when no package manager started this process.
 */
export function packageManagerAncestors(env: NodeJS.ProcessEnv): number[] {
  const chain: number[] = [];
  if (!env['npm_lifecycle_event'] || process.platform === 'win32') {
    return chain;
  }
  for (let pid = process.ppid; pid > 1 && chain.length < maxAncestors;) {
    const { parent, command } = parentOf(pid);
    chain.push(pid);
    if (
      /\b(npm|pnpm|yarn|bun)\b/.test(command.split(/\0|\s-/)[0] ?? '') ||
      /\/(npm|pnpm|yarn)[-\w.]*js\b/.test(command)
    ) {
      return chain;
    }
    pid = parent;
  }
  // Whatever the chain is, it is not what was expected: only the parent is certain.
  return chain.slice(0, 1);
}

const maxAncestors = 4;

function parentOf(pid: number): { parent: number; command: string } {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      return { parent, command: readFileSync(`/proc/${pid}/cmdline`, 'utf8') };
    }
    const line = execFileSync('ps', ['-o', 'ppid=,command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    const [parent = '0', ...command] = line.split(/\s+/);
    return { parent: Number(parent), command: command.join(' ') };
  } catch {
    return { parent: 0, command: '' };
  }
}

/** Sends a signal to a process and its group, if it is the leader of one. A process that is gone is no error. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  for (const target of process.platform === 'win32' ? [pid] : [-pid, pid]) {
    try {
      process.kill(target, signal);
      return;
    } catch {
      // no such group: the process itself is tried
    }
  }
}
