/**
 * Destroying the key of what was erased (R21, R22): the last step of an erasure, and the one that reaches every copy of the
 * data, in logs, backups and dumps.
 *
 * 1. It comes after the transaction that left the tombstone and the certificate: until that, a hold may come, and what it
 *    protects must stay readable.
 * 2. The certificate is complete only once the key is gone, and says when.
 * 3. Each step may be repeated, by this process or another one: a key that is destroyed stays so, since the same instant.
 */
import { findCertificate } from './certificates';
import { completeCertificate } from './complete-certificate';
import { ErasureBlockedError, KeyRemainsError } from './errors';
import { searchKeys } from './search';
import { findAccount, type Store } from './store';

/**
 * Destroys the key of an erased account, and says so in its certificate. Safe to repeat.
 *
 * @throws {ErasureBlockedError} the account is not erased
 * @throws {KeyRemainsError} the key store has it still
 */
export async function destroyAccountKey(store: Store, account: string): Promise<void> {
  const tombstone = await findAccount(store, account);
  const [certificate] = tombstone?.certificateIds ?? [];
  if (tombstone?.state !== 'erased' || certificate === undefined) {
    throw new ErasureBlockedError(`account ${account} is not erased: its key stays`);
  }
  await destroy(store, tombstone._id, 'account', certificate);
}

/**
 * Completes the certificate of what the law let go last (R10); before that it destroys the key of what the law kept, once
 * none of it is left. Safe to repeat.
 */
export async function completeLapse(store: Store, account: string): Promise<void> {
  const tombstone = await findAccount(store, account);
  const last = tombstone?.certificateIds?.at(-1);
  if (tombstone?.state !== 'erased' || last === undefined) return;
  const certificate = await findCertificate(store, last);
  // Where nothing was kept the last certificate is that of the account itself.
  if (certificate?.kind !== 'retained-erasure') return;
  if (tombstone.retainedUntil === undefined) await destroy(store, tombstone._id, 'retained', last);
  else await completeCertificate(store, last);
}

async function destroy(
  store: Store,
  tombstone: string,
  kind: 'account' | 'retained',
  certificate: string,
): Promise<void> {
  const known = await findCertificate(store, certificate);
  if (known?.jws !== undefined) return;
  const keyDestroyedAt = await store.vault.destroyKey(tombstone, kind);
  const { collections, found } = await searchKeys(store, tombstone, kind);
  if (found.length > 0) {
    const places = found.map(({ collection, records }) => `${records} in ${collection}`).join(', ');
    throw new KeyRemainsError(`the search for the destroyed key of ${tombstone} found ${places}`);
  }
  // A restore may have lost it (R23): then the ledger alone tells of the erasure.
  if (known === null) return;
  await completeCertificate(store, certificate, { keyDestroyedAt, searched: collections });
}
