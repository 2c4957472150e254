/**
 * Certificates of erasure (R22): what was erased, what is kept and why, what the search covered. They name the account by a
 * pseudonym only, so that they may stand when everything else is gone. They are not signed yet.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { ClientSession, mongo } from 'mongoose';
import { native } from '../database';
import type { CertificateDocument, Delay } from './documents';
import type { Store } from './store';

/** What the law keeps, or kept: so many records of a data set, under a law, until an instant (R10). */
export interface Retained {
  readonly dataset: string;
  readonly records: number;
  readonly law: string;
  readonly until: string;
}

/** What became of a data set. */
export interface ErasedSet {
  readonly dataset: string;
  /** Records the erasure came upon, from its first beginning to its end. */
  readonly found: number;
  readonly erased: number;
  /** Records that are still there. */
  readonly left: number;
  /** The rule that says so. */
  readonly rule: string;
  /** Why something is left. */
  readonly reason?: string;
  /** When it goes, where that is known. */
  readonly until?: string;
}

/** Why an erasure was late, and for how long. */
export interface CertifiedDelay {
  readonly reason: Delay['reason'];
  readonly since: string;
  readonly until: string;
}

/** What the search after an erasure looked through. */
export interface CertifiedSearch {
  readonly at: string;
  readonly collections: readonly { readonly collection: string; readonly how: string }[];
  /** The declared remainder: what the search left out. */
  readonly except: readonly string[];
  readonly found: 0;
}

/** A processor that was told to erase too, and by which request. What it answers becomes an addendum. */
export interface CertifiedProcessor {
  readonly processor: string;
  readonly request: string;
}

/** What the certificate of an account's erasure says. Nothing in it is personal or names the account. */
export interface ErasureCertificate {
  readonly version: 1;
  readonly region: string;
  readonly account: {
    readonly openedAt: string;
    readonly closedAt: string;
    readonly closure: 'voluntary' | 'forced';
    readonly dueAt: string;
    readonly erasedAt: string;
  };
  /** Of the plan it was erased by. */
  readonly planHash: string;
  readonly sets: readonly ErasedSet[];
  readonly retained: readonly Retained[];
  /** What came for the account too late, until this was issued (R15). */
  readonly late: { readonly discarded: number; readonly refused: number };
  readonly delays: readonly CertifiedDelay[];
  readonly search: CertifiedSearch;
  readonly processors: readonly CertifiedProcessor[];
}

/** What the certificate of a later erasure says: of what the law had kept, and let go (R10). */
export interface RetainedErasureCertificate {
  readonly version: 1;
  readonly region: string;
  /** The certificate of the account's own erasure. */
  readonly follows?: string;
  readonly erasedAt: string;
  /** What the two clocks said when it was judged that the date had passed. */
  readonly clocks: { readonly temporal: string; readonly database: string };
  readonly sets: readonly (ErasedSet & { readonly law: string; readonly keptUntil: string })[];
  /** What the law keeps still. */
  readonly retained: readonly Retained[];
  readonly delays: readonly CertifiedDelay[];
}

/** A certificate to issue. */
export type NewCertificate = {
  /** Where it has to be known before: of {@link newCertificateId}. */
  readonly id?: string;
  readonly account: string;
  readonly issuedAt: Date;
} & (
  | { readonly kind: 'erasure'; readonly content: ErasureCertificate }
  | { readonly kind: 'retained-erasure'; readonly content: RetainedErasureCertificate }
);

const idPrefix = 'cert_';
/** What an id of a certificate looks like. */
export const certificateIdPattern = /^cert_[A-Za-z0-9_-]{43}$/;

/** An id for a certificate: 256 bits of chance. */
export function newCertificateId(): string {
  return `${idPrefix}${randomBytes(32).toString('base64url')}`;
}

/**
 * Issues a certificate, inside the transaction of the erasure it is about: without it, nothing is recorded as erased.
 *
 * @returns its id, 256 bits of chance: whoever has it may read the certificate
 */
export async function issueCertificate(
  store: Store,
  session: ClientSession,
  certificate: NewCertificate,
): Promise<string> {
  const { id = newCertificateId(), account, kind, issuedAt, content } = certificate;
  const document: CertificateDocument = {
    _id: id,
    kind,
    subject: await pseudonymOf(store, account),
    issuedAt,
    content: { ...content },
    addenda: [],
  };
  await native(store.certificates).insertOne(document, { session });
  return document._id;
}

/** A certificate, as it was issued and with what was added to it. */
export function findCertificate(store: Store, id: string): Promise<CertificateDocument | null> {
  return native(store.certificates).findOne<CertificateDocument>({ _id: id });
}

/** The id of the secret's document: none an account could have. */
const secretId = '/pseudonyms';

interface PseudonymSecret {
  readonly _id: typeof secretId;
  readonly secret: string;
}

/**
 * What certificates call an account: a keyed hash of its region and id (R22). The same account always has the same one, and
 * without the deployment's secret nobody can tell which account it is, nor try ids out.
 */
export async function pseudonymOf(store: Store, account: string): Promise<string> {
  const secret = await pseudonymSecret(store);
  return createHmac('sha256', Buffer.from(secret, 'base64url'))
    .update(`${store.region}/${account}`)
    .digest('base64url');
}

/** The secret, made the first time it is asked for. Outside of any transaction: it outlasts one that is aborted. */
async function pseudonymSecret(store: Store): Promise<string> {
  const collection = store.settings.collection as unknown as mongo.Collection<PseudonymSecret>;
  const known = await collection.findOne({ _id: secretId });
  if (known !== null) return known.secret;
  const secret = randomBytes(32).toString('base64url');
  try {
    await collection.insertOne({ _id: secretId, secret });
    return secret;
  } catch (error) {
    // Somebody else made it meanwhile: there is one, and it is theirs.
    const made = await collection.findOne({ _id: secretId });
    if (made === null) throw error;
    return made.secret;
  }
}
