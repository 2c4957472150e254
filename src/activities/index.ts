/**
 * What workflows may ask of the world, one file a concern. Every activity is safe to repeat; errors travel by name, and the
 * workflow's retry policies say which of them repeating cannot mend.
 */
import { accountActivities } from './account';
import type { ActivityDependencies } from './dependencies';
import { personActivities } from './person';
import { processorActivities } from './processors';
import { rotationActivities } from './rotation';
import { sweepActivities } from './sweep';
import { retainedActivities } from './retained';
import { watchActivities } from './watch';
import { courseActivities } from './courses';
import { exportActivities } from './exports';
import { disclosureActivities } from './disclosures';
import { dataRotationActivities } from './data-rotation';

export type { ConcludedErasure, LapseOutcome, RecordedStep, StepRecord } from '../data';
export type { LookedUp, Question, Surroundings } from './look-up';
export type { ReencryptTally, WalkPosition } from '../data';
export type { SweepReport, SweepStretch } from './sweep';
export type { CourseKeeper } from './course-keeper';
export type { LeftKey } from './rotation';
export type { ExportRef } from './exports';
export type { ActivityDependencies };

/** The activities of one worker. */
export function createActivities(dependencies: ActivityDependencies) {
  return {
    ...accountActivities(dependencies),
    ...personActivities(dependencies),
    ...processorActivities(dependencies),
    ...sweepActivities(dependencies),
    ...watchActivities(dependencies),
    ...retainedActivities(dependencies),
    ...exportActivities(dependencies),
    ...courseActivities(dependencies),
    ...rotationActivities(dependencies),
    ...dataRotationActivities(dependencies),
    ...disclosureActivities(dependencies),
  };
}

export type Activities = ReturnType<typeof createActivities>;
