/** Holding accounts' workflows against their records: which are missing, and which show something else (R23). */
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type Client,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import type { CourseKeeper } from '../activities';
import type { Errand, RecordedCourse } from '../data';
import { bySystem, type Settings } from '../lifecycle';
import {
  accountWorkflowType,
  compareSignalName,
  searchAttributes,
  staticDetails,
  staticSummary,
  visibleOf,
  type AccountInput,
} from '../workflows';
import { workflowIdOf } from './courses';
import { jobOf } from './errands';
import type { Job } from './jobs';

export interface CourseKeeperOptions {
  readonly client: Client;
  readonly region: string;
  readonly taskQueue: string;
  /** The deployment's configured numbers. */
  readonly settings: Settings;
}

const runningQuery = `WorkflowType = '${accountWorkflowType}' AND ExecutionStatus = 'Running'`;
const pageSize = 1000;

export function openCourseKeeper({ client, region, taskQueue, settings }: CourseKeeperOptions): CourseKeeper {
  /** Begins what has ended, or was never begun. @returns whether it did not run */
  async function begin(type: string, options: Omit<WorkflowStartOptions, 'taskQueue'>): Promise<boolean> {
    try {
      await client.workflow.start(type, {
        ...options,
        taskQueue,
        // What lists show lags behind: whether one runs is asked here.
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
        // It may have ended before the database was restored to a time at which there was more to do.
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      });
      return true;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
      throw error;
    }
  }

  function beginJob({ type, id, input, summary, account }: Job): Promise<boolean> {
    return begin(type, {
      workflowId: id,
      args: [input],
      staticSummary: summary,
      ...(account === undefined
        ? {}
        : { typedSearchAttributes: [{ key: searchAttributes.accountId, value: account }] }),
    });
  }

  return {
    async differing(records) {
      const shown = new Map<string, string>();
      // No account's id holds a quote.
      const ids = records.map(({ account }) => `'${account}'`).join(', ');
      const query = `${searchAttributes.accountId.name} IN (${ids}) AND ${runningQuery}`;
      for await (const { workflowId, typedSearchAttributes } of client.workflow.list({ query, pageSize })) {
        const state = typedSearchAttributes.get(searchAttributes.accountState);
        const deadline = typedSearchAttributes.get(searchAttributes.deadlineAt);
        const holds = typedSearchAttributes.get(searchAttributes.holdCount);
        shown.set(workflowId, textOf(state, deadline?.toISOString(), holds));
      }
      const seen = ({ account }: RecordedCourse) => shown.get(workflowIdOf(region, account));
      return {
        missing: records.filter((record) => seen(record) === undefined),
        otherwise: records.filter((record) => {
          const { state, deadlineAt, holdCount } = visibleOf(record.lifecycle);
          const known = seen(record);
          return known !== undefined && known !== textOf(state, deadlineAt ?? undefined, holdCount);
        }),
      };
    },

    async *running() {
      const prefix = workflowIdOf(region, '');
      for await (const { workflowId } of client.workflow.list({ query: runningQuery, pageSize })) {
        if (workflowId.startsWith(prefix)) yield workflowId.slice(prefix.length);
      }
    },

    restart({ account, lifecycle, seq, version }) {
      const input: AccountInput = {
        account,
        region,
        draftId: '',
        origin: { state: 'active', overrides: {} },
        settings,
        actor: bySystem,
        carried: { lifecycle, seq, created: { seq: 1, version }, answered: [], inbox: [] },
      };
      const { state, nextAction, deadlineAt, holdCount } = visibleOf(lifecycle);
      return begin(accountWorkflowType, {
        workflowId: workflowIdOf(region, account),
        args: [input],
        typedSearchAttributes: [
          { key: searchAttributes.accountId, value: account },
          { key: searchAttributes.accountState, value: state },
          { key: searchAttributes.holdCount, value: holdCount },
          ...(nextAction === null ? [] : [{ key: searchAttributes.nextAction, value: nextAction }]),
          ...(deadlineAt === null ? [] : [{ key: searchAttributes.deadlineAt, value: new Date(deadlineAt) }]),
        ],
        staticSummary: staticSummary(account, region),
        staticDetails: staticDetails(account),
      });
    },

    async compare(account) {
      try {
        await client.workflow.getHandle(workflowIdOf(region, account)).signal(compareSignalName);
      } catch (error) {
        // It has ended meanwhile.
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      }
    },

    async beginMissing(errands) {
      if (errands.length === 0) return [];
      const jobs = new Map(errands.map((errand): [string, Errand] => [jobOf(region, errand).id, errand]));
      // No id of ours holds a quote.
      const ids = [...jobs.keys()].map((id) => `'${id}'`).join(', ');
      const query = `WorkflowId IN (${ids}) AND ExecutionStatus = 'Running'`;
      for await (const { workflowId } of client.workflow.list({ query, pageSize })) jobs.delete(workflowId);
      const begun: Errand[] = [];
      for (const errand of jobs.values()) if (await beginJob(jobOf(region, errand))) begun.push(errand);
      return begun;
    },
  };
}

function textOf(state: string | undefined, deadline: string | undefined, holds: number | undefined): string {
  return [state, deadline, holds].join();
}
