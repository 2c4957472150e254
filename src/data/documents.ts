/** The documents of the database, by collection. What each field holds is declared in `map.ts`. */
import type { AccountState, Deadline, Lifecycle, Plan } from '../lifecycle';
import type { Sealed } from './protect';

/** How far an erasure has come. */
export interface ErasureProgress {
  readonly since: Date;
  readonly done: number;
  readonly total: number;
  /** Records erased so far, by data set. */
  readonly sets: Readonly<Record<string, number>>;
  /** A hold was placed since erasure last began: it has to begin anew before anything more goes (R9). */
  readonly halted?: true;
  /** What it was begun to do; it does nothing else. */
  readonly plan: RecordedPlan;
}

/** A plan as it was in force when an erasure began. */
export interface RecordedPlan {
  readonly hash: string;
  readonly steps: readonly { readonly dataset: string; readonly action: string; readonly rule: string }[];
}

/** A stretch of time in which an account was not active; data of that time is not kept (R15). */
export interface Inactivity {
  readonly from: Date;
  readonly to?: Date;
}

/** Why an erasure that is due did not happen yet. */
export type DelayReason = 'clocks-disagree' | 'held-back' | 'deviates-from-plan' | 'remains-found' | 'late';

/** A delay of a due erasure; it ends when the erasure goes on. */
export interface Delay {
  readonly reason: DelayReason;
  readonly detail: string;
  readonly since: Date;
  readonly until?: Date;
  readonly alertedAt?: Date;
  readonly escalatedAt?: Date;
}

/** The erasure of what the law let go on one date, of an erased account. */
export interface Lapse {
  /** The date. */
  readonly until: Date;
  readonly since: Date;
  /** What the two clocks said when it began. */
  readonly clocks: { readonly temporal: Date; readonly database: Date };
  /** What there was, by data set and law. */
  readonly found: readonly { readonly dataset: string; readonly law: string; readonly records: number }[];
  readonly erased: number;
}

/** What a purge under way has taken since it was last reported; see `purge-tally.ts`. */
export interface PurgeTally {
  /** Only what is older went. */
  readonly cutoff: Date;
  /** The days the account keeps. */
  readonly days: number;
  /** Records purged, by data set. */
  readonly records: Readonly<Record<string, number>>;
}

/** That an account is being erased again, because a restore brought it back (R23). */
export interface ReErasure {
  /** What the ledger says of its erasure. */
  readonly certificate: string;
  readonly erasedAt: Date;
  readonly since: Date;
  /** Holds that stood on what the restore brought back. */
  readonly holds: number;
}

/** An account, or the tombstone it leaves. */
export interface AccountDocument {
  /** The account's id; a tombstone's is `~` and the account's pseudonym (R22). */
  readonly _id: string;
  readonly region: string;
  readonly name?: Sealed<string>;
  readonly email?: Sealed<string>;
  /** Blind indexes, by which it is found; see `profile.ts`. */
  readonly nameIndex?: string;
  readonly emailIndex?: string;
  readonly plan?: Plan;
  readonly locale?: 'en' | 'de';
  readonly state: AccountState;
  readonly since: Date;
  readonly deadline?: { readonly action: Deadline['action']; readonly at: Date };
  /** The workflow's own state, as of step `seq`. Free text in it is encrypted; see `notes.ts`. */
  readonly lifecycle: Lifecycle;
  readonly inactive: readonly Inactivity[];
  readonly erasing?: ErasureProgress;
  readonly reErasing?: ReErasure;
  /** Why its erasure was late, each time it was. */
  readonly delays?: readonly Delay[];
  /** The breaker keeps its erasure back until an administrator lets it go. */
  readonly heldBack?: { readonly since: Date; readonly releasedAt?: Date };
  /** What a correction replaced while a hold on the whole account stood (R9). */
  readonly formerly?: readonly { readonly at: Date; readonly name?: Sealed<string>; readonly email?: Sealed<string> }[];
  readonly purging?: PurgeTally;
  /** Its list of allowed addresses restricts whom gateways may serve (R27). */
  readonly listed?: boolean;
  /** Counts what passed the deletion gate without changing the account; see `gate.ts`. */
  readonly passes?: number;
  /** Events refused because the account is erased or being erased (R15). */
  readonly lateRefused?: number;
  /** The certificates of its erasure, oldest first. */
  readonly certificateIds?: readonly string[];
  /** When the last of what the law keeps of it goes (R10); absent where nothing is kept any more. */
  readonly retainedUntil?: Date;
  /** What of that is being erased now (R10). */
  readonly lapsing?: Lapse;
  /** The number of the last recorded step. */
  readonly seq: number;
  /** Counts every change, of the course or of the profile; the API's `ETag`. */
  readonly version: number;
  readonly createdAt: Date;
  /** When nothing was found of it any more, as its certificate says. `since` is when that was decided. */
  readonly erasedAt?: Date;
}

