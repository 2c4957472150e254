/** Whether an account may be served (R15, R16), from what is recorded of it. */
import type { AccountState, Deadline, Instant, SuspensionReason } from './terms';

/** The answer a gateway gets. */
export interface Access {
  readonly account: string;
  readonly allowed: boolean;
  readonly state: AccountState;
  readonly code?: 'account-suspended' | 'account-expired' | 'account-erased' | 'ip-not-allowed';
  /** What the account is suspended or was closed for, the oldest cause first in time. */
  readonly reason?: SuspensionReason;
  /** When the state ends by itself. */
  readonly until?: Instant;
}

const codes = { suspended: 'account-suspended', expired: 'account-expired', erased: 'account-erased' } as const;

/** The gateway's answer for an account in a state, with its oldest cause and its deadline. */
export function accessOf(
  account: string,
  state: AccountState,
  reason: SuspensionReason | undefined,
  deadline: Pick<Deadline, 'at'> | undefined,
): Access {
  if (state === 'active') return { account, allowed: true, state };
  return {
    account,
    allowed: false,
    state,
    code: codes[state],
    ...(reason === undefined ? {} : { reason }),
    ...(deadline === undefined ? {} : { until: deadline.at }),
  };
}
