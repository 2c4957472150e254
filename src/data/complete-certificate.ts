/**
 * Completing a certificate (R22): once the key is destroyed and the audit log can prove the erasure's entry, everything the
 * certificate says is signed. Until then nobody is shown any of it.
 */
import { proofOf, type InclusionProof } from '../audit';
import { native } from '../database';
import { bySystem, formatDuration } from '../lifecycle';
import { signJws } from '../vault';
import { sha256Of, signAddenda } from './addenda';
import { findCertificate, type CertifiedKey } from './certificates';
import type { CertificateDocument } from './documents';
import { CertificatePendingError } from './errors';
import type { Searched } from './search';
import type { Store } from './store';

/** A key that is gone. */
export interface KeyDestruction {
  readonly keyDestroyedAt: Date;
  /** What the search of the key store went through; it found nothing. */
  readonly searched?: readonly Searched[];
}

/**
 * Completes a certificate: says what became of the key, has the log prove the erasure's entry, and signs it together with what was
 * added meanwhile. Safe to repeat after a crash at any point: what it says already stays as it is, and is not signed again.
 *
 * @param key absent where the key is still needed, for what a law keeps beyond this erasure (R10)
 * @throws {CertificatePendingError} the log does not prove the erasure's entry
 * @throws {Error} there is no such certificate
 */
export async function completeCertificate(store: Store, id: string, key?: KeyDestruction): Promise<void> {
  const issued = await findCertificate(store, id);
  if (issued === null) throw new Error(`there is no certificate ${id}`);
  if (issued.jws !== undefined) return;
  if (key !== undefined) await addKey(store, id, key);
  const log = await proofFor(store, issued);
  const signer = await store.vault.signer();
  const signedAt = await store.databaseTime();
  await store.transaction(async (session) => {
    const certificate = await native(store.certificates).findOne<CertificateDocument>({ _id: id }, { session });
    if (certificate === null || certificate.jws !== undefined) return;
    const { kind, subject, issuedAt, content } = certificate;
    const whole = { id, kind, subject, issuedAt, signedAt, ...content, log };
    const jws = signJws(signer, 'ablauf-certificate', 1, whole);
    const addenda = signAddenda(signer, id, jws, certificate.addenda);
    await native(store.certificates).updateOne({ _id: id }, { $set: { jws, addenda } }, { session });
  });
}

/** When the key went, and when no backup can hold it any more; with an audit entry in the same transaction. Once. */
async function addKey(store: Store, id: string, { keyDestroyedAt, searched }: KeyDestruction): Promise<void> {
  const { vault } = store;
  const at = await store.databaseTime();
  const key: CertifiedKey = {
    destroyedAt: keyDestroyedAt.toISOString(),
    finalAt: new Date(keyDestroyedAt.getTime() + vault.backupRetention).toISOString(),
    backupRetention: formatDuration(vault.backupRetention),
    apart: vault.apart,
    ...(searched === undefined ? {} : { search: { at: at.toISOString(), collections: searched, found: 0 } }),
  };
  await store.transaction(async (session) => {
    const certificates = native(store.certificates);
    const certificate = await certificates.findOne<CertificateDocument>({ _id: id }, { session });
    if (certificate === null || certificate.content['key'] !== undefined) return;
    await certificates.updateOne({ _id: id }, { $set: { 'content.key': key } }, { session });
    await store.audit.append(session, {
      at,
      actor: bySystem,
      action: 'key.destroyed',
      account: `~${certificate.subject}`,
      details: { certificate: id, destroyedAt: key.destroyedAt, finalAt: key.finalAt },
    });
  });
}

/** The log's proof of the erasure's entry. Outside of any transaction: the entry gets its place first, where it has none. */
async function proofFor(store: Store, { _id, entry }: CertificateDocument): Promise<InclusionProof> {
  const proof = entry === undefined ? undefined : await proofOf(store, entry);
  if (proof === undefined)
    throw new CertificatePendingError(`the audit log does not hold the entry of certificate ${_id}`);
  return proof;
}

/** A JWS in its flattened form (RFC 7515, 7.2.2). */
export interface FlattenedJws {
  readonly payload: string;
  readonly protected: string;
  readonly signature: string;
}

/** A certificate as it is handed out: a JWS, and beside it what was added since, each signed by itself. */
export interface SignedCertificate extends FlattenedJws {
  readonly addenda: readonly FlattenedJws[];
  /** Made for whoever reads: how many addenda there are by now, and what came for the account too late (R15). */
  readonly statement: FlattenedJws;
}

/**
 * A certificate to hand out. The statement is signed on the spot, so that leaving out the last addenda shows as well.
 *
 * @returns nothing while it is being completed
 */
export async function signedCertificate(
  store: Store,
  { _id, jws, late, addenda }: CertificateDocument,
): Promise<SignedCertificate | undefined> {
  if (jws === undefined) return undefined;
  const signed = addenda.map((addendum) => addendum.jws ?? '');
  const statement = {
    certificate: _id,
    certificateSha256: sha256Of(jws),
    at: await store.databaseTime(),
    addenda: signed.length,
    lastSha256: sha256Of(signed.at(-1) ?? jws),
    late: { refused: late?.refused ?? 0, lastAt: late?.lastAt ?? null },
  };
  const signer = await store.vault.signer();
  return {
    ...flattened(jws),
    addenda: signed.map(flattened),
    statement: flattened(signJws(signer, 'ablauf-statement', 1, statement)),
  };
}

function flattened(jws: string): FlattenedJws {
  const [header = '', payload = '', signature = ''] = jws.split('.');
  return { payload, protected: header, signature };
}
