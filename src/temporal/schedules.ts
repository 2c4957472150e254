/** What a region does every so often by itself, as Temporal Schedules that operators see, pause and trigger. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ScheduleAlreadyRunning, ScheduleOverlapPolicy, type Client } from '@temporalio/client';
import {
  coursesWorkflowType,
  disclosuresWorkflowType,
  sweepWorkflowType,
  type CoursesInput,
  type DisclosuresInput,
  type SweepInput,
} from '../workflows';

export interface SchedulesOptions {
  readonly client: Client;
  readonly region: string;
  readonly taskQueue: string;
}

/** Something to be done every so often. */
interface Regular {
  /** Also what the ids of its workflows begin with. */
  readonly id: string;
  readonly every: '20 minutes' | '1 hour';
  readonly workflowType: string;
  readonly input: unknown;
  /** What operators read of each run. */
  readonly summary: string;
  /** What they read of the schedule. */
  readonly note: string;
}

function regulars(region: string): readonly Regular[] {
  return [
    {
      id: sweepIdOf(region),
      // R12 allows an hour: one sweep may be missed, and one take its time.
      every: '20 minutes',
      workflowType: sweepWorkflowType,
      input: { region } satisfies SweepInput,
      summary: `Sweep · ${region}`,
      note: 'Purges records past their age (R12). Paused, it breaks that promise an hour later.',
    },
    {
      id: `courses/${region}`,
      every: '1 hour',
      workflowType: coursesWorkflowType,
      input: { region } satisfies CoursesInput,
      summary: `Accounts and their workflows · ${region}`,
      note: 'Puts right what differs after one of the databases was restored (R23). Trigger it then.',
    },
    {
      id: `disclosures/${region}`,
      every: '1 hour',
      workflowType: disclosuresWorkflowType,
      input: { region } satisfies DisclosuresInput,
      summary: `Providers' disclosures · ${region}`,
      note: 'Calls out what is missing or overdue in the register of providers (R24).',
    },
  ];
}

/** The id of a region's sweep, as a schedule; its workflows are `sweep/REGION/run-TIME`. */
export function sweepIdOf(region: string): string {
  return `sweep/${region}`;
}

/**
 * Creates a region's schedules, or brings them up to date. Safe to repeat, and for several workers at once. A schedule an
 * operator paused stays paused.
 */
export async function ensureSchedules({ client, region, taskQueue }: SchedulesOptions): Promise<void> {
  for (const { id, every, workflowType, input, summary, note } of regulars(region)) {
    const spec = { intervals: [{ every }] };
    // What was missed is not made up for: the next sweep sees to all that is due.
    const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 minute' } as const;
    const action = {
      type: 'startWorkflow',
      workflowType,
      workflowId: `${id}/run`,
      taskQueue,
      args: [input],
      staticSummary: summary,
    } as const;
    try {
      await client.schedule.create({ scheduleId: id, spec, policies, action, state: { note } });
    } catch (error) {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      await client.schedule.getHandle(id).update(({ state }) => ({ spec, policies, action, state }));
    }
  }
}

const firstPause = 1000;
const longestPause = 60_000;

/**
 * {@link ensureSchedules}, tried again until Temporal takes them.
 *
 * @param failed is told of each failure
 * @param signal ends it
 */
export async function keepEnsuringSchedules(
  options: SchedulesOptions,
  failed: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let pause = firstPause; !signal.aborted; pause = Math.min(2 * pause, longestPause)) {
    try {
      await ensureSchedules(options);
      return;
    } catch (error) {
      failed(error);
    }
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
}
