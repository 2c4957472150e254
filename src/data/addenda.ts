/**
 * What is added to a certificate after it was issued (R22): each addendum is signed by itself, numbered, and names the
 * certificate and the addendum before it by their hashes, so that none can be moved, swapped, or left out unseen.
 */
import { createHash } from 'node:crypto';
import type { ClientSession } from 'mongoose';
import { native } from '../database';
import { signJws, type Signer } from '../vault';
import type { Addendum, CertificateDocument } from './documents';
import type { Store } from './store';

/** Something to add to a certificate. Nothing in it is personal or names the account. */
export type NewAddendum = Pick<Addendum, 'at' | 'kind' | 'content'>;

/**
 * Adds to a certificate, inside the transaction of what is added. Signed at once, or together with the certificate where
 * that is still being completed.
 *
 * @throws {Error} there is no such certificate
 */
export async function addAddendum(
  store: Store,
  session: ClientSession,
  certificate: string,
  { at, kind, content }: NewAddendum,
): Promise<void> {
  const found = await native(store.certificates).findOne<CertificateDocument>({ _id: certificate }, { session });
  if (found === null) throw new Error(`something is to be added to a certificate that is not there: ${certificate}`);
  const all = [...found.addenda, { at, kind, content }];
  const addenda = found.jws === undefined ? all : signAddenda(await store.vault.signer(), found._id, found.jws, all);
  await native(store.certificates).updateOne({ _id: certificate }, { $set: { addenda } }, { session });
}

/** Signs those of a certificate's addenda that are not signed yet. Those that are stay as they are. */
export function signAddenda(
  signer: Signer,
  certificate: string,
  jws: string,
  addenda: readonly Addendum[],
): readonly Addendum[] {
  const certificateSha256 = sha256Of(jws);
  let previousSha256 = certificateSha256;
  return addenda.map((addendum, index) => {
    const { at, kind, content } = addendum;
    const signed = { certificate, certificateSha256, number: index + 1, previousSha256, at, kind, content };
    const own = addendum.jws ?? signJws(signer, 'ablauf-addendum', 1, signed);
    previousSha256 = sha256Of(own);
    return { ...addendum, jws: own };
  });
}

/** The hash by which a signed part is named: of its compact form. */
export function sha256Of(jws: string): string {
  return createHash('sha256').update(jws).digest('base64url');
}
