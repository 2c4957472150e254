/**
 * Step-up: what can do great harm needs more than a role. A key has to have been given the scope expressly; a person has to have
 * signed in freshly, so that a session somebody left open, or had stolen, does not suffice.
 */
import type { Principal, Scope } from '../access';
import { Problem } from './problems';

/** How old a sign-in may be, in milliseconds, where nothing is configured. */
export const standardStepUpAge = 600_000;
/** A person's provider may go by another clock than ours, in milliseconds. */
const tolerance = 60_000;

/**
 * @param age how old a sign-in may be, in milliseconds
 * @throws {Problem} `forbidden` for a key without the scope, `step-up-required` for an older sign-in
 */
export function assertSteppedUp({ shown }: Principal, scope: Scope, age: number, now: Date): void {
  if (shown.by === 'key') {
    if (!shown.scopes.includes(scope)) throw withoutScope(scope).because('scope', { cause: scope });
    return;
  }
  if (shown.by === 'session') {
    const since = now.getTime() - shown.authenticatedAt.getTime();
    if (since > age || since < -tolerance) throw tooLongAgo(shown.provider, age).because('step-up');
    return;
  }
  throw new Problem('forbidden', 'this is for those who have shown who they are');
}

/** As RFC 6750 says it to a client that holds a key. */
function withoutScope(scope: Scope): Problem {
  const challenge = `Bearer error="insufficient_scope", scope="${scope}"`;
  return new Problem(
    'forbidden',
    `the key has not been given the scope ${scope}`,
    {},
    { 'WWW-Authenticate': challenge },
  );
}

/** As RFC 9470 says it, with the way to sign in again. */
function tooLongAgo(provider: string, age: number): Problem {
  const maxAge = Math.floor(age / 1000);
  const challenge = `Bearer error="insufficient_user_authentication", max_age="${maxAge}"`;
  return new Problem(
    'step-up-required',
    `sign in again: this needs a sign-in of the last ${maxAge} seconds`,
    { maxAge, login: `/auth/${encodeURIComponent(provider)}/login?fresh=1` },
    { 'WWW-Authenticate': challenge },
  );
}
