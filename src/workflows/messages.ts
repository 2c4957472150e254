/**
 * The names by which an account's workflow is reached: the same message as a signal and as an update. The API uses
 * updates, because a caller needs an answer; an operator's signal from Temporal's Web UI or CLI does the same thing.
 */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { AccountState, CommandName, Deadline, Hold, Instant, MessageContext } from '../lifecycle';

export type { MessageContext };

export const accountWorkflowType = 'accountWorkflow';
/** Tells one processor of one erasure, and waits for its answer. */
export const processorWorkflowType = 'processorWorkflow';
/** Waits for the dates of what the law keeps of one erased account (R10). */
export const retainedWorkflowType = 'retainedWorkflow';

/** The id of its workflow: `retained/REGION/SUBJECT`, the subject being what its tombstone is called without the `~`. */
export function retainedWorkflowId(region: string, subject: string): string {
  return `retained/${region}/${subject}`;
}

/** What was recorded: the read that follows sees it. */
export interface Recorded {
  readonly seq: number;
  readonly version: number;
  /** The hold just placed, and what erasure had already taken, if it had begun (R9). */
  readonly hold?: Hold;
  readonly receipt?: { readonly erasureSince: Instant; readonly erased: Readonly<Record<string, number>> };
}

/** The account's workflow as it sees itself. For diagnosis: reads are served from the database. */
export interface CourseView {
  readonly account: string;
  readonly state: AccountState;
  readonly since: Instant;
  readonly deadline?: Deadline;
  readonly nextWake?: Instant;
  readonly holds: number;
  readonly seq: number;
  readonly waiting: number;
}

export const stateQuery = defineQuery<CourseView>('state');
export const deadlineQuery = defineQuery<Deadline | undefined>('deadline');

/** Makes an account look again now at an erasure that had to wait. Changes nothing by itself. */
export const wakeSignalName = 'wake';
export const wakeSignal = defineSignal(wakeSignalName);

/** Makes an account compare itself with what is recorded of it, and go on from there. */
export const compareSignalName = 'compare';
export const compareSignal = defineSignal(compareSignalName);

/** Answers once the account's creation is recorded, or is refused when the workflow began for another request. */
export const createdUpdate = defineUpdate<Recorded, [{ draftId: string }]>('created');

/** Sent by hand, a message has no context, and a body only where it needs one. */
export type Message = [body: unknown, context: MessageContext | undefined];

function both<N extends CommandName>(name: N) {
  return { name, signal: defineSignal<Message>(name), update: defineUpdate<Recorded, Message>(name) };
}

export const messages = [
  both('suspend'),
  both('reinstate'),
  both('close'),
  both('reopen'),
  both('changePolicy'),
  both('placeHold'),
  both('releaseHold'),
] as const;

/** The types of the failures an update is answered with. A caller tells them apart by type, never by text. */
export const failureTypes = {
  /** The decision was no; the details hold the {@link Refusal}. It changed nothing. */
  refused: 'Refused',
  /** The run is about to be succeeded by the next: ask again. It changed nothing. */
  rollingOver: 'RollingOver',
} as const;
