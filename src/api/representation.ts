/** An account as the API shows it, to whom. */
import { may, type Principal } from '../access';
import { openProfile, openProfiles, type AccountDocument, type Profile } from '../data';
import { policyInForce, type Settings } from '../lifecycle';

import type { Workshop } from './workshop';

/**
 * An account, opened and shown to somebody.
 *
 * @param asked the id it was asked for by: of an erased account nothing else knows it
 */
export async function accountFor(
  { store }: Workshop,
  account: AccountDocument,
  principal: Principal,
  settings: Settings,
  asked?: string,
): Promise<Record<string, unknown>> {
  return profileFor(await openProfile(store, account), principal, settings, asked);
}

/** Accounts for a list: one that cannot be opened is shown without what is personal, and does not keep back the others. */
export async function accountsFor(
  { store, log }: Workshop,
  accounts: readonly AccountDocument[],
  principal: Principal,
  settings: Settings,
): Promise<Record<string, unknown>[]> {
  const profiles = await openProfiles(store, accounts, (error, account) => {
    log.error({ err: error, account }, 'an account cannot be opened');
  });
  return profiles.map((profile) => profileFor(profile, principal, settings));
}

/** An account for somebody: staff see it whole, its customer what R15 leaves them, and of an erased one there is no more. */
export function profileFor(
  account: Profile,
  { role }: Principal,
  settings: Settings,
  asked: string = account._id,
): Record<string, unknown> {
  if (account.state === 'erased') return tombstone(account, asked);
  const { lifecycle, deadline, erasing } = account;
  const standing = {
    plan: account.plan,
    region: account.region,
    state: account.state,
    since: account.since.toISOString(),
    ...(lifecycle.causes.length === 0 ? {} : { causes: lifecycle.causes }),
    ...(deadline === undefined ? {} : { deadline: { action: deadline.action, at: deadline.at.toISOString() } }),
  };
  if (role === 'customer' && account.state !== 'active') return { id: account._id, ...standing };
  return {
    id: account._id,
    name: account.name,
    email: account.email,
    ...(account.unreadable === undefined ? {} : { unreadable: true }),
    locale: account.locale,
    ...standing,
    ...(may(role, 'seeHolds') ? { holds: lifecycle.holds, ...formerlyOf(account) } : {}),
    ...(erasing === undefined
      ? {}
      : { erasing: { since: erasing.since.toISOString(), done: erasing.done, total: erasing.total } }),
    policy: policyInForce(lifecycle.overrides, settings),
    createdAt: account.createdAt.toISOString(),
  };
}

/** What corrections replaced under a hold, for those who see holds. */
function formerlyOf({ formerly }: Profile): Record<string, unknown> {
  return formerly === undefined ? {} : { formerly: formerly.map((one) => ({ ...one, at: one.at.toISOString() })) };
}

function tombstone({ region, since, erasedAt, certificateIds = [] }: Profile, id: string): Record<string, unknown> {
  return {
    id,
    region,
    state: 'erased',
    since: since.toISOString(),
    erasedAt: (erasedAt ?? since).toISOString(),
    certificateIds,
  };
}
