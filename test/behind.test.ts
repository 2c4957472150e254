/**
 * R23: Temporal's database and the account's record may be restored from different moments. Whichever is behind, the account goes on
 * from what is known, with nothing applied twice and nothing swallowed.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findAccount, ingest, recordStep, userIndexOf, type AccountDocument, type StepRecord } from '../src/data';
import { native } from '../src/database';
import { freePort, startTemporal, type RunningTemporal } from '../src/embedded';
import { protectProcessor } from '../src/processors';
import {
  coursesWorkflowType,
  personWorkflowId,
  processorWorkflowId,
  retainedWorkflowId,
  searchAttributeTypes,
  stateQuery,
  type CoursesOutcome,
  type CourseView,
} from '../src/workflows';
import { dumpOf, restore } from './helpers/dumps';
import { eventually } from './helpers/eventually';
import { accountPaths, event } from './helpers/events';
import { storeInvoices } from './helpers/invoices';
import { admin, startSystem, workflowIdOf, type NewAccount, type System } from './helpers/system';

let folder: string;
let port: number;
let temporal: RunningTemporal;
let system: System;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ablauf-behind-'));
  port = await freePort();
  temporal = await start();
  system = await startSystem({
    address: temporal.address,
    settings: { minPeriod: 'PT1S', notice: 'PT1S' },
  });
}, 120_000);

afterAll(async () => {
  await system.stop();
  await temporal.stop();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

function start(): Promise<RunningTemporal> {
  const options = { namespace: 'default', searchAttributes: searchAttributeTypes };
  return startTemporal({ dataDir: join(folder, 'temporal'), port, ...options });
}

/** A backup of Temporal's database, as a copy of its files. */
async function backUp(): Promise<string> {
  const copy = join(folder, randomBytes(4).toString('hex'));
  await temporal.stop();
  await cp(join(folder, 'temporal'), copy, { recursive: true });
  temporal = await start();
  return copy;
}

/** Restores a backup as the guide says: no worker lives through it, since it would remember what is not to come. */
async function putBack(copy: string): Promise<void> {
  await system.withoutWorker(async () => {
    await temporal.stop();
    await rm(join(folder, 'temporal'), { recursive: true });
    await cp(copy, join(folder, 'temporal'), { recursive: true });
    temporal = await start();
  });
}

/** Runs the check once, as its schedule does. */
async function check(): Promise<CoursesOutcome> {
  return patiently(async () => {
    const outcome: unknown = await system.client.workflow.execute(coursesWorkflowType, {
      workflowId: `courses/test-${randomUUID()}`,
      taskQueue: system.taskQueue,
      args: [{ region: system.store.region }],
    });
    return outcome as CoursesOutcome;
  });
}

/** What is asked just after a server came back may have to be asked again. */
function patiently<T>(ask: () => Promise<T>): Promise<T> {
  return eventually('Temporal answers', ask);
}

const create = (overrides: NewAccount['overrides'] = {}) =>
  patiently(() => system.createAccount({ overrides: { gracePeriod: 'P14D', expiryPeriod: 'P30D', ...overrides } }));

function view(account: string): Promise<CourseView> {
  return system.client.workflow.getHandle(workflowIdOf(system.store.region, account)).query(stateQuery);
}

function stateOf(account: string, state: AccountDocument['state']): Promise<AccountDocument> {
  return eventually(`${account} is ${state}`, async () => {
    const found = await findAccount(system.store, account);
    return found?.state === state ? found : undefined;
  });
}

function ended(account: string): Promise<unknown> {
  return eventually(`the workflow of ${account} ends`, async () => {
    const handle = system.client.workflow.getHandle(workflowIdOf(system.store.region, account));
    const { status } = await handle.describe();
    return status.name === 'RUNNING' ? undefined : (handle.result() as Promise<unknown>);
  });
}

