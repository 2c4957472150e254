/**
 * Letting Temporal's Web UI, a page of another origin, call the remote codec from a browser (CORS). Only the configured
 * origins, and nothing but that: who calls has to show a key all the same, and no cookies are taken.
 */
import type { Incoming } from './route';
import type { Reply } from './reply';

/** What the Web UI sends. */
const headers = 'authorization, authorization-extras, content-type, x-namespace';
/** How long a browser may remember the answer, in seconds. */
const remembered = 600;

/** Answers preflight requests, and lets the pages of these origins read the answers. */
export function allowWebUi(origins: readonly string[]) {
  return (request: Incoming, response: Reply, next: () => void): void => {
    const { origin } = request.headers;
    response.vary('Origin');
    if (origin === undefined || !origins.includes(origin)) {
      next();
      return;
    }
    response.setHeader('Access-Control-Allow-Origin', origin);
    if (request.method !== 'OPTIONS') {
      next();
      return;
    }
    response.setHeader('Access-Control-Allow-Methods', 'POST');
    response.setHeader('Access-Control-Allow-Headers', headers);
    response.setHeader('Access-Control-Max-Age', remembered);
    response.statusCode = 204;
    response.end();
  };
}
