/** Writing what does not pass through a workflow: effect, audit entry and kept answer in one transaction. */
import type { ClientSession } from 'mongoose';
import type { NewAuditEntry } from '../audit';
import { unavailable } from './failures';
import { written } from './reply';
import type { Answer, Call } from './route';
import type { Workshop } from './workshop';

/** What a write leaves in the log; nothing where it changed nothing. */
export interface Write {
  readonly answer: Answer;
  readonly entry?: Pick<NewAuditEntry, 'action' | 'account' | 'details'>;
}

/** Runs a write. `work` may run several times, so it must not have effects outside of the transaction. */
export async function write(
  { store, clock }: Workshop,
  call: Call,
  work: (session: ClientSession) => Promise<Write>,
): Promise<Answer> {
  if (call.progress.abandoned) throw unavailable();
  call.progress.writing = true;
  const answer = await store.transaction(async (session) => {
    const done = await work(session);
    if (done.entry !== undefined) {
      const { actor } = call.principal;
      await store.audit.append(session, { at: clock(), actor, requestId: call.requestId, ...done.entry });
    }
    const { replay, ...plain } = done.answer;
    await call.attempt.keep(written(replay === undefined ? plain : { ...plain, body: replay }), session);
    return done.answer;
  });
  call.progress.writing = false;
  return answer;
}