test('R23: workflows restored from before adopt what is recorded, by the next message or by the check', async () => {
  const { send } = system;
  const asked = await create();
  const told = await create();
  const timed = await create({ gracePeriod: 'PT20S' });
  const gone = await create({ expiryPeriod: 'PT1S' });
  const going = await create({ expiryPeriod: 'PT25S' });
  await send(going, 'close');
  const backup = await backUp();

  await patiently(() => send(asked, 'suspend', { reason: 'non_payment' }));
  await send(told, 'suspend', { reason: 'terms_violation' });
  const { hold } = await send(told, 'placeHold', { reason: 'a case' });
  await send(timed, 'suspend', { reason: 'other' });
  await send(gone, 'close');
  const late = await create();
  await send(late, 'suspend', { reason: 'other' });
  await stateOf(gone, 'erased');
  await ended(gone);
  const before = await Promise.all([asked, told, timed, late].map((id) => system.account(id)));
  await putBack(backup);

  // Nothing is applied twice, and the next message is judged by what is recorded.
  await expect(patiently(() => refusedOr(send(asked, 'suspend', { reason: 'non_payment' })))).resolves.toMatch(
    /already suspended/,
  );
  await send(asked, 'close');
  expect(await system.actions(asked)).toEqual(['account.created', 'account.suspended', 'account.expired']);

  const found = await check();
  expect(found.restarted).toBe(1);
  await eventually('all agree with their records', async () => {
    const views = await Promise.all([told, timed, late].map(view));
    return views.every(({ state }) => state === 'suspended') ? true : undefined;
  });
  expect(await view(told)).toMatchObject({ holds: 1, seq: 3 });
  const [, toldBefore, timedBefore, lateBefore] = before;
  expect((await view(told)).deadline?.at).toBe(toldBefore?.deadline?.at.toISOString());
  expect((await view(late)).deadline?.at).toBe(lateBefore?.deadline?.at.toISOString());

  // Nothing was recorded by adopting, and nothing is missing: the messages of now follow those of then.
  await send(told, 'releaseHold', { holdId: hold?.id });
  await send(told, 'reinstate');
  expect(await system.actions(told)).toEqual([
    'account.created',
    'account.suspended',
    'hold.placed',
    'hold.released',
    'account.reinstated',
  ]);
  await send(late, 'reinstate');
  expect(await system.account(late)).toMatchObject({ state: 'active', seq: 3 });

  // Its timer is the one that was recorded.
  const closed = await stateOf(timed, 'expired');
  expect(closed.since).toEqual(timedBefore?.deadline?.at);

  // The workflow of an account that is erased ends: because somebody looked, or by its own timer.
  expect(found.ended).toBeGreaterThan(0);
  expect(await ended(gone)).toMatchObject({ outcome: 'erased' });
  await stateOf(going, 'erased');
  expect(await ended(going)).toMatchObject({ outcome: 'erased' });
}, 240_000);

test('R23: a workflow whose timer brings an erasure that has long been done ends, and erases nothing again', async () => {
  const id = await create({ expiryPeriod: 'PT10S' });
  await system.send(id, 'close');
  const backup = await backUp();
  const { certificateIds } = await stateOf(id, 'erased');
  await putBack(backup);
  expect(await ended(id)).toMatchObject({ outcome: 'erased' });
  expect(await findAccount(system.store, id)).toMatchObject({ certificateIds });
}, 120_000);

