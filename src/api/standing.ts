/** Opening an account for a call: is it there, is it ours, and may this caller see it as it stands (R15, R25). */
import type { ClientSession } from 'mongoose';
import { findAccountWith, type AccountDocument, type FindOptions } from '../data';
import { mayExport } from '../exports';
import type { Principal } from '../access';
import { erased, wrongRegion } from './failures';
import { notFound, Problem } from './problems';
import type { Standing } from './route';
import type { Workshop } from './workshop';

/** What is asked about a caller before an account is opened for them. */
export interface Visit {
  readonly principal: Principal;
  readonly standing: Standing;
}

/**
 * The account, for this caller.
 *
 * @throws {Problem} `not-found` also where it is somebody else's, `wrong-region`, `account-erased`, and for its own
 * customer `account-suspended` and `account-expired`
 */
export async function openAccount(
  workshop: Workshop,
  visit: Visit,
  id: string,
  session?: ClientSession,
): Promise<AccountDocument> {
  const account = await seekAccount(workshop, visit, id, session === undefined ? {} : { session });
  if (account.state === 'erased') throw erased();
  return account;
}

/**
 * {@link openAccount}, erased accounts included, which are found by their tombstone's id as well. A projection names the
 * fields needed, `state` and `region` among them.
 */
export async function seekAccount(
  { store, region }: Workshop,
  visit: Visit,
  id: string,
  options: FindOptions = {},
): Promise<AccountDocument> {
  assertOwn(visit.principal, id);
  const account = await findAccountWith(store, id, options);
  if (account === null) throw noAccount();
  if (account.region !== region) throw wrongRegion();
  if (visit.principal.role === 'customer') assertStanding(account, visit.standing);
  return account;
}

/** A customer's only account is its own; another's is as unknown as one that never was. @throws {Problem} */
export function assertOwn(principal: Principal, id: string): void {
  if (principal.role === 'customer' && principal.account !== id) throw noAccount().because('other-account');
}

function noAccount(): Problem {
  return notFound('there is no such account');
}

function assertStanding(account: AccountDocument, standing: Standing): void {
  const { state } = account;
  if (standing === 'any' || (standing === 'exporting' && mayExport(account))) return;
  if (state === 'suspended' && standing !== 'not-expired') {
    throw new Problem(
      'account-suspended',
      'the account is suspended; its state, the cause and the way out are all there is',
    );
  }
  if (state === 'expired') throw new Problem('account-expired', 'the account is closed');
}
