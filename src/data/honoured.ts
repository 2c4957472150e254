/** What an account's log says that its certificate repeats: when it was suspended, and which holds were honoured (R9). */
import type { AuditEntryDocument } from '../audit';
import { native } from '../database';
import type { Hold } from '../lifecycle';
import type { CertifiedHold } from './certificates';
import type { Store } from './store';

/** What happened to an account between its closure and its erasure, and the suspension that led there. */
export interface CertifiedCourse {
  readonly suspendedAt?: string;
  readonly holds: readonly CertifiedHold[];
}

const told = new Set(['account.suspended', 'hold.placed', 'hold.released']);

/**
 * Reads an account's log, oldest first.
 *
 * @param closedAt holds that had been released by then had nothing to protect from erasure
 */
export async function certifiedCourse(store: Store, account: string, closedAt: string): Promise<CertifiedCourse> {
  let suspendedAt: string | undefined;
  const holds = new Map<string, { hold: Hold; releasedAt?: string }>();
  // Plain enough for an index, whichever server it is; what matters is picked here.
  const entries = native(store.audit.entries)
    .find<Pick<AuditEntryDocument, 'at' | 'action' | 'details'>>(
      { subject: store.vault.pseudonymOf(account), at: { $gte: new Date(0) } },
      { projection: { at: 1, action: 1, 'details.hold': 1 } },
    )
    .sort({ at: 1, seq: 1 });
  for await (const { at, action, details } of entries) {
    if (!told.has(action)) continue;
    const { hold } = details as { hold?: Hold | string };
    if (action === 'account.suspended') suspendedAt = at.toISOString();
    else if (typeof hold === 'object') holds.set(hold.id, { hold });
    else if (hold !== undefined) {
      const placed = holds.get(hold);
      if (placed !== undefined) placed.releasedAt = at.toISOString();
    }
  }
  return {
    ...(suspendedAt === undefined ? {} : { suspendedAt }),
    holds: [...holds.values()].flatMap(({ hold: { placedAt, datasets }, releasedAt }) =>
      releasedAt === undefined || releasedAt <= closedAt
        ? []
        : [{ placedAt, releasedAt, ...(datasets === undefined ? {} : { datasets }) }],
    ),
  };
}