test('R10, R17, R23: what the law keeps, a person’s request and a processor that has not answered go on in a restored Temporal', async () => {
  const { client, store } = system;
  const [id, another] = [await create({ expiryPeriod: 'PT1S' }), await create()];
  const processor = `proc_${randomBytes(6).toString('hex')}`;
  const document = {
    _id: processor,
    name: processor,
    kind: 'webhook',
    url: 'https://processor.invalid/erase',
  } as const;
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const registered = { ...document, secret, createdAt: new Date(), createdBy: 'tests' };
  await native(store.processors).insertOne(await protectProcessor(store, registered));
  await storeInvoices(store, id, ['2026-05-03']);
  await ingest(store, [{ ...event(another, new Date(Date.now() - 1000), 'call'), end_user: 'someone' }], accountPaths);
  const backup = await backUp();

  await patiently(() => system.send(id, 'close'));
  await stateOf(id, 'erased');
  await ended(id);
  await native(store.processors).updateOne({ _id: processor }, { $set: { removedAt: new Date() } });
  const [told] = await native(store.processorRequests).find({ processor }).toArray();
  // Recorded, as by an API that died before it could say so to anybody.
  const request = `per_${randomBytes(6).toString('hex')}`;
  await native(store.personRequests).insertOne({
    _id: request,
    account: another,
    userIndex: userIndexOf(await store.vault.cipherOf(another), 'someone'),
    requestedBy: admin.id,
    requestId: randomUUID(),
    at: new Date(),
    status: 'running',
    erased: {},
  });
  await putBack(backup);

  const region = store.region;
  const waiting = [
    retainedWorkflowId(region, store.vault.pseudonymOf(id)),
    processorWorkflowId({ region, request: told?._id ?? '' }),
  ];
  // The account's own workflow is told to look, ends, and may be the first to begin them.
  expect((await check()).errands).toBeGreaterThanOrEqual(1);
  await expect(client.workflow.getHandle(personWorkflowId(region, another, request)).result()).resolves.toEqual({
    outcome: 'erased',
  });
  expect(await store.personRequests.findById(request).lean()).toMatchObject({ status: 'erased' });
  await ended(id);
  for (const name of waiting) {
    expect((await client.workflow.getHandle(name).describe()).status.name).toBe('RUNNING');
    await client.workflow.getHandle(name).terminate('lost');
  }
  await eventually('none is shown as running', async () => {
    const query = `WorkflowId IN (${waiting.map((name) => `'${name}'`).join(', ')}) AND ExecutionStatus = 'Running'`;
    return (await client.workflow.count(query)).count === 0 ? true : undefined;
  });
  expect((await check()).errands).toBe(2);
  for (const name of waiting) {
    expect((await client.workflow.getHandle(name).describe()).status.name).toBe('RUNNING');
  }
  // Once they run, they are left alone.
  await eventually('they are shown as running', async () => ((await check()).errands === 0 ? true : undefined));
}, 180_000);

test('R9, R23: a database restored from before is given back what its accounts’ workflows know, holds first of all', async () => {
  const { send, store } = system;
  const [held, erasing] = [await create(), await create({ expiryPeriod: 'PT8S' })];
  const backup = await dumpOf(store.connection);
  await send(held, 'placeHold', { reason: 'a case' });
  await send(erasing, 'close');
  await restore(store.connection, backup);
  expect(await system.account(held)).toMatchObject({ seq: 1, lifecycle: { holds: [] } });
  await check();
  const account = await eventually('the hold is back', async () => {
    const found = await system.account(held);
    return found.lifecycle.holds.length === 1 ? found : undefined;
  });
  expect(account).toMatchObject({ seq: 3, state: 'active' });
  expect(await system.actions(held)).toEqual(['account.created', 'account.record-restored']);
  await send(held, 'suspend', { reason: 'other' });
  expect(await system.account(held)).toMatchObject({ seq: 4, state: 'suspended', lifecycle: { holds: [{}] } });
  await stateOf(erasing, 'erased');
}, 120_000);

test('R23: a step with the id of another one, made by a workflow restored from before, is a contradiction', async () => {
  const id = await create();
  const { lifecycle } = await system.account(id);
  const step: StepRecord = {
    account: id,
    seq: 2,
    transitionId: randomUUID(),
    at: new Date().toISOString(),
    actor: admin,
    action: 'account.message-ignored',
    details: {},
    lifecycle,
  };
  const recorded = await recordStep(system.store, step);
  expect(await recordStep(system.store, step)).toEqual(recorded);
  for (const other of [
    { at: new Date(0).toISOString() },
    { action: 'policy.changed' as const },
    { transitionId: randomUUID() },
  ]) {
    await expect(recordStep(system.store, { ...step, ...other })).rejects.toMatchObject({
      name: 'SequenceConflictError',
    });
  }
}, 60_000);

/** What a message was refused with. */
function refusedOr(sending: Promise<unknown>): Promise<string> {
  return sending.then(
    () => 'was not refused',
    (error: unknown) => {
      if (error instanceof Error && error.name === 'RefusedError') return error.message;
      throw error;
    },
  );
}
