/** Writing answers. Past Express's own helpers: they look up settings and hash each body for a tag we do not use. */
import { STATUS_CODES } from 'node:http';
import type { Response } from 'express';
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
  /** What went wrong on our side; the client is not told. */
  failure?: unknown;
}

export type Reply = Response<unknown, Locals>;

/** An answer as text and headers. */
export function written({ status, body, version, headers = {} }: Answer): KeptAnswer {
  return {
    status,
    headers: version === undefined ? headers : { ...headers, ETag: `"${version}"` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
}

/** Sends an answer. */
export function send(response: Reply, { status, body, headers }: KeptAnswer): void {
  for (const name of Object.keys(headers)) response.setHeader(name, headers[name] ?? '');
  response.statusCode = status;
  response.statusMessage = STATUS_CODES[status] ?? '';
  if (body === undefined) {
    response.end();
    return;
  }
  response.setHeader(
    'Content-Type',
    status < 400 ? 'application/json; charset=utf-8' : 'application/problem+json; charset=utf-8',
  );
  response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(body);
}

/** Sends a problem. */
export function sendProblem(response: Reply, problem: Problem): void {
  const body = JSON.stringify({ ...problem.toBody(), requestId: response.locals.requestId });
  send(response, { status: problem.status, body, headers: problem.headers });
}
