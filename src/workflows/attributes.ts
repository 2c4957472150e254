/** The search attributes an operator filters accounts by in Temporal's Web UI. Never encrypted: nothing personal. */
import { defineSearchAttributeKey, SearchAttributeType, type SearchAttributePair } from '@temporalio/common';
import { deadlineOf, type AccountState, type Lifecycle } from '../lifecycle';

export const searchAttributes = {
  accountId: defineSearchAttributeKey('AccountId', SearchAttributeType.KEYWORD),
  accountState: defineSearchAttributeKey('AccountState', SearchAttributeType.KEYWORD),
  nextAction: defineSearchAttributeKey('NextAction', SearchAttributeType.KEYWORD),
  deadlineAt: defineSearchAttributeKey('DeadlineAt', SearchAttributeType.DATETIME),
  holdCount: defineSearchAttributeKey('HoldCount', SearchAttributeType.INT),
} as const;

/** The same by name and type, for registering them with a server. */
export const searchAttributeTypes = {
  AccountId: 'Keyword',
  AccountState: 'Keyword',
  NextAction: 'Keyword',
  DeadlineAt: 'Datetime',
  HoldCount: 'Int',
} as const;

/** The attributes that follow an account's course; the id is set once, at the start. */
export interface Visible {
  readonly state: string;
  readonly nextAction: string | null;
  readonly deadlineAt: string | null;
  readonly holdCount: number;
}

export function visibleOf(lifecycle: Lifecycle): Visible {
  const deadline = deadlineOf(lifecycle);
  return {
    state: lifecycle.state,
    nextAction: deadline?.action ?? null,
    deadlineAt: deadline?.at ?? null,
    holdCount: lifecycle.holds.length,
  };
}

/** The attributes a workflow is started with; it adds the rest itself. */
export function initialAttributes(account: string, state: AccountState): SearchAttributePair[] {
  return [
    { key: searchAttributes.accountId, value: account },
    { key: searchAttributes.accountState, value: state },
    { key: searchAttributes.holdCount, value: 0 },
  ];
}

/** What {@link initialAttributes} says, as a course sees it. */
export function initiallyVisible(state: AccountState): Visible {
  return { state, nextAction: null, deadlineAt: null, holdCount: 0 };
}
