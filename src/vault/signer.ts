/** Signing (R20, R22): Ed25519, with a key of the vault's. */
import { createHash, createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';

/** A public key, as a JSON Web Key (RFC 8037). */
export interface PublicKey {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  /** 32 bytes, base64url. */
  readonly x: string;
  /** The key's thumbprint (RFC 7638). */
  readonly kid: string;
  readonly use: 'sig';
  readonly alg: 'EdDSA';
}

/** Signs in the deployment's name. */
export interface Signer {
  readonly publicKey: PublicKey;
  /** 64 bytes. */
  sign(message: Uint8Array): Buffer;
}

/** Signers with all versions of a key. */
export interface Signers {
  /** With the version in use. */
  readonly current: Signer;
  /** The public halves of all versions, the one in use first and the others from the newest on. */
  readonly all: readonly PublicKey[];
}

/** What a private key is preceded by in PKCS #8 (RFC 8410). */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Signers with the keys of a vault's signing stream: each version's data key is a private key. */
export function createSigner(region: string, seeds: ReadonlyMap<number, Buffer>, current: number): Signers {
  const newestFirst = [...seeds].sort(([a], [b]) => Number(b === current) - Number(a === current) || b - a);
  const signers = newestFirst.map(([version, seed]) => ({ version, signer: signerOf(seed) }));
  const chosen = signers.find(({ version }) => version === current);
  if (chosen === undefined) throw new Error(`the signing key of ${region} is not complete`);
  return { current: chosen.signer, all: signers.map(({ signer }) => signer.publicKey) };
}

function signerOf(seed: Buffer): Signer {
  const key: KeyObject = createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(key).export({ format: 'jwk' }) as { x: string };
  const kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url');
  return {
    publicKey: { kty: 'OKP', crv: 'Ed25519', x, kid, use: 'sig', alg: 'EdDSA' },
    sign: (message) => sign(null, message, key),
  };
}
