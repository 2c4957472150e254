/** What an account's own workflow asks of the world. */
import { cancellationSignal } from '@temporalio/activity';
import {
  beginErasure,
  concludeErasure,
  eraseRecords,
  recordCreation,
  recordStep,
  type CreationRecord,
  type ErasureResult,
  type RecordedStep,
  type StepRecord,
} from '../data';
import { beating } from './beating';
import type { ActivityDependencies } from './dependencies';
import { lookUp, type LookedUp, type Question } from './look-up';

/** Recording steps, and erasing. */
export function accountActivities({ store, settings, now }: ActivityDependencies) {
  const begin = async (step: StepRecord) => beginErasure(store, step, (await now()).toISOString());
  return {
    /** Reads what a decision needs beside the account's course, and the message it is about. */
    lookUp(question: Question): Promise<LookedUp> {
      return lookUp(store, settings, question);
    },

    /** Records an account's creation; see {@link recordCreation}. */
    recordCreation(step: CreationRecord): Promise<RecordedStep> {
      return recordCreation(store, step);
    },

    /** Records a step; see {@link recordStep}. */
    recordStep(step: StepRecord): Promise<RecordedStep> {
      return recordStep(store, step);
    },

    /** Records that an erasure begins, if the database agrees that it may. */
    beginErasure({ step }: { readonly step: StepRecord }): Promise<void> {
      return beating(() => begin(step));
    },

    /** Begins an erasure and deletes the account's records, until none is left or a hold stops it. */
    eraseAccountData({ step }: { readonly step: StepRecord }): Promise<ErasureResult> {
      return beating(async (tell) => {
        await begin(step);
        const signal = cancellationSignal();
        return eraseRecords(store, step.account, {
          progress: (done, total, set) => tell({ done, total, set }),
          checkpoint: () => signal.throwIfAborted(),
        });
      });
    },

    /** Searches for remains and records the erasure; see {@link concludeErasure}. */
    concludeErasure({ step }: { readonly step: StepRecord }): Promise<RecordedStep> {
      return beating(() => concludeErasure(store, step));
    },
  };
}
