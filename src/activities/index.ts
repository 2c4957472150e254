/**
 * What workflows may ask of the world. Every activity is safe to repeat; errors travel by name, and the workflow's retry
 * policies say which of them repeating cannot mend.
 */
import { cancellationSignal, heartbeat } from '@temporalio/activity';
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
import { lookUp, type LookedUp, type Question, type Surroundings } from './look-up';

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

const beat = 2000;

/**
 * Heartbeats while something runs, with the last it told: counting and searching a large account take longer than a
 * worker may be silent.
 */
async function beating<T>(work: (tell: (progress: unknown) => void) => Promise<T>): Promise<T> {
  let latest: unknown;
  const timer = setInterval(() => heartbeat(latest), beat);
  try {
    return await work((progress) => {
      latest = progress;
      heartbeat(progress);
    });
  } finally {
    clearInterval(timer);
  }
}

export type Activities = ReturnType<typeof createActivities>;
