/** What a rotation of data keys begins with, what it shows of itself, and what comes of it. Plain JSON: counts, and no keys. */
import { defineQuery } from '@temporalio/workflow';
import type { ReencryptTally, WalkPosition } from '../activities';

export const dataRotationWorkflowType = 'dataRotationWorkflow';

/** What a run begins with. */
export interface DataRotationInput {
  readonly region: string;
  /** One account's keys alone. @default every data key there is */
  readonly account?: string;
  /** Encrypts anew at once what is under older versions. @default false: it is left to whatever is written anew */
  readonly reencrypts?: boolean;
  /** What the run before handed on. */
  readonly carried?: CarriedDataRotation;
}

/** How far it is. */
export interface DataRotationProgress {
  readonly step: 'adding' | 'waiting' | 'using' | 'settling' | 're-encrypting' | 'checking' | 'ended';
  /** Keys that were given a new version. */
  readonly keys: number;
  /** Keys whose new version is in use. */
  readonly used: number;
  /** What was encrypted anew. Of a worker that died the last second may be missing. */
  readonly renewed: ReencryptTally;
  /** What is under older versions still, by the look that follows. */
  readonly left: ReencryptTally;
}

/** What one run hands on to the next. */
export interface CarriedDataRotation {
  readonly rotation: string;
  readonly progress: DataRotationProgress;
  /** The last key seen to in this step. */
  readonly after?: string;
  /** Where the walk goes on in this step. */
  readonly next?: WalkPosition;
}

/** What came of it. */
export interface DataRotationOutcome extends Omit<DataRotationProgress, 'step'> {
  readonly rotation: string;
  readonly reencrypted: boolean;
  /** Every key's new version is in use, and where it was asked for nothing is under an older one. */
  readonly complete: boolean;
}

/** How far it is. */
export const dataRotationProgressQuery = defineQuery<DataRotationProgress>('progress');

/** The id of a rotation of data keys: of a region there is one at a time, and one of each account. @param pseudonym the account's */
export function dataRotationWorkflowId(region: string, pseudonym?: string): string {
  return pseudonym === undefined ? `data-rotation/${region}` : `data-rotation/${region}/${pseudonym}`;
}

/** What operators read of it in Temporal's Web UI. */
export function dataRotationSummary({ region, account, reencrypts }: DataRotationInput): string {
  const whose = account === undefined ? 'all data keys' : 'the keys of one account';
  return `New versions of ${whose}${reencrypts === true ? ', and re-encryption' : ''} · ${region}`;
}
