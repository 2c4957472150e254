/**
 * Certificates of erasure (R22): what was erased, what is kept and why, what the search covered. They name the account by a
 * pseudonym only, so that they may stand when everything else is gone. How they are signed: `complete-certificate.ts`.
 */
import { randomBytes } from 'node:crypto';
import type { ClientSession } from 'mongoose';
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

/** The policy an account was erased under. */
export interface CertifiedPolicy {
  /** The expiry period, as it was fixed when it began or last changed (R7). */
  readonly expiryPeriod?: string;
  /** Erasure was put off until then by the notice (R7, R9). */
  readonly notBefore?: string;
  /** For how many days data was kept while the account was active; without limit when absent (R11). */
  readonly activeRetentionDays?: number;
}

/** A legal hold that stood between the account's closure and its erasure, and that was honoured (R9). */
export interface CertifiedHold {
  readonly placedAt: string;
  readonly releasedAt: string;
  /** The data sets it protected; everything when absent. */
  readonly datasets?: readonly string[];
}

/** That the key of what was erased is gone, and from when on no backup holds it either. */
export interface CertifiedKey {
  readonly destroyedAt: string;
  /** The last backup of the key store that could hold it is gone. */
  readonly finalAt: string;
  /** For how long such a backup is kept. */
  readonly backupRetention: string;
  /** Whether the key lay on a server of its own: otherwise backups of the data hold it as well. */
  readonly apart: boolean;
  /** What was looked through for anything left of the key. */
  readonly search?: Pick<CertifiedSearch, 'at' | 'collections' | 'found'>;
}

/** A processor that was told to erase too, and by which request. What it answers becomes an addendum. */
export interface CertifiedProcessor {
  readonly processor: string;
  readonly request: string;
}

/** What the certificate of an account's erasure says. Nothing in it is personal or names the account. */
export interface ErasureCertificate {
  readonly region: string;
  readonly account: {
    readonly openedAt: string;
    /** Where its grace period led to its closure (R5). */
    readonly suspendedAt?: string;
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
  readonly policy: CertifiedPolicy;
  readonly holds: readonly CertifiedHold[];
  readonly delays: readonly CertifiedDelay[];
  readonly search: CertifiedSearch;
  readonly processors: readonly CertifiedProcessor[];
  /** Absent until the key is destroyed. */
  readonly key?: CertifiedKey;
}

/** What the certificate of a later erasure says: of what the law had kept, and let go (R10). */
export interface RetainedErasureCertificate {
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
  /** In the certificate of the last of what was kept, whose key is destroyed with it. */
  readonly key?: CertifiedKey;
}

/** A certificate to issue. */
export type NewCertificate = {
  /** Where it has to be known before: of {@link newCertificateId}. */
  readonly id?: string;
  readonly account: string;
  readonly issuedAt: Date;
  /** The id of the erasure's entry in the audit log, which the certificate will prove. */
  readonly entry: string;
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
 * Issues a certificate, inside the transaction of the erasure it is about: without it, nothing is recorded as erased. It is
 * shown to nobody before it is signed; see `completeCertificate`.
 *
 * @returns its id, 256 bits of chance: whoever has it may read the certificate
 */
export async function issueCertificate(
  store: Store,
  session: ClientSession,
  certificate: NewCertificate,
): Promise<string> {
  const { id = newCertificateId(), account, kind, issuedAt, entry, content } = certificate;
  const document: CertificateDocument = {
    _id: id,
    kind,
    subject: store.vault.pseudonymOf(account),
    issuedAt,
    content: { ...content },
    entry,
    ledger: 0,
    addenda: [],
  };
  await native(store.certificates).insertOne(document, { session });
  return document._id;
}

/** A certificate, as it was issued and with what was added to it. */
export function findCertificate(store: Store, id: string): Promise<CertificateDocument | null> {
  return native(store.certificates).findOne<CertificateDocument>({ _id: id });
}
