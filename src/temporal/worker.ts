/** The worker that runs accounts' workflows and activities, as production, development and tests all use it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DataConverter } from '@temporalio/common';
import { Worker, type NativeConnection, type WorkflowBundleOption } from '@temporalio/worker';
import type { Activities } from '../activities';
import { bundleWorkflows } from './bundle';
import { ownRegionOnly } from './region';

export interface AccountWorkerOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly activities: Activities;
  /** How payloads are encrypted (R21); see `dataConverterOf`. */
  readonly dataConverter: DataConverter;
  /** Takes no work of another one (R25). */
  readonly region?: string;
  /** The workflows, bundled ahead; bundled from source when absent. */
  readonly bundle?: WorkflowBundleOption;
}

/** Where the build leaves the bundled workflows. */
const builtBundle = join(__dirname, '..', 'workflow-bundle.js');

/** Activities run side by side: many accounts can be due at one instant, and the database must not drown in them. */
const maxActivities = 50;

/**
 * Accounts kept in memory between two of their steps. Nearly all of them sleep, for weeks or years, and waking one that
 * is not kept costs a few milliseconds. Each that is kept costs more than a megabyte, so a small cache is what keeps a worker
 * as small with a million accounts as with a hundred.
 */
const maxCachedWorkflows = 100;

async function bundleFromSource(): Promise<WorkflowBundleOption> {
  return { code: await bundleWorkflows(require.resolve('../workflows/entry')) };
}

/** Makes a worker; `run()` it. On shutdown it lets activities finish, or heartbeat out, before it goes. */
export async function createAccountWorker(options: AccountWorkerOptions): Promise<Worker> {
  const bundle = options.bundle ?? (existsSync(builtBundle) ? { codePath: builtBundle } : await bundleFromSource());
  return Worker.create({
    connection: options.connection,
    namespace: options.namespace,
    taskQueue: options.taskQueue,
    activities: options.activities,
    dataConverter: options.dataConverter,
    workflowBundle: bundle,
    ...(options.region === undefined ? {} : { interceptors: { activity: [ownRegionOnly(options.region)] } }),
    maxCachedWorkflows,
    maxConcurrentActivityTaskExecutions: maxActivities,
    // Default is none: a deploy would cut activities off in the middle of a transaction.
    shutdownGraceTime: '10 seconds',
    shutdownForceTime: '15 seconds',
    maxHeartbeatThrottleInterval: '1 second',
    // Work meant for a worker that died is offered to the others after this, within the time a caller waits.
    stickyQueueScheduleToStartTimeout: '1 second',
  });
}
