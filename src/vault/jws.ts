/** Signed statements (RFC 7515, 8037): what anybody can check with the public key, without asking us. */
import type { Signer } from './signer';

/**
 * Signs something as a JWS, in its compact form.
 *
 * @param type what kind of statement it is, so that none passes for one of another kind
 * @param version of that kind's form
 * @param content plain JSON; dates become ISO 8601
 */
export function signJws(signer: Signer, type: string, version: number, content: object): string {
  const header = { alg: signer.publicKey.alg, kid: signer.publicKey.kid, typ: type, ver: version };
  const signed = `${encoded(header)}.${encoded(content)}`;
  return `${signed}.${signer.sign(Buffer.from(signed)).toString('base64url')}`;
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
