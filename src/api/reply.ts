/** Writing answers. Past Express's own helpers: they look up settings and hash each body for a tag we do not use. */
import { once } from 'node:events';
import { STATUS_CODES } from 'node:http';
import type { Response } from 'express';
import type { Principal } from '../access';
import type { KeptAnswer } from './idempotency';
import type { Problem } from './problems';
import type { Answer } from './route';

/** What belongs to one request and its answer. */
export interface Locals {
  requestId: string;
  started: number;
  /** The declared path, once known. The path itself may hold what no log should. */
  route?: string;
  actor?: string;
  /** Who asks, once known. */
  principal?: Principal;
  /** The account the path names, where it can be one. */
  account?: string;
  /** What went wrong on our side; the client is not told. */
  failure?: unknown;
  /** A file was sent: how long that takes is up to the client. */
  streamed?: boolean;
}

export type Reply = Response<unknown, Locals>;

/** An answer as text and headers. A body that is a text is sent as it is, under the type its headers name. */
export function written({ status, body, version, headers = {} }: Answer): KeptAnswer {
  return {
    status,
    headers: version === undefined ? headers : { ...headers, ETag: `"${version}"` },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  };
}

/** An answer that may hold a file's bytes in place of a body. */
export interface Sendable extends KeptAnswer {
  readonly stream?: AsyncIterable<Uint8Array>;
  readonly cookies?: readonly string[];
}

/** How long a client may take nothing of a file before the connection is given up, in milliseconds. */
const stall = 60_000;

/** Sends a file's bytes as fast as the client takes them. Where they end early so does the connection, so that nobody takes a part for the whole. */
async function pump(response: Reply, stream: AsyncIterable<Uint8Array>): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    for await (const bytes of stream) {
      if (gone.signal.aborted) return;
      if (response.write(bytes)) continue;
      const patience = AbortSignal.timeout(stall);
      await once(response, 'drain', { signal: AbortSignal.any([gone.signal, patience]) });
    }
    response.end();
  } catch (error) {
    if (!gone.signal.aborted) response.locals.failure = error;
    response.destroy();
  }
}

/** Sends an answer. */
export function send(response: Reply, { status, body, headers, stream, cookies }: Sendable): void {
  if (cookies !== undefined) response.setHeader('Set-Cookie', cookies);
  for (const name of Object.keys(headers)) response.setHeader(name, headers[name] ?? '');
  response.statusCode = status;
  response.statusMessage = STATUS_CODES[status] ?? '';
  if (stream !== undefined) {
    response.locals.streamed = true;
    void pump(response, stream);
    return;
  }
  if (body === undefined) {
    response.end();
    return;
  }
  if (headers['Content-Type'] === undefined) {
    const type = status < 400 ? 'application/json' : 'application/problem+json';
    response.setHeader('Content-Type', `${type}; charset=utf-8`);
  }
  response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(body);
}

/** Sends a problem. */
export function sendProblem(response: Reply, problem: Problem): void {
  const { page, status } = problem;
  if (page !== undefined) {
    send(response, { status, body: page.body, headers: { ...problem.headers, ...page.headers } });
    return;
  }
  const body = JSON.stringify({ ...problem.toBody(), requestId: response.locals.requestId });
  send(response, { status: problem.status, body, headers: problem.headers });
}
