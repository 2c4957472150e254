/** Who sends a request, and from where. */
import type { Principal } from '../access';
import { addressOf } from './address';
import { bearerOf, unauthenticated } from './conditions';
import type { Incoming } from './route';
import type { Workshop } from './workshop';

/** Whoever sends a request, with the address they come from. @throws {Problem} `unauthenticated` */
export async function authenticate({ keys }: Workshop, request: Incoming): Promise<Principal> {
  const principal = await keys.find(bearerOf(request));
  if (principal === undefined) {
    throw unauthenticated('the key is not known, has expired or was revoked').because('unknown-key');
  }
  return from(request, principal);
}

const nobody: Principal = { actor: { type: 'system', id: 'public' }, role: 'gateway', shown: { by: 'nothing' } };

/** Somebody who need not show who they are. */
export function nobodyAt(request: Incoming): Principal {
  return from(request, nobody);
}

function from(request: Incoming, principal: Principal): Principal {
  const address = addressOf(request);
  return address === undefined ? principal : { ...principal, actor: { ...principal.actor, address } };
}
