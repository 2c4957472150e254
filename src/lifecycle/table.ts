/**
 * The transition table: what may happen to an account, in which state, by whom, under which rule. Data, in one place;
 * the workflow, the API's 409s, the dashboard's buttons and the documentation are driven from it.
 */
import type { Command } from './schemas';
import type { AccountState, Lifecycle, Role } from './terms';
import { suspensionReasons } from './terms';

/** One row of the table. */
export interface Transition {
  /** The message, or what a timer says. */
  readonly name: Command['name'];
  readonly trigger: 'command' | 'timer';
  /** The states it applies in. */
  readonly from: readonly AccountState[];
  /** The state it leads to; absent where the state stays, or stays while other causes stand. */
  readonly to?: AccountState;
  /** A further condition on the account, beside its state; see {@link conditions}. */
  readonly condition?: keyof typeof conditions;
  /** Who may ask for it; empty for timers. */
  readonly roles: readonly Role[];
  /** The rules it carries out. */
  readonly rules: readonly string[];
}

/** Named conditions of the table: true where the transition applies. */
export const conditions = {
  /** Some reason does not stand yet (R4: suspending again for another reason adds it). */
  reasonLeft: (account: Lifecycle) => account.causes.length < suspensionReasons.length,
  /** R8: an account cannot be reopened, nor its dates changed, once its erasure has begun. */
  erasureNotBegun: (account: Lifecycle) => account.erasingSince === undefined,
} as const;

export const transitions = [
  {
    name: 'suspend',
    trigger: 'command',
    from: ['active'],
    to: 'suspended',
    roles: ['admin', 'operator'],
    rules: ['R3'],
  },
  {
    name: 'suspend',
    trigger: 'command',
    from: ['suspended'],
    condition: 'reasonLeft',
    roles: ['admin', 'operator'],
    rules: ['R4'],
  },
  {
    name: 'reinstate',
    trigger: 'command',
    from: ['suspended'],
    to: 'active',
    roles: ['admin', 'operator'],
    rules: ['R4'],
  },
  {
    name: 'close',
    trigger: 'command',
    from: ['active', 'suspended'],
    to: 'expired',
    roles: ['admin', 'operator', 'customer'],
    rules: ['R2', 'R8'],
  },
  {
    name: 'reopen',
    trigger: 'command',
    from: ['expired'],
    to: 'active',
    condition: 'erasureNotBegun',
    roles: ['admin'],
    rules: ['R8'],
  },
  {
    name: 'changePolicy',
    trigger: 'command',
    from: ['active', 'suspended', 'expired'],
    condition: 'erasureNotBegun',
    roles: ['admin', 'operator', 'customer'],
    rules: ['R7', 'R11'],
  },
  {
    name: 'placeHold',
    trigger: 'command',
    from: ['active', 'suspended', 'expired'],
    roles: ['admin', 'operator', 'legal'],
    rules: ['R9'],
  },
  {
    name: 'releaseHold',
    trigger: 'command',
    from: ['active', 'suspended', 'expired'],
    roles: ['admin', 'operator', 'legal'],
    rules: ['R9'],
  },
  { name: 'endGracePeriod', trigger: 'timer', from: ['suspended'], to: 'expired', roles: [], rules: ['R5'] },
  { name: 'endHold', trigger: 'timer', from: ['active', 'suspended', 'expired'], roles: [], rules: ['R9'] },
  { name: 'beginErasure', trigger: 'timer', from: ['expired'], roles: [], rules: ['R6'] },
  { name: 'spareHeld', trigger: 'timer', from: ['expired'], roles: [], rules: ['R9'] },
  { name: 'completeErasure', trigger: 'timer', from: ['expired'], to: 'erased', roles: [], rules: ['R6'] },
] as const satisfies readonly Transition[];

/** The names a refusal lists as `allowed` (R13): those that move an account from state to state. */
const stateChanging = ['suspend', 'reinstate', 'close', 'reopen'] as const;
export type StateChange = (typeof stateChanging)[number];

/** The row that applies to an account for a message or timer, if any. */
export function rowFor(account: Lifecycle, name: Command['name']): Transition | undefined {
  return (transitions as readonly Transition[]).find(
    (row) =>
      row.name === name &&
      row.from.includes(account.state) &&
      (row.condition === undefined || conditions[row.condition](account)),
  );
}

/** The state changes an account's state allows, in the table's order (R13). */
export function allowedChanges(account: Lifecycle): StateChange[] {
  return stateChanging.filter((name) => rowFor(account, name) !== undefined);
}

/** Who may ask for a message, in any state. */
export function rolesFor(name: Command['name']): readonly Role[] {
  const named = (transitions as readonly Transition[]).filter((row) => row.name === name);
  return [...new Set(named.flatMap((row) => row.roles))];
}
