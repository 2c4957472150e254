/**
 * Reading bodies, each call within limits of its own: how large, how long it may take to arrive, and how deep its JSON is. JSON is
 * of modest size where a schema waits for it; the large uploads of the gateway are taken as text.
 */
import express, { type Response } from 'express';
import type { Progress } from './failures';
import { invalid, Problem } from './problems';
import type { Incoming, Route } from './route';

/** What a call may be sent. */
type Limits = Pick<Route, 'text' | 'signed' | 'form' | 'body' | 'maxBody' | 'bodyTime' | 'maxDepth'>;

/** Reads the body of a request, as its call takes it; nothing where it takes none. @throws what Express throws, or a {@link Problem} */
export type BodyReader = (request: Incoming, response: Response, progress: Progress) => Promise<unknown>;

const kilobyte = 1024;
/** How large a body may be, in bytes, and how long it may take, in milliseconds, where its call does not say. */
const standard = {
  json: { maxBody: 256 * kilobyte, bodyTime: 10_000 },
  signed: { maxBody: 64 * kilobyte, bodyTime: 10_000 },
  text: { maxBody: 32 * kilobyte * kilobyte, bodyTime: 50_000 },
} as const;
/** How deep JSON may be nested where its call does not say: far deeper than anything a schema here knows. */
const standardDepth = 64;

/** What reads the bodies of a call. */
export function bodyReader(limits: Limits): BodyReader {
  const { text, signed, form, body, maxDepth = standardDepth } = limits;
  const kind = signed === true ? 'signed' : text === true ? 'text' : 'json';
  const { maxBody: limit, bodyTime } = { ...standard[kind], ...definedOf(limits) };
  if (kind === 'signed') {
    // A signature is of the bytes that were sent: they are not unpacked.
    const read = express.raw({ limit, type: () => true, inflate: false });
    return async (request, response, progress) => {
      if (!hasBody(request)) return { headers: request.headers, body: Buffer.alloc(0) };
      await run(read, request, response, progress, bodyTime);
      return { headers: request.headers, body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0) };
    };
  }
  if (kind === 'text') {
    const read = express.text({ limit, type: () => true, defaultCharset: 'utf-8' });
    return async (request, response, progress) => {
      if (!hasBody(request)) return '';
      await run(read, request, response, progress, bodyTime);
      return typeof request.body === 'string' ? request.body : '';
    };
  }
  if (body === undefined) return () => Promise.resolve(undefined);
  const read = express.json({ limit, type: ['application/json', 'application/*+json'] });
  const readForm = express.urlencoded({ limit: 64 * kilobyte, extended: false, parameterLimit: 100 });
  return async (request, response, progress) => {
    if (!hasBody(request)) return undefined;
    // As browsers send it by themselves.
    if (form === true && request.is('application/x-www-form-urlencoded') !== false) {
      await run(readForm, request, response, progress, bodyTime);
      return { ...(request.body as object) };
    }
    if (!request.is(['application/json', 'application/*+json'])) {
      throw new Problem('unsupported-media-type', 'the body must be application/json');
    }
    await run(read, request, response, progress, bodyTime);
    const json = request.body as unknown;
    if (isNestedDeeper(json, maxDepth)) {
      throw invalid([{ path: '', detail: `the body must not be nested deeper than ${maxDepth} levels` }]);
    }
    return json;
  };
}

function definedOf({ maxBody, bodyTime }: Limits) {
  return { ...(maxBody === undefined ? {} : { maxBody }), ...(bodyTime === undefined ? {} : { bodyTime }) };
}

function hasBody(request: Incoming): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** Whether JSON is nested deeper than that. It goes level by level, and so as deep as anybody likes without a stack. */
function isNestedDeeper(json: unknown, levels: number): boolean {
  let level: object[] = isContainer(json) ? [json] : [];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > levels) return true;
    level = level.flatMap((container) => Object.values(container).filter(isContainer));
  }
  return false;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Waits for a body, as long as it may take: whoever sends a byte now and then holds nothing for long. */
async function run(
  middleware: express.RequestHandler,
  request: Incoming,
  response: Response,
  progress: Progress,
  time: number,
): Promise<void> {
  progress.receiving = true;
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(tooSlow()), time);
      middleware(request, response, (error?: unknown) => {
        clearTimeout(timer);
        if (error === undefined) resolve();
        else reject(error instanceof Error ? error : new Error('the body cannot be read'));
      });
    });
  } finally {
    progress.receiving = false;
    progress.received = performance.now();
  }
}

/** What is still under way of the body is not waited for: the connection ends with the answer. */
function tooSlow(): Problem {
  return new Problem('request-timeout', 'the body did not arrive in time', {}, { Connection: 'close' });
}
