/** Who sends a request, and from where. */
import type { Principal } from '../access';
import { addressOf } from './address';
import { bearerOf, unauthenticated } from './conditions';
import { cookieValue, sessionCookie } from './sign-in/cookies';
import type { ApiDependencies } from './dependencies';
import type { Problem } from './problems';
import type { Incoming } from './route';
import { siteOf } from './sign-in/site';
import type { Workshop } from './workshop';

/**
 * Whoever sends a request, with the address they come from: by the key they show, or by their session where they show none.
 *
 * @throws {Problem} `unauthenticated`
 */
export async function authenticate(workshop: Workshop, request: Incoming): Promise<Principal> {
  const signedIn = await inSession(workshop, request);
  if (signedIn !== undefined) return signedIn;
  if (tokenOf(workshop, request) !== undefined) {
    throw unauthenticated('the session has ended; sign in again').because('session-ended');
  }
  const key = bearerOf(request);
  workshop.limits.assertMayTry(request, () => workshop.keys.knows(key));
  const found = await workshop.keys.find(key);
  if (found === undefined) throw unusable().because('unknown-key');
  workshop.limits.forgive(request);
  if (!('ended' in found)) return from(request, found);
  const { ended, actor, account } = found;
  throw unusable().because(`${ended}-key`, { actor, ...(account === undefined ? {} : { account }) });
}

/** Whoever shows a key that opens nothing is not told why. */
function unusable(): Problem {
  return unauthenticated('the key is not known, has expired or was revoked');
}

const nobody: Principal = { actor: { type: 'system', id: 'public' }, role: 'gateway', shown: { by: 'nothing' } };

/** Somebody who need not show who they are. */
export function nobodyAt(request: Incoming): Principal {
  return from(request, nobody);
}

/** Somebody who need not, and may be signed in all the same. */
export async function visitorAt(workshop: Workshop, request: Incoming): Promise<Principal> {
  return (await inSession(workshop, request)) ?? nobodyAt(request);
}

/** What a request's cookie holds to open a session with. One that shows a key means that, and its cookie counts for nothing. */
export function tokenOf(
  dependencies: Pick<ApiDependencies, 'tls' | 'signIn'>,
  { headers }: Pick<Incoming, 'headers'>,
): string | undefined {
  if (headers.authorization !== undefined || headers.cookie === undefined) return undefined;
  const site = siteOf(dependencies, headers);
  return site === undefined ? undefined : cookieValue(headers.cookie, sessionCookie(site));
}

async function inSession(workshop: Workshop, request: Incoming): Promise<Principal | undefined> {
  const token = tokenOf(workshop, request);
  if (token === undefined) return undefined;
  workshop.limits.assertMayTry(request, () => workshop.signIn?.sessions.knows(token) === true);
  const address = addressOf(request);
  const userAgent = request.headers['user-agent'];
  const principal = await workshop.signIn?.sessions.find(token, {
    ...(address === undefined ? {} : { address }),
    ...(userAgent === undefined ? {} : { userAgent }),
  });
  if (principal === undefined) return undefined;
  workshop.limits.forgive(request);
  return from(request, principal);
}

function from(request: Incoming, principal: Principal): Principal {
  const address = addressOf(request);
  return address === undefined ? principal : { ...principal, actor: { ...principal.actor, address } };
}
