/**
 * A line of the ledger: one JSON object, written once and never again. Its members stand in one order, so that there is one
 * text for each line, and the text is what is hashed and signed.
 *
 * `prev` is the hash of the line before, so that a line which is changed, taken out or moved breaks the chain; `sig` is an Ed25519
 * signature by the vault's key `kid` over everything before it, so that nobody else can write one.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import type { PublicKey, Signer } from '../vault';

/** What a line says, beside its place in the chain. It names an account by its pseudonym and says nothing else of it. */
export type Entry =
  /** The first line of every ledger. */
  | { readonly kind: 'beginning'; readonly at: string }
  | {
      /** The account was erased, or something that the law had kept of it (R10). */
      readonly kind: 'account' | 'retained';
      /** The account's pseudonym. */
      readonly subject: string;
      readonly erasedAt: string;
      readonly certificate: string;
    };

/** An entry that says that something was erased. */
export type ErasureEntry = Exclude<Entry, { readonly kind: 'beginning' }>;

/** A line, read. */
export interface Line<E extends Entry = Entry> {
  readonly region: string;
  /** 0 for the beginning, then one more for each line. */
  readonly seq: number;
  /** The hash of the line before; empty for the beginning. */
  readonly prev: string;
  readonly entry: E;
  /** The signing key's thumbprint. */
  readonly kid: string;
  /** This line's own hash. */
  readonly hash: string;
}

const format = 1;
/** What is signed begins with this, so that no signature over anything else of ours is one of a line. */
const context = 'ablauf ledger line\n';

/** Writes the text of a line. It holds no line break. */
export function writeLine(line: Pick<Line, 'region' | 'seq' | 'prev' | 'entry'>, signer: Signer): string {
  const unsigned = unsignedText({ ...line, kid: signer.publicKey.kid });
  const sig = signer.sign(Buffer.from(context + unsigned)).toString('base64url');
  return `${unsigned.slice(0, -1)},"sig":"${sig}"}`;
}

/**
 * Reads the text of a line.
 *
 * @param keys by thumbprint; absent where the signature has been checked before
 * @returns nothing where it is not exactly what {@link writeLine} would have written
 */
export function readLine(text: string, keys?: ReadonlyMap<string, PublicKey>): Line | undefined {
  const found = parsed(text);
  if (found === undefined) return undefined;
  const { sig, ...line } = found;
  const unsigned = unsignedText(line);
  if (`${unsigned.slice(0, -1)},"sig":"${sig}"}` !== text) return undefined;
  if (keys !== undefined && !isSigned(unsigned, line.kid, sig, keys)) return undefined;
  return { ...line, hash: hashOf(text) };
}

/** The thumbprint of the key a line says it is signed by; nothing where it is no line. */
export function kidOf(text: string): string | undefined {
  return parsed(text)?.kid;
}

/** The hash by which the next line refers to this one. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function unsignedText({ region, seq, prev, entry, kid }: Omit<Line, 'hash'>): string {
  const told =
    entry.kind === 'beginning'
      ? { kind: entry.kind, at: entry.at }
      : { kind: entry.kind, subject: entry.subject, erasedAt: entry.erasedAt, certificate: entry.certificate };
  return JSON.stringify({ v: format, region, seq, prev, ...told, kid });
}

function parsed(text: string): (Omit<Line, 'hash'> & { readonly sig: string }) | undefined {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof found !== 'object' || found === null) return undefined;
  const { v, region, seq, prev, kind, at, subject, erasedAt, certificate, kid, sig } = found as Record<string, unknown>;
  if (v !== format || typeof seq !== 'number') return undefined;
  if (!isText(region) || !isText(prev) || !isText(kid) || !isText(sig)) return undefined;
  const place = { region, seq, prev, kid, sig };
  if (kind === 'beginning' && isText(at)) return { ...place, entry: { kind, at } };
  if (kind !== 'account' && kind !== 'retained') return undefined;
  if (!isText(subject) || !isText(erasedAt) || !isText(certificate)) return undefined;
  return { ...place, entry: { kind, subject, erasedAt, certificate } };
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isSigned(unsigned: string, kid: string, sig: string, keys: ReadonlyMap<string, PublicKey>): boolean {
  const key = keys.get(kid);
  if (key === undefined) return false;
  const publicKey = createPublicKey({ key: { ...key }, format: 'jwk' });
  return verify(null, Buffer.from(context + unsigned), publicKey, Buffer.from(sig, 'base64url'));
}
