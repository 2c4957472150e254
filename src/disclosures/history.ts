/**
 * What the audit log says of an entry of the register. The log has no index on what its details say: an entry counts its own
 * acts, and their ids follow from the count by a keyed hash, so that nobody without the key can make one and ask for its proof.
 */
import type { ClientSession } from 'mongoose';
import type { AuditEntry, AuditEntryDocument, NewAuditEntry } from '../audit';
import type { Store } from '../data';
import { native } from '../database';
import type { ProviderDocument } from './documents';

/** Acts that are read of one entry, the newest. */
const mostActs = 100;

/** Who did something, when. */
export type Act = Pick<NewAuditEntry, 'at' | 'actor' | 'requestId'>;

/** What is put on record of it. */
export interface Recorded {
  readonly action: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Puts an act on record, in the transaction of its effect, as the provider's act of a number. */
export async function record(
  store: Store,
  session: ClientSession,
  { _id, acts }: Pick<ProviderDocument, '_id' | 'acts'>,
  act: Act,
  { action, details }: Recorded,
): Promise<void> {
  const id = (await idsOf(store, _id, [acts]))[0] ?? '';
  await store.audit.append(session, { ...act, id, action, details: { provider: _id, ...details } });
}

/** What the log still holds of an entry, oldest first; at most the newest {@link mostActs}. */
export async function historyOf(
  store: Store,
  { _id, acts }: Pick<ProviderDocument, '_id' | 'acts'>,
): Promise<AuditEntry[]> {
  const first = Math.max(1, acts - mostActs + 1);
  const numbers = Array.from({ length: acts - first + 1 }, (_, index) => first + index);
  const ids = await idsOf(store, _id, numbers);
  const found = await native(store.audit.entries)
    .find<AuditEntryDocument>({ _id: { $in: ids } })
    .toArray();
  const revealed = await store.audit.reveal(found);
  return revealed.sort((a, b) => ids.indexOf(a.id) - ids.indexOf(b.id));
}

async function idsOf({ vault }: Store, provider: string, numbers: readonly number[]): Promise<string[]> {
  const lookups = await vault.systemCipher('lookups');
  return numbers.map((number) => lookups.index('provider.act', `${provider}/${number}`));
}
