/** Reading bodies: JSON of modest size where a schema waits for it, and the large uploads of the gateway as text. */
import express, { type Response } from 'express';
import { Problem } from './problems';
import type { Incoming } from './route';

const json = express.json({ limit: '256kb', type: ['application/json', 'application/*+json'] });
// A signature is of the bytes that were sent: they are not unpacked.
const bytes = express.raw({ limit: '64kb', type: () => true, inflate: false });
const form = express.urlencoded({ limit: '64kb', extended: false, parameterLimit: 100 });
const text = express.text({ limit: '32mb', type: () => true, defaultCharset: 'utf-8' });

/** The JSON of a request, or nothing where it has no body. @throws what Express throws, or 415 */
export async function readJson(request: Incoming, response: Response): Promise<unknown> {
  if (!hasBody(request)) return undefined;
  if (!request.is(['application/json', 'application/*+json'])) {
    throw new Problem('unsupported-media-type', 'the body must be application/json');
  }
  await run(json, request, response);
  return request.body as unknown;
}

/** Whether the body of a request is a form's, as browsers send it by themselves. */
function isForm(request: Incoming): boolean {
  return hasBody(request) && request.is('application/x-www-form-urlencoded') !== false;
}

/** The fields of a form, or {@link readJson}. */
export async function readFields(request: Incoming, response: Response): Promise<unknown> {
  if (!isForm(request)) return readJson(request, response);
  await run(form, request, response);
  return { ...(request.body as object) };
}

/** The body of a request as text, whatever its type says. */
export async function readText(request: Incoming, response: Response): Promise<string> {
  if (!hasBody(request)) return '';
  await run(text, request, response);
  return typeof request.body === 'string' ? request.body : '';
}

/** The body of a request as it came, bytes for bytes, whatever its type says. */
export async function readBytes(request: Incoming, response: Response): Promise<Buffer> {
  if (!hasBody(request)) return Buffer.alloc(0);
  await run(bytes, request, response);
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

function hasBody(request: Incoming): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

function run(middleware: express.RequestHandler, request: Incoming, response: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    middleware(request, response, (error?: unknown) => {
      if (error === undefined) resolve();
      else reject(error instanceof Error ? error : new Error('the body cannot be read'));
    });
  });
}
