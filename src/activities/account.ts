/** What an account's own workflow asks of the world. */
import { activityInfo, cancellationSignal, log } from '@temporalio/activity';
import {
  AccountMissingError,
  beginErasure,
  concludeErasure,
  eraseRecords,
  findAccount,
  finishErasure,
  PlanDeviationError,
  recordCreation,
  recordDelay,
  recordStep,
  type ConcludedErasure,
  type CreationRecord,
  type ErasureResult,
  type FinishedErasure,
  type RecordedStep,
  type StepRecord,
} from '../data';
import type { Lifecycle } from '../lifecycle';
import { outsideOf } from '../exports';
import { addMissing } from '../ledger';
import { beating } from './beating';
import type { ActivityDependencies } from './dependencies';
import { lookUp, type LookedUp, type Question } from './look-up';

/** A step of an erasure, and whether it was tried before and could not be taken. */
interface ErasureStep {
  readonly step: StepRecord;
  readonly again?: boolean;
}

/** An account's course, as of its last recorded step. */
interface RecordedCourse {
  readonly seq: number;
  readonly lifecycle: Lifecycle;
}

/** Failures that leave an erasure waiting past its date: whoever is on call hears of them. */
const delaying = new Set([
  'ClocksDisagreeError',
  'ErasureHeldBackError',
  'ErasureIncompleteError',
  'KeyRemainsError',
  'PlanDeviationError',
]);

/** Recording steps, and erasing. */
export function accountActivities({ store, settings, guard, archives, ledger }: ActivityDependencies) {
  const outside = outsideOf(archives);

  const begin = ({ step, again = false }: ErasureStep) =>
    // The server's own clock: when it handed this attempt out.
    beginErasure(store, step, { temporal: new Date(activityInfo().currentAttemptScheduledTimestampMs), guard, again });

  async function alerting<T>(account: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Error && delaying.has(error.name)) {
        if (error instanceof PlanDeviationError)
          await recordDelay(store, account, 'deviates-from-plan', error.message, await store.databaseTime());
        log.error('an erasure is late', {
          alert: 'erasure-delayed',
          account,
          reason: error.name,
          detail: error.message,
        });
      }
      throw error;
    }
  }

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

    /** What is recorded of an account's course. */
    async recordedCourse({ account }: { readonly account: string }): Promise<RecordedCourse> {
      const found = await findAccount(store, account);
      if (found === null) throw new AccountMissingError(`there is no account ${account}`);
      return { seq: found.seq, lifecycle: found.lifecycle };
    },

    /** Records that an erasure begins, if the database agrees that it may. */
    beginErasure(erasure: ErasureStep): Promise<void> {
      return beating(() => begin(erasure));
    },

    /** Begins an erasure and deletes the account's records, until none is left that no hold protects or a hold stops it. */
    eraseAccountData(erasure: ErasureStep): Promise<ErasureResult> {
      const { account } = erasure.step;
      return beating((tell) =>
        alerting(account, async () => {
          await begin(erasure);
          const signal = cancellationSignal();
          const hooks = {
            progress: (done: number, total: number, set: string) => tell({ done, total, set }),
            checkpoint: () => signal.throwIfAborted(),
          };
          return eraseRecords(store, account, hooks, outside);
        }),
      );
    },

    /** Searches for remains, records the erasure, and tells the ledger (R23); see {@link concludeErasure}. */
    concludeErasure({ step }: ErasureStep): Promise<ConcludedErasure> {
      return beating(() => {
        const signal = cancellationSignal();
        const hooks = { checkpoint: () => signal.throwIfAborted() };
        return alerting(step.account, async () => {
          const concluded = await concludeErasure(store, step, outside, hooks);
          await addMissing(store, ledger);
          return concluded;
        });
      });
    },

    /** Does what is left of an erasure the workflow did not hear of; see {@link finishErasure}. `null` where there is none. */
    finishErasure({ account }: { readonly account: string }): Promise<FinishedErasure | null> {
      return beating(() =>
        alerting(account, async () => {
          const finished = await finishErasure(store, account);
          await addMissing(store, ledger);
          return finished ?? null;
        }),
      );
    },
  };
}
