/** Whether what stands behind the API answers. */
import type { Connection as TemporalConnection } from '@temporalio/client';
import { temporal as proto } from '@temporalio/proto';
import type { Store } from '../data';

/** `ok`, or what is wrong, by part. */
export type Health = Readonly<Record<'mongodb' | 'temporal' | 'worker', string>>;

export interface HealthOptions {
  readonly store: Store;
  readonly connection: TemporalConnection;
  readonly namespace: string;
  readonly taskQueue: string;
}

const patience = 2000;
/** A worker that asked for work within this time is there: it asks at least once a minute. */
const pollerAge = 90_000;

/** Asks every part at once; never fails. */
export async function checkHealth({ store, connection, namespace, taskQueue }: HealthOptions): Promise<Health> {
  const mongodb = said(async () => {
    await store.connection.getClient().db().command({ ping: 1 }, { timeoutMS: patience });
  });
  const temporal = said(async () => {
    await connection.withDeadline(Date.now() + patience, () => connection.healthService.check({}));
  });
  const worker = said(async () => {
    const { pollers } = await connection.withDeadline(Date.now() + patience, () =>
      connection.workflowService.describeTaskQueue({
        namespace,
        taskQueue: { name: taskQueue },
        taskQueueType: proto.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
      }),
    );
    const seen = pollers.map(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1000);
    if (!seen.some((at) => Date.now() - at < pollerAge)) throw new Error('no worker asks for work');
  });
  return { mongodb: await mongodb, temporal: await temporal, worker: await worker };
}

async function said(check: () => Promise<void>): Promise<string> {
  try {
    await check();
    return 'ok';
  } catch (error) {
    return error instanceof Error ? error.message : 'does not answer';
  }
}
