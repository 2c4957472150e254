/** Ending sessions, with the entry that says who did (R19), and at once in this process. */
import type { ClientSession } from 'mongoose';
import type { SessionDocument, Sessions } from '../../access';
import type { Write } from '../writes';
import type { Answer, Call } from '../route';
import type { Workshop } from '../workshop';
import { write } from '../writes';

/** What ended sessions are put on record as. */
type Recorded = Pick<Required<Write>, 'entry'>['entry'];

/**
 * Ends sessions.
 *
 * @param work ends them, in the transaction it is given
 * @param entryFor the entry, where any have ended
 */
export async function endSessions(
  workshop: Workshop,
  sessions: Sessions,
  call: Call,
  work: (session: ClientSession) => Promise<readonly SessionDocument[]>,
  entryFor: (ended: readonly SessionDocument[]) => Recorded,
  answer: Answer = { status: 204 },
): Promise<{ readonly answer: Answer; readonly ended: readonly SessionDocument[] }> {
  let ended: readonly SessionDocument[] = [];
  const given = await write(workshop, call, async (session) => {
    ended = await work(session);
    return { answer, ...(ended.length === 0 ? {} : { entry: entryFor(ended) }) };
  });
  sessions.forget(ended);
  return { answer: given, ended };
}

/** What an entry says of sessions that were ended. */
export function endedEntry(action: string, ended: readonly SessionDocument[], details: Record<string, unknown> = {}) {
  const [account] = ended.flatMap(({ account: one = [] }) => one);
  return {
    action,
    ...(account === undefined ? {} : { account }),
    details: { ...details, sessions: ended.map(({ _id }) => _id) },
  };
}
