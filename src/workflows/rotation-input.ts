/** What a rotation begins with, what it shows of itself, and what comes of it. Plain JSON: counts and ids of keys, no keys. */
import { defineQuery } from '@temporalio/workflow';
import type { LeftKey } from '../activities';

export const rotationWorkflowType = 'rotationWorkflow';

/** What a run begins with. */
export interface RotationInput {
  readonly region: string;
  /** The id of the master key everything is to be wrapped under. */
  readonly to: string;
  /** What the run before handed on. */
  readonly carried?: CarriedRotation;
}

/** How far a rotation is. */
export interface RotationProgress {
  readonly to: string;
  /** The ids of the other master keys that keys were wrapped under when it began. */
  readonly from: readonly string[];
  readonly step: 'beginning' | 're-wrapping' | 'checking' | 'ended';
  /** How many keys there were when it began, destroyed ones included. */
  readonly keys: number;
  /** How many of them this pass has seen to. */
  readonly seen: number;
  /** How many were re-wrapped. Those of a worker that died may be counted as wrapped before. */
  readonly rewrapped: number;
  readonly pass: number;
}

/** What one run hands on to the next. */
export interface CarriedRotation {
  readonly progress: RotationProgress;
  readonly after: string;
  readonly entry: string;
  /** Re-wrapped in this pass. */
  readonly moved: number;
  readonly failures: readonly LeftKey[];
}

/** What came of a rotation. */
export interface RotationOutcome {
  readonly to: string;
  readonly from: readonly string[];
  /** Whether every key is wrapped under the new master key alone. */
  readonly complete: boolean;
  /** Keys there are, and how many were destroyed. */
  readonly keys: number;
  readonly destroyed: number;
  readonly rewrapped: number;
  /** How many keys could not be re-wrapped. */
  readonly left: number;
  /** The first of these, and why. */
  readonly leftKeys: readonly LeftKey[];
}

/** How far it is. */
export const rotationProgressQuery = defineQuery<RotationProgress>('progress');

/** The id of a region's rotation: there is one at a time. */
export function rotationWorkflowId(region: string): string {
  return `rotation/${region}`;
}

/** What operators read of it in Temporal's Web UI. */
export function rotationSummary(to: string, region: string): string {
  return `Re-wrap all keys under ${to} · ${region}`;
}

export const signingRotationWorkflowType = 'signingRotationWorkflow';

/** What a replacement of the signing key begins with. */
export interface SigningRotationInput {
  readonly region: string;
}

/** What came of it: thumbprints of public keys. */
export interface SigningRotationOutcome {
  readonly before: string;
  readonly now: string;
}

/** The id of a region's replacement of its signing key: there is one at a time. */
export function signingRotationWorkflowId(region: string): string {
  return `rotation/${region}/signing`;
}
