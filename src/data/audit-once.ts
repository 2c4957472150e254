/** Acts of the system that happen elsewhere than in this database, put on record here. */
import { native } from '../database';
import type { AuditEntryDocument } from '../audit';
import { bySystem } from '../lifecycle';
import type { Store } from './store';

/** An act of the deployment's own. */
export interface SystemAct {
  /** The same id is the same act. */
  readonly id: string;
  readonly action: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** The account it concerns, where it concerns one alone. */
  readonly account?: string;
}

/** Puts an act on record, once, however often it is repeated after a crash. */
export async function auditOnce(store: Store, { id, ...act }: SystemAct): Promise<void> {
  const at = await store.databaseTime();
  await store.transaction(async (session) => {
    const known = await native(store.audit.entries).findOne<AuditEntryDocument>({ _id: id }, { session });
    if (known !== null) return;
    await store.audit.append(session, { id, at, actor: bySystem, ...act });
  });
}
