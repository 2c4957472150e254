/**
 * What workflows may ask of the world. Every activity is safe to repeat; errors travel by name, and the workflow's retry
 * policies say which of them repeating cannot mend.
 */
import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
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
  type Store,
} from '../data';
import type { Settings } from '../lifecycle';
import { lookUp, type Surroundings } from './look-up';

/** What activities need. */
export interface ActivityDependencies {
  readonly store: Store;
  /** The deployment's configured numbers. */
  readonly settings: Settings;
  /** The time by which "the deadline has passed" is judged just before erasing. Async, so that tests can skip time. */
  readonly now: () => Promise<Date>;
}

export type { StepRecord, Surroundings };

/** The activities of one worker. */
export function createActivities({ store, settings, now }: ActivityDependencies) {
  const begin = async (step: StepRecord) => beginErasure(store, step, (await now()).toISOString());
  return {
    /** Reads what a decision needs beside the account's course. */
    lookUp(account: string): Promise<Surroundings> {
      return lookUp(store, settings, account);
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
      return begin(step);
    },

    /** Begins an erasure and deletes the account's records, until none is left or a hold stops it. Heartbeats. */
    async eraseAccountData({ step }: { readonly step: StepRecord }): Promise<ErasureResult> {
      await begin(step);
      const signal = cancellationSignal();
      return eraseRecords(store, step.account, {
        progress: (done, total, set) => heartbeat({ done, total, set, attempt: activityInfo().attempt }),
        checkpoint: () => signal.throwIfAborted(),
      });
    },

    /** Searches for remains and records the erasure; see {@link concludeErasure}. Heartbeats. */
    async concludeErasure({ step }: { readonly step: StepRecord }): Promise<RecordedStep> {
      const beat = setInterval(heartbeat, 5000);
      try {
        return await concludeErasure(store, step);
      } finally {
        clearInterval(beat);
      }
    },
  };
}

export type Activities = ReturnType<typeof createActivities>;
