/** Letting in only who comes from an allowed address (R27). What anybody may ask is not kept from anybody. */
import type { AddressList, Principal } from '../access';
import { addressOf } from './address';
import { Problem } from './problems';
import type { Incoming, Route } from './route';
import type { Workshop } from './workshop';

/** Whether who calls this has to come from an address the deployment allows: signing in counts, proofs and health do not. */
export function isListed({ roles, path, listed }: Pick<Route, 'roles' | 'path' | 'listed'>): boolean {
  return listed ?? (roles !== 'public' || /^\/auth(\/|$)/.test(path));
}

/**
 * The deployment's list, asked before any credential is looked at. Answers at once where the list is remembered.
 *
 * @throws {Problem} `ip-not-allowed`
 */
export function assertAllowed({ addresses }: Workshop, request: Incoming): Promise<void> | undefined {
  const list = addresses.deployment();
  if (list instanceof Promise) return list.then((read) => assertAdmits(read, request));
  assertAdmits(list, request);
  return undefined;
}

/** The list of a customer's account, asked once it is known whose the credentials are. @throws {Problem} `ip-not-allowed` */
export function assertAllowedFor(
  { addresses }: Workshop,
  { account }: Principal,
  request: Incoming,
): Promise<void> | undefined {
  if (account === undefined) return undefined;
  const list = addresses.of(account);
  if (list instanceof Promise) return list.then((read) => assertAdmits(read, request));
  assertAdmits(list, request);
  return undefined;
}

function assertAdmits(list: AddressList, request: Incoming): void {
  // Where nothing is restricted the address is not even looked at: this is asked on every request.
  if (!list.restricts('instance') || list.admits('instance', addressOf(request))) return;
  throw new Problem('ip-not-allowed', 'the address this comes from is not among those that are allowed');
}
