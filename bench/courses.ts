/** Accounts with real workflows, run by a worker process of its own. */
import { randomUUID } from 'node:crypto';
import { Client } from '@temporalio/client';
import { storeDraft, type Store } from '../src/data';
import type { Actor } from '../src/lifecycle';
import { connectLazily, dataConverterOf, openCourses, type Courses } from '../src/temporal';
import { databaseUri, side, startHelper, type Ground, type Helper } from './harness';
import { region, settings } from './stores';

export const actor: Actor = { type: 'key', id: 'bench', role: 'admin' };

/** A client of Temporal, the product's own view of it, and a worker. */
export interface Running {
  readonly client: Client;
  readonly courses: Courses;
  readonly worker: Helper<string>;
  /** Stops the worker; the client can still be used. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** @param store the same database, whose vault the client encrypts with */
export async function startWorker(ground: Ground, database: string, store: Store, taskQueue: string): Promise<Running> {
  const worker = await startHelper<string>(
    'worker',
    {
      BENCH_MONGODB: databaseUri(ground, database),
      BENCH_TEMPORAL: ground.temporalAddress,
      BENCH_TASK_QUEUE: taskQueue,
      BENCH_BUNDLE: ground.bundle,
    },
    ['--expose-gc'],
  );
  const connection = connectLazily(ground.temporalAddress);
  const client = new Client({ connection, dataConverter: dataConverterOf(store.vault) });
  return {
    client,
    courses: openCourses({ connection, client, region, taskQueue, patience: 30_000 }),
    worker,
    stop: () => worker.stop(),
    close: () => connection.close(),
  };
}

/** Creates accounts through their workflows. */
export async function createAccounts(store: Store, courses: Courses, ids: readonly string[]): Promise<void> {
  const drafts = ids.map((account) => ({
    _id: randomUUID(),
    account,
    name: `Name of ${account}`,
    email: `${account}@example.org`,
    plan: 'standard' as const,
    locale: 'en' as const,
    createdAt: new Date(),
  }));
  await side(drafts, 16, (draft) => storeDraft(store, draft));
  await side(drafts, 16, ({ _id, account }) =>
    courses.create(
      { account, draftId: _id, origin: { state: 'active', overrides: {} }, settings, actor },
      randomUUID(),
    ),
  );
}
