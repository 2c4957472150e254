/**
 * Entries of the log that nothing depends on: they are written as soon as the database lets them, kept meanwhile, and written
 * once however often that is tried.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AuditEntryDocument, NewAuditEntry } from '../../audit';
import type { Store } from '../../data';
import { native } from '../../database';
import { problemOf } from '../failures';

export interface LateEntriesOptions {
  readonly store: Pick<Store, 'transaction' | 'audit'>;
  readonly log: Pick<Logger, 'warn' | 'error'>;
  /** How many may wait. @default 500 */
  readonly most?: number;
}

/** Entries on their way into the log. */
export interface LateEntries {
  /** Whether one more may wait. */
  readonly hasRoom: boolean;
  /** Takes an entry. Settles once it is written, or once it is known that this takes longer; never fails. */
  add(entry: NewAuditEntry): Promise<void>;
  /** Waits until all are written, or the time is up, in milliseconds; nothing is tried after that. */
  stop(patience: number): Promise<void>;
}

interface Waiting {
  readonly entry: NewAuditEntry;
  readonly settle: () => void;
  attempts: number;
}

/** Between two attempts while the database is away, in milliseconds. */
const retryEvery = 1000;
/** How long anybody waits for an entry, in milliseconds. */
const longestWait = 1000;
/** After so many attempts that failed though the database was there, an entry is given up, and the process's log says so. */
const mostAttempts = 3;

export function writeLate({ store, log, most = 500 }: LateEntriesOptions): LateEntries {
  const waiting: Waiting[] = [];
  const stopping = new AbortController();
  let writing: Promise<void> | undefined;
  let isLate = false;

  /** The same entry is written once: whether the attempt before came through may be unknown. */
  async function write(entry: NewAuditEntry & { readonly id: string }): Promise<void> {
    const { entries } = store.audit;
    await store.transaction(async (session) => {
      const known = await native(entries).findOne<AuditEntryDocument>({ _id: entry.id }, { session });
      if (known === null) await store.audit.append(session, entry);
    });
  }

  async function writeAll(): Promise<void> {
    for (let next = waiting[0]; next !== undefined && !stopping.signal.aborted; next = waiting[0]) {
      const { entry } = next;
      try {
        await write({ ...entry, id: entry.id ?? randomUUID() });
        isLate = false;
      } catch (error) {
        const isAway = problemOf(error, { sent: false, writing: true, abandoned: false }).code !== 'internal';
        next.attempts += 1;
        if (isAway || next.attempts < mostAttempts) {
          release(error);
          await pause(retryEvery, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
          continue;
        }
        log.error({ err: error, action: entry.action }, 'an entry cannot be written to the audit log and is given up');
      }
      waiting.shift();
      next.settle();
    }
    writing = undefined;
  }

  /** Lets everybody go who waits. */
  function release(error: unknown): void {
    if (!isLate) log.warn({ err: error }, 'entries of the audit log wait to be written');
    isLate = true;
    for (const { settle } of waiting) settle();
  }

  return {
    get hasRoom() {
      return waiting.length < most;
    },
    async add(entry) {
      let settle = (): void => undefined;
      const settled = new Promise<void>((resolve) => (settle = resolve));
      waiting.push({ entry: { id: randomUUID(), ...entry }, settle, attempts: 0 });
      writing ??= writeAll();
      if (isLate) return;
      const timer = new AbortController();
      const late = pause(longestWait, true, { signal: timer.signal, ref: false }).catch(() => false);
      // From then on nobody waits until one was written again.
      if (await Promise.race([settled.then(() => false), late])) isLate = waiting.length > 0;
      timer.abort();
    },
    async stop(patience) {
      const timer = new AbortController();
      const enough = pause(patience, undefined, { signal: timer.signal }).catch(() => undefined);
      await Promise.race([writing, enough]);
      timer.abort();
      stopping.abort();
      if (waiting.length > 0) log.error({ entries: waiting.length }, 'entries of the audit log were not written');
    },
  };
}
