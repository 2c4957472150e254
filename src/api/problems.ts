/** The catalogue of problems (RFC 9457): every way the API says no. Clients tell them apart by code. */
import type { Flaw } from '../lifecycle';
import type { Refusal, RefusalReason } from './on-record/refusal-reasons';

export const problemCatalogue = {
  validation: { status: 400, title: 'The request does not fit' },
  'request-timeout': { status: 408, title: 'The request did not arrive in time' },
  'payload-too-large': { status: 413, title: 'The body is too large' },
  'method-not-allowed': { status: 405, title: 'This path has no such method' },
  'unsupported-media-type': { status: 415, title: 'The body is of a type that is not read here' },
  unauthenticated: { status: 401, title: 'No valid key was shown' },
  forbidden: { status: 403, title: 'Not allowed' },
  'approval-required': { status: 403, title: 'A second person has to agree' },
  'step-up-required': { status: 403, title: 'Sign in again for this' },
  'ip-not-allowed': { status: 403, title: 'Not allowed from this address' },
  'account-suspended': { status: 403, title: 'The account is suspended' },
  'account-expired': { status: 403, title: 'The account is closed' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'account-erased': { status: 410, title: 'The account is erased' },
  'wrong-region': { status: 421, title: 'This belongs to another region' },
  conflict: { status: 409, title: 'This does not apply as things are' },
  'precondition-failed': { status: 412, title: 'It has changed since' },
  'range-not-satisfiable': { status: 416, title: 'The file has no such bytes' },
  'rate-limited': { status: 429, title: 'Too many requests' },
  unavailable: { status: 503, title: 'Not now; nothing happened' },
  'outcome-unknown': { status: 504, title: 'No answer in time; it may still happen' },
  internal: { status: 500, title: 'Something broke' },
} as const;

export type ProblemCode = keyof typeof problemCatalogue;

export interface ProblemExtras {
  readonly errors?: readonly Flaw[];
  readonly state?: string;
  readonly allowed?: readonly string[];
  readonly checks?: Readonly<Record<string, 'ok' | 'missing'>>;
  /** What a second person may agree to. */
  readonly approval?: { readonly id: string; readonly expiresAt: string };
  /** How old a sign-in may be, in seconds, and where to sign in again. */
  readonly maxAge?: number;
  readonly login?: string;
}

/** A page in place of a problem. */
interface Page {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A no that is meant for the client, word for word. */
export class Problem extends Error {
  override readonly name = 'Problem';
  #refusal: Refusal | undefined;
  #page: Page | undefined;

  constructor(
    readonly code: ProblemCode,
    readonly detail?: string,
    readonly extras: ProblemExtras = {},
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail ?? code);
  }

  get status(): number {
    return problemCatalogue[this.code].status;
  }

  /** Why somebody is refused by it, for the audit log alone; see {@link because}. */
  get refusal(): Refusal | undefined {
    return this.#refusal;
  }

  /** Says for the audit log why somebody is refused, and where it is known whom. The client is told nothing of it. */
  because(reason: RefusalReason, more: Omit<Refusal, 'reason'> = {}): this {
    this.#refusal = { reason, ...more };
    return this;
  }

  /** What somebody in front of a browser is shown in its place; see {@link shownAs}. */
  get page(): Page | undefined {
    return this.#page;
  }

  /** Has it shown as a page, with the same status. */
  shownAs(page: Page): this {
    this.#page = page;
    return this;
  }

  /** The body, without the members that belong to one request. */
  toBody(): Record<string, unknown> {
    const { status, title } = problemCatalogue[this.code];
    return {
      type: `/problems/${this.code}`,
      title,
      status,
      code: this.code,
      ...(this.detail === undefined ? {} : { detail: this.detail }),
      ...this.extras,
    };
  }
}

/** What is wrong with a request, by path. */
export function invalid(errors: readonly Flaw[]): Problem {
  const [first] = errors;
  const detail = first === undefined ? undefined : `${first.path === '' ? 'the request' : first.path}: ${first.detail}`;
  return new Problem('validation', detail, { errors });
}

export function notFound(detail = 'there is no such thing, or it is not yours to see'): Problem {
  return new Problem('not-found', detail);
}
