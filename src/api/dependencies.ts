import type { Logger } from 'pino';
import type { DangerousAct, Keyring, Sessions } from '../access';
import type { WitnessRecord } from '../audit';
import type { GuardSettings, Store } from '../data';
import type { ChangeFeed } from '../database';
import type { SharedLimits } from '../edge';
import type { ArchiveStorage } from '../exports';
import type { Settings } from '../lifecycle';
import type { ProcessorSettings } from '../processors';
import type { IdentityProvider } from '../sso';
import type { Courses, Jobs } from '../temporal';
import type { ServerTls } from '../transit';
import type { Refusals } from './on-record/refusals';

/** Whom to tell of vulnerabilities, as RFC 9116 has it. */
export interface SecurityContact {
  /** URIs: `mailto:` or `https://`. */
  readonly contacts: readonly string[];
  /** Where it says how reports are dealt with. */
  readonly policy?: string;
  /** Where the file itself lies. */
  readonly canonical?: string;
}

/** How people sign in (R26). */
export interface SignIn {
  readonly providers: readonly IdentityProvider[];
  readonly sessions: Sessions;
  /** Where browsers find us. @default whatever name of this machine they use */
  readonly publicUrl?: string;
}

/** What the API needs of the world. */
export interface ApiDependencies {
  readonly store: Store;
  readonly courses: Courses;
  /** Exports and the other work that is no account's own course. */
  readonly jobs: Jobs;
  /** Where the files of exports are kept. */
  readonly archives: ArchiveStorage;
  readonly keys: Keyring;
  /** How people sign in. @default nobody does: keys are all there is */
  readonly signIn?: SignIn;
  /** What changes in the database, for what is remembered of it. */
  readonly feed: ChangeFeed;
  /** Where refusals are put on record. */
  readonly refusals: Refusals;
  /** The deployment's configured numbers. */
  readonly settings: Settings;
  /** What stands between a deadline and the erasure it brings. */
  readonly guard: GuardSettings;
  readonly region: string;
  /** The proxies in front, as addresses and networks (CIDR): what they say of a request's way is believed. @default none */
  readonly trustedProxies?: readonly string[];
  /** What needs a second person. @default nothing */
  readonly secondPerson?: readonly DangerousAct[];
  /** How old a sign-in may be for what needs a fresh one, in milliseconds. @default ten minutes */
  readonly stepUpAge?: number;
  /** How often anybody may ask; see `limitPolicies`. @default as often as they like */
  readonly limits?: SharedLimits;
  /** How clients reach it; see `ServerTls`. @default 'off' */
  readonly tls?: ServerTls['kind'];
  /** Where a payload names its account. */
  readonly accountPaths: readonly (readonly string[])[];
  readonly clock: () => Date;
  readonly log: Logger;
  /** What stands behind the API: `ok`, or what is wrong with it. */
  readonly health: () => Promise<Readonly<Record<string, string>>>;
  /** Who holds checkpoints of the audit log, as far as they can be read again. @default nobody */
  readonly witnesses?: readonly WitnessRecord[];
  /** Why nobody may be served at this moment, in words for everybody. @default somebody may */
  readonly closed?: () => string | undefined;
  /** How processors are reached, and reach us. @default without callbacks, and at public addresses only */
  readonly processors?: ProcessorSettings;
  /** Origins of Temporal Web UIs that may call the remote codec. @default none */
  readonly webUiOrigins?: readonly string[];
  /** Whom to tell of vulnerabilities (R30). @default nobody */
  readonly security?: SecurityContact;
  /** Aborted when the process is about to stop: answers without an end find one. @default never */
  readonly ending?: AbortSignal;
  /** How long a client waits at most for an answer, in milliseconds. @default 4800 */
  readonly patience?: number;
}
