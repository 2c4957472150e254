/** An account as the API shows it, to whom. */
import { may, type Principal } from '../access';
import type { AccountDocument } from '../data';
import { policyInForce, type Settings } from '../lifecycle';

/** An account for somebody: staff see it whole, its customer what R15 leaves them, and of an erased one there is no more. */
export function accountFor(account: AccountDocument, { role }: Principal, settings: Settings): Record<string, unknown> {
  if (account.state === 'erased') return tombstone(account);
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
function formerlyOf({ formerly }: AccountDocument): Record<string, unknown> {
  return formerly === undefined ? {} : { formerly: formerly.map((one) => ({ ...one, at: one.at.toISOString() })) };
}

function tombstone({ _id, region, since, erasedAt, certificateIds = [] }: AccountDocument): Record<string, unknown> {
  return {
    id: _id,
    region,
    state: 'erased',
    since: since.toISOString(),
    erasedAt: (erasedAt ?? since).toISOString(),
    certificateIds,
  };
}
