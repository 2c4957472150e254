/** Sending a message to an account's workflow, and reading what became of the account. */
import { holdsNotes, sealNotes, type AccountDocument } from '../data';
import type { CommandName } from '../lifecycle';
import type { MessageContext, Recorded } from '../workflows';
import { CourseMissingError } from '../temporal';
import { unavailable } from './failures';
import type { Call } from './route';
import { openAccount, seekAccount, type Visit } from './standing';
import type { Workshop } from './workshop';

/** What a message did. */
export interface Outcome {
  readonly recorded: Recorded;
  /** The account afterwards. */
  readonly account: AccountDocument;
}

/**
 * Sends a message, and reads the account once its effect is recorded.
 *
 * Temporal is asked whether it is there while the account is read, so that "not now" is said before anything is sent.
 */
export async function command(
  workshop: Workshop,
  call: Call,
  id: string,
  name: CommandName,
  body: unknown,
): Promise<Outcome> {
  // A customer who closed the account and did not hear of it may ask again, though the account is closed by now.
  const standing = name === 'close' && call.attempt.repeated ? 'any' : call.standing;
  const visit: Visit = { principal: call.principal, standing };
  await Promise.all([openAccount(workshop, visit, id), workshop.courses.reach()]);
  return send(workshop, call, id, name, body);
}

/** {@link command} for a caller who has opened the account and reached Temporal already. */
export async function send(
  workshop: Workshop,
  call: Call,
  id: string,
  name: CommandName,
  body: unknown,
): Promise<Outcome> {
  // What is said of a customer in words leaves this process encrypted (R21).
  const message = holdsNotes(name, body) ? sealNotes(await workshop.store.vault.cipherOf(id), name, body) : body;
  const recorded = await sending(call, () =>
    workshop.courses.send(id, name, message, contextOf(call), call.attempt.updateId),
  ).catch(async (error: unknown) => {
    // Its course may have come to its end under the message: then the account is erased, and says so.
    if (error instanceof CourseMissingError)
      await openAccount(workshop, { principal: call.principal, standing: 'any' }, id);
    throw error;
  });
  const account = await seekAccount(workshop, { principal: call.principal, standing: 'any' }, id);
  return { recorded, account };
}

/** Marks the point from which an effect may come. Whoever has stopped waiting was told that nothing happened: so be it. */
export async function sending<T>({ progress }: Pick<Call, 'progress'>, work: () => Promise<T>): Promise<T> {
  if (progress.abandoned) throw unavailable();
  progress.sent = true;
  return work();
}

function contextOf({ principal, requestId, ifVersion }: Call): MessageContext {
  return { actor: principal.actor, requestId, ...(ifVersion === undefined ? {} : { ifVersion }) };
}
