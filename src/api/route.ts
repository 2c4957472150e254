/**
 * Declaring what the API answers: one call, its method, path, roles and schemas in one place, so that the pipeline, the
 * tests and the published contract read the same list.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Request } from 'express';
import type { z } from 'zod';
import type { DangerousAct, Principal, Scope } from '../access';
import type { Role } from '../lifecycle';
import type { Progress } from './failures';
import type { Attempt } from './idempotency';
import type { ProblemCode } from './problems';
import type { Use } from './on-record/uses';

/** How much of its account's standing a customer needs for a call (R15). Staff are not asked. */
export type Standing = 'any' | 'not-expired' | 'exporting' | 'active';

/** What a handler is given. */
export interface Call<P = unknown, Q = unknown, B = unknown> {
  readonly principal: Principal;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  /** As they came; none of them is checked. */
  readonly headers: IncomingHttpHeaders;
  readonly requestId: string;
  /** The version the client saw (`If-Match`). */
  readonly ifVersion?: number;
  /** What makes the request safe to repeat; fresh where the client sent no key. */
  readonly attempt: Attempt;
  readonly progress: Progress;
  /** Fails where whoever asked could not ask again by now. Whoever answers for long looks now and then. */
  readonly recheck: () => Promise<void>;
  readonly standing: Standing;
}

/** A body that is verified before it is read. Nothing of it is believed yet. */
export interface SignedBody {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What a handler answers. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  /** The version the `ETag` carries. */
  readonly version?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Values of `Set-Cookie`. They are not kept for a repeat. */
  readonly cookies?: readonly string[];
  /** What a repeat is answered with, where that may not be the whole body: a secret is shown once. */
  readonly replay?: unknown;
  /** Answers with a file, or with what has no end yet, instead of a body. */
  readonly file?: FileBody | StreamBody;
}

/** A file to be sent, of which a client may ask for a stretch. */
export interface FileBody {
  readonly type: string;
  /** Plain ASCII, without quotes. */
  readonly name: string;
  readonly bytes: number;
  /** Changes with the content; without quotes. */
  readonly tag: string;
  /** Records what has to be on record, and then hands out the bytes from `start` up to but not including `end`. */
  readonly open: (start: number, end: number) => Promise<AsyncIterable<Uint8Array>>;
}

/** What is sent as it comes about, for as long as there is more and the client takes it. */
export interface StreamBody {
  readonly type: string;
  /** Hands out the bytes. It is asked for more once the client has taken what there was, and told by `return` when it has gone. */
  readonly stream: () => AsyncIterable<Uint8Array>;
}

/** An answer as the published contract describes it. */
export interface AnswerShape {
  readonly description: string;
  /** Of a JSON body; without one there is no body, or `type` says what it is. */
  readonly schema?: z.ZodType;
  /** @default `application/json` where there is a schema */
  readonly type?: string;
  /** Those it always carries beside the ones that all answers do. */
  readonly headers?: readonly ('ETag' | 'Location')[];
}

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

interface Declaration<P, Q, B> {
  readonly method: Method;
  readonly path: string;
  readonly roles: readonly Role[] | 'public';
  /** What it does, for the published contract. */
  readonly summary: string;
  /** What the published contract calls it. @default what follows from method and path */
  readonly operation?: string;
  /** @default 'active' */
  readonly standing?: Standing;
  readonly params?: P;
  readonly query?: Q;
  /** Without a schema a body is not read. */
  readonly body?: B;
  /** The body is taken as text, whatever its type says, and may be large. @default false */
  readonly text?: boolean;
  /** The body is taken as it came, with the headers its signature is in; see {@link SignedBody}. @default false */
  readonly signed?: boolean;
  /** The body may be a form's as well; a field `csrf` is the token that shows where it came from. @default false */
  readonly form?: boolean;
  /** Of a public call: whoever is signed in is known all the same. @default false */
  readonly session?: boolean;
  /** What a key has to be given expressly for it, and a person has to have signed in freshly for. @default nothing */
  readonly stepUp?: Scope;
  /** What it is where it may need a second person. @default what its step-up says */
  readonly act?: DangerousAct;
  /** What it is put on record as before it is done, for reads that few may make (R19). @default nothing */
  readonly onRecord?: Use;
  /** How large its body may be, in bytes. @default by how it is read; see `bodies.ts` */
  readonly maxBody?: number;
  /** How long its body may take to arrive, in milliseconds. @default by how it is read; see `bodies.ts` */
  readonly bodyTime?: number;
  /** How many levels deep its JSON may be nested. @default 64 */
  readonly maxDepth?: number;
  /**
   * Whether who calls it has to come from an allowed address (R27).
   *
   * @default what needs credentials, and everything under `/auth/`
   */
  readonly listed?: boolean;
  /** What it answers when all goes well, by status, for the published contract. */
  readonly answers: Readonly<Record<number, AnswerShape>>;
  /** Problems of its own, beside those that follow from how it is declared. */
  readonly problems?: readonly ProblemCode[];
  /** Of what types the body may be said to be where it is taken as text, for the published contract: each with what it holds. */
  readonly bodyTypes?: Readonly<Record<string, z.ZodType>>;
  /** Whether the contract lists it. @default true */
  readonly published?: boolean;
  /** Whether an `Idempotency-Key` counts. @default every method but GET */
  readonly idempotent?: boolean;
  /** Whether an answer is due in seconds. @default true */
  readonly bounded?: boolean;
}

/** A declared call, its types settled. */
export interface Route extends Declaration<z.ZodType, z.ZodType, z.ZodType> {
  readonly standing: Standing;
  readonly idempotent: boolean;
  readonly bounded: boolean;
  readonly handle: (call: Call) => Promise<Answer>;
}

type Output<S, Otherwise> = S extends z.ZodType ? z.output<S> : Otherwise;

/** Declares a call. The handler sees what its schemas put out, and nothing else of the request. */
export function route<
  P extends z.ZodType | undefined,
  Q extends z.ZodType | undefined,
  B extends z.ZodType | undefined = undefined,
>(
  declaration: Declaration<P, Q, B> & {
    readonly handle: (call: Call<Output<P, undefined>, Output<Q, undefined>, Output<B, undefined>>) => Promise<Answer>;
  },
): Route {
  const { method, standing = 'active', idempotent = method !== 'get', bounded = true } = declaration;
  // The pipeline parses with these very schemas before it calls the handler; the type system cannot see that.
  return { ...declaration, standing, idempotent, bounded } as unknown as Route;
}

/** The request's own parts, before they are parsed. */
export type Incoming = Request<Record<string, string>>;
