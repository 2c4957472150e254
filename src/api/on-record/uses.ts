/**
 * Putting on record that somebody uses what few may use: an administrator's key, and reads that show what others may not see (R19).
 * It is on record before anything is shown, once for a while: a page of a list is no event of its own.
 */
import type { Principal } from '../../access';
import type { Role } from '../../lifecycle';
import type { ApiDependencies } from '../dependencies';

/** What is put on record when it is used. */
export type Use = 'key.used' | 'audit.read' | 'audit.exported' | 'keys.read' | 'users.read' | 'payloads.decoded';

/** Who uses something, and in which request. */
interface User {
  readonly principal: Principal;
  readonly requestId: string;
}

/** Uses on record. */
export interface Uses {
  /** Settles once the use is on record: by this entry, or by one of the same actor and address not long ago. */
  record(by: User, use: Use): Promise<void>;
}

/** An entry stands for what its actor does from the same address for so long, in milliseconds. */
const sameUse = 600_000;
/** How many are remembered. Beyond, the oldest are entered again. */
const most = 10_000;
/** Whose keys are on record when they are used. */
const recordedRole: Role = 'admin';

interface Recorded {
  readonly at: number;
  readonly written: Promise<unknown>;
}

/** Begins to put uses on record. */
export function recordUses({ store, clock }: Pick<ApiDependencies, 'store' | 'clock'>): Uses {
  const recorded = new Map<string, Recorded>();

  function forget(now: number): void {
    // The oldest come first.
    for (const [key, { at }] of recorded) {
      if (now - at < sameUse && recorded.size < most) return;
      recorded.delete(key);
    }
  }

  return {
    async record({ principal: { actor }, requestId }, use) {
      const key = `${use} ${actor.id} ${actor.address ?? ''}`;
      const now = clock();
      const known = recorded.get(key);
      if (known !== undefined && now.getTime() - known.at < sameUse) {
        await known.written;
        return;
      }
      recorded.delete(key);
      forget(now.getTime());
      const entry = { at: now, actor, action: use, details: {}, requestId };
      const begun = { at: now.getTime(), written: store.transaction((session) => store.audit.append(session, entry)) };
      recorded.set(key, begun);
      try {
        await begun.written;
      } catch (error) {
        if (recorded.get(key) === begun) recorded.delete(key);
        throw error;
      }
    },
  };
}

/** Whether a call is itself the use of an administrator's key. */
export function isAdministratorsKey({ role, shown }: Principal): boolean {
  return role === recordedRole && shown.by === 'key';
}
