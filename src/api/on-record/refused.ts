/** What a request that ended in a problem was refused for, if it was. */
import { addressOf } from '../address';
import type { Problem, ProblemCode } from '../problems';
import type { Refusal, RefusalReason, Refused } from './refusal-reasons';
import type { Reply } from '../reply';
import type { Incoming } from '../route';

/** What these mean where nobody said more. */
const plainReasons: Partial<Record<ProblemCode, RefusalReason>> = {
  forbidden: 'role',
  'step-up-required': 'step-up',
  'ip-not-allowed': 'address',
  'account-suspended': 'standing',
  'account-expired': 'standing',
  'rate-limited': 'rate-limit',
};

/** The refusal a problem is; nothing where it is none. */
export function refusedWith(problem: Problem, request: Incoming, { locals }: Reply): Refused | undefined {
  const refusal = problem.refusal ?? plainRefusal(problem);
  if (refusal === undefined) return undefined;
  const { principal, route, requestId } = locals;
  const address = addressOf(request);
  const actor = refusal.actor ?? (principal?.shown.by === 'nothing' ? undefined : principal?.actor);
  // What a customer tries concerns its own account, and is never seen in another's timeline.
  const own = refusal.account ?? principal?.account;
  const account = own ?? (actor?.role === 'customer' ? undefined : locals.account);
  return {
    reason: refusal.reason,
    ...(refusal.cause === undefined ? {} : { cause: refusal.cause }),
    ...(actor === undefined ? {} : { actor: { ...actor, ...(address === undefined ? {} : { address }) } }),
    ...(account === undefined ? {} : { account }),
    ...(address === undefined ? {} : { address }),
    method: request.method,
    ...(route === undefined ? {} : { route }),
    requestId,
  };
}

function plainRefusal({ code }: Problem): Refusal | undefined {
  const reason = plainReasons[code];
  return reason === undefined ? undefined : { reason };
}
