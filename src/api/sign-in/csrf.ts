/**
 * Telling what a page of ours has a browser send from what any other page has it send: a browser adds the session's cookie
 * either way. Whoever shows a key is not asked, since no browser adds one by itself.
 */
import { timingSafeEqual } from 'node:crypto';
import { csrfTokenOf, type Principal } from '../../access';
import type { ApiDependencies } from '../dependencies';
import { Problem } from '../problems';
import type { Incoming } from '../route';
import { siteOf } from './site';
import { tokenOf } from '../who';

/**
 * Browsers say where a request comes from, in a header no page can set: that decides. Where none does, the token that
 * `GET /auth/me` gives out has to be shown.
 *
 * @param shown the token, where it came in a form instead of the header `X-CSRF-Token`
 * @throws {Problem} `forbidden`
 */
export function assertNotForged(
  dependencies: Pick<ApiDependencies, 'tls' | 'signIn'>,
  request: Incoming,
  { shown: { by } }: Pick<Principal, 'shown'>,
  shown?: unknown,
): void {
  if (by !== 'session') return;
  const { headers } = request;
  const from = headers['sec-fetch-site'];
  const { origin } = headers;
  if (from !== undefined) {
    if (from === 'same-origin') return;
  } else if (origin !== undefined) {
    if (origin === siteOf(dependencies, headers)?.origin) return;
  } else if (isSame(tokenOf(dependencies, request), shown ?? headers['x-csrf-token'])) {
    return;
  }
  throw new Problem(
    'forbidden',
    'this was not sent by a page of this deployment; where no browser says so, send the X-CSRF-Token of GET /auth/me',
  ).because('csrf');
}

function isSame(token: string | undefined, shown: unknown): boolean {
  if (token === undefined || typeof shown !== 'string') return false;
  const [expected, given] = [Buffer.from(csrfTokenOf(token)), Buffer.from(shown)];
  return expected.length === given.length && timingSafeEqual(expected, given);
}