/** What a new account will carry, until its workflow has begun. */
export interface AccountDraft {
  readonly _id: string;
  readonly account: string;
  readonly name: Sealed<string>;
  readonly email: Sealed<string>;
  readonly plan: Plan;
  readonly locale: 'en' | 'de';
  readonly createdAt: Date;
}

/** One part of one request a customer made. Its `_id` is `ACCOUNT:CALL`. */
export interface RecordDocument {
  readonly _id: string;
  readonly account: string;
  readonly callId: string;
  readonly at: Date;
  readonly model?: string;
  /** Finds the records of one person; absent where nobody is named. */
  readonly userIndex?: string;
  /** JSON text, and the person it names, encrypted as one; see `record-content.ts`. */
  readonly body: Sealed<Uint8Array>;
}

/** What a day's requests to one model came to (R12). Its `_id` is `ACCOUNT:DAY:MODEL`. */
export interface UsageTotalDocument {
  readonly _id: string;
  readonly account: string;
  /** `2026-11-22`, UTC. */
  readonly day: string;
  readonly model: string;
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** In billionths, whole: sums of them are exact. */
  readonly costNano: number;
}

/** That a call was taken in. Its `_id` is `ACCOUNT:` and a hexadecimal fingerprint of the call's id. */
export interface ReceiptDocument {
  readonly _id: string;
  readonly at: Date;
}

/** An invoice to a customer. Its `_id` is `ACCOUNT:NUMBER`. */
export interface InvoiceDocument {
  readonly _id: string;
  readonly account: string;
  readonly number: string;
  /** The calendar date it bears, `2026-11-22`: what the law counts from, in no time zone. */
  readonly issuedOn: string;
  readonly at: Date;
  /** JSON text. */
  readonly body: Sealed<string>;
}

/** Something the law keeps of an erased account (R10). Its `_id` is `SUBJECT:DATASET:KEY`. */
export interface SealedDocument {
  readonly _id: string;
  /** The account's pseudonym. */
  readonly subject: string;
  readonly dataset: string;
  /** What it was known by in its data set. */
  readonly key: string;
  /** It goes from this instant on. */
  readonly until: Date;
  readonly sealedAt: Date;
  readonly law: string;
  /** The document as it was, without what named its account, as extended JSON, encrypted under the key of what the law keeps. */
  readonly document: Sealed<string>;
}

/** Opened while records may be written for an account, closed when its erasure begins. Counts what came to it. */
export interface GateDocument {
  readonly _id: string;
  readonly open: boolean;
  /** Transactions that wrote records. */
  readonly passed: number;
  /** Events left out because they happened while the account was not active (R15). */
  readonly discarded?: number;
  /** Events refused since its erasure began (R15). */
  readonly refused?: number;
  /** Before this instant no record of the account passes its age (R12). Absent where its records do not age. */
  readonly purgeAt?: Date;
}

/** Something added to a certificate after it was issued. */
export interface Addendum {
  readonly at: Date;
  readonly kind: string;
  readonly content: Readonly<Record<string, unknown>>;
  /** The same, signed, numbered and chained; see `addenda.ts`. Absent until the certificate itself is signed. */
  readonly jws?: string;
}

/** A certificate. Nothing in it names the account but the pseudonym. */
export interface CertificateDocument {
  /** Cannot be guessed: whoever has it may read the certificate. */
  readonly _id: string;
  readonly kind: 'erasure' | 'retained-erasure';
  /** The account's pseudonym. */
  readonly subject: string;
  readonly issuedAt: Date;
  /** What the erasure recorded. */
  readonly content: Readonly<Record<string, unknown>>;
  /** The id of the erasure's entry in the audit log. */
  readonly entry?: string;
  /** All it says, signed; see `complete-certificate.ts`. Absent until then. */
  readonly jws?: string;
  /** The line of the ledger that tells of it; 0 until it is there. */
  readonly ledger?: number;
  /** What came for the account afterwards and was refused (R15). */
  readonly late?: { readonly refused: number; readonly lastAt: Date };
  /** What processors confirmed afterwards. */
  readonly addenda: readonly Addendum[];
}

/** The settings' ids: none an account could have, so that no search for an account finds them. */
export const settingsId = '/policy';

/** The deployment's defaults where they were changed at run time. */
export interface SettingsDocument {
  readonly _id: typeof settingsId;
  readonly gracePeriod?: string;
  readonly expiryPeriod?: string;
  readonly version: number;
}
