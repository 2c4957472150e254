/**
 * The words of this product, as types.
 *
 * - *account*: one customer of the gateway, an organisation with users, keys and data
 * - *period*: the grace period of a suspended account or the expiry period of an expired one
 * - *deadline*: the instant a period ends, always absolute
 * - *cause*: a reason for which an account is suspended; it stands until resolved
 * - *hold*: a legal hold, a named and reasoned block on erasure (R9)
 * - *notice*: the least time between a decision that brings erasure nearer and the erasure (R7, R9)
 */

/** A point in time: ISO 8601, UTC, milliseconds (`2026-11-22T13:35:00.000Z`). Text, so that it survives JSON. */
export type Instant = string;

/** A length of time, canonical ISO 8601 (`P14D`); see `duration.ts`. */
export type Duration = string;

export const accountStates = ['active', 'suspended', 'expired', 'erased'] as const;
/** The four states of an account; there is no other. */
export type AccountState = (typeof accountStates)[number];

export const suspensionReasons = ['non_payment', 'terms_violation', 'other'] as const;
/** Why an account is suspended (R3). */
export type SuspensionReason = (typeof suspensionReasons)[number];

export const plans = ['standard', 'enterprise'] as const;
/** What the customer has bought; active-data retention is for `enterprise` (R11). */
export type Plan = (typeof plans)[number];

export const roles = ['admin', 'operator', 'auditor', 'legal', 'gateway', 'customer'] as const;
/** Who somebody is to this deployment. */
export type Role = (typeof roles)[number];

/** Who did something: a key, a person, a timer, or somebody writing to the workflow by hand. */
export interface Actor {
  readonly type: 'key' | 'user' | 'system' | 'temporal';
  readonly id: string;
  /** Absent for the system and for messages sent by hand: Temporal's own permissions decide who may send those. */
  readonly role?: Role;
  /** The IP address they came from, where they came over HTTP. */
  readonly address?: string;
}

/** Who acts where nobody asked: timers, sweeps, and what follows from them. */
export const bySystem: Actor = { type: 'system', id: 'ablauf' };

/** A reason an account is suspended for, until it is resolved (R4). */
export interface Cause {
  readonly reason: SuspensionReason;
  readonly at: Instant;
  readonly note?: string;
}

/** A block on erasure (R9). */
export interface Hold {
  readonly id: string;
  readonly reason: string;
  readonly placedAt: Instant;
  readonly placedBy: string;
  /** When it ends by itself. */
  readonly until?: Instant;
  /** The data sets it protects; everything when absent. */
  readonly datasets?: readonly string[];
  /** When somebody wants to look at it again; nothing happens then by itself. */
  readonly reviewAt?: Instant;
}

/** What an account has set for itself; what is absent follows the deployment's default (R7, R11). */
export interface PolicyOverrides {
  readonly gracePeriod?: Duration;
  readonly expiryPeriod?: Duration;
  /** Whole days, 0–365. */
  readonly activeRetentionDays?: number;
}

/** The deployment's own numbers. */
export interface Settings {
  /** Default grace period. */
  readonly gracePeriod: Duration;
  /** Default expiry period. */
  readonly expiryPeriod: Duration;
  /** Least time between a decision that brings erasure nearer and the erasure. */
  readonly notice: Duration;
  /** Shortest period anybody may set. */
  readonly minPeriod: Duration;
}

/** The period that runs, as fixed when it began or when the account's own policy last changed. */
export interface RunningPeriod {
  readonly length: Duration;
  /** The notice, where it moves the deadline beyond `since` plus `length` (R7, R9). */
  readonly notBefore?: Instant;
  /** The due date has passed under a hold: `notBefore` is the notice after its release (R9). */
  readonly afterHold?: true;
}

/** What happens next by itself. */
export interface Deadline {
  readonly action: 'close' | 'erase';
  readonly at: Instant;
}

/**
 * Everything the course of an account depends on. Plain JSON: it is the workflow's state, travels through
 * continue-as-new, and is stored with the account as of its last step.
 */
export interface Lifecycle {
  readonly state: AccountState;
  /** When the state began. */
  readonly since: Instant;
  /** What it is suspended for; kept after closure, since unresolved causes matter then too (R8, R15). */
  readonly causes: readonly Cause[];
  /** How an expired account was closed: by its customer (R2, R8) or by the end of the grace period (R5). */
  readonly closure?: 'voluntary' | 'forced';
  readonly period?: RunningPeriod;
  readonly overrides: PolicyOverrides;
  readonly holds: readonly Hold[];
  /** When erasure began; from then on the account cannot be reopened (R8). */
  readonly erasingSince?: Instant;
  /** The data sets that holds kept when the others were erased (R9). */
  readonly spared?: readonly string[];
}

/** One thing wrong with a message: where, and what. */
export interface Flaw {
  readonly path: string;
  readonly detail: string;
}

/** What the API says beside a message's body. Absent when a message is sent by hand. */
export interface MessageContext {
  readonly actor: Actor;
  readonly requestId?: string;
  /** The version of the account the caller saw (`If-Match`), judged where the step is taken. */
  readonly ifVersion?: number;
}
