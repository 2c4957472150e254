/** The worker that runs accounts' workflows and activities, as production, development and tests all use it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker, type NativeConnection, type WorkflowBundleOption } from '@temporalio/worker';
import type { Activities } from '../activities';

export interface AccountWorkerOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly activities: Activities;
  /** The workflows, bundled ahead; bundled from source when absent. */
  readonly bundle?: WorkflowBundleOption;
}

/** Where the build leaves the bundled workflows. */
const builtBundle = join(__dirname, '..', 'workflow-bundle.js');

/** Activities run side by side: many accounts can be due at one instant, and the database must not drown in them. */
const maxActivities = 50;

/** Makes a worker; `run()` it. On shutdown it lets activities finish, or heartbeat out, before it goes. */
export async function createAccountWorker(options: AccountWorkerOptions): Promise<Worker> {
  const bundle = options.bundle ?? (existsSync(builtBundle) ? { codePath: builtBundle } : undefined);
  return Worker.create({
    connection: options.connection,
    namespace: options.namespace,
    taskQueue: options.taskQueue,
    activities: options.activities,
    ...(bundle === undefined ? { workflowsPath: require.resolve('../workflows/entry') } : { workflowBundle: bundle }),
    maxConcurrentActivityTaskExecutions: maxActivities,
    // Default is none: a deploy would cut activities off in the middle of a transaction.
    shutdownGraceTime: '10 seconds',
    shutdownForceTime: '15 seconds',
    maxHeartbeatThrottleInterval: '1 second',
    // Work meant for a worker that died is offered to the others after this, within the time a caller waits.
    stickyQueueScheduleToStartTimeout: '1 second',
  });
}
