/** How long a processor is waited for: repeats, polls, escalation after 72 hours, giving up after 30 days, and late answers. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { randomBytes } from 'node:crypto';
import { mongo } from 'mongoose';
import { createActivities, type Activities } from '../src/activities';
import { processorRequestsOf, type Opened, type ProcessorDocument } from '../src/data';
import { native } from '../src/database';
import { protectProcessor, receiveCallback } from '../src/processors';
import { eventually } from './helpers/eventually';
import {
  domain,
  newIdentity,
  startOpenDsrProcessor,
  startWebhookTarget,
  type Identity,
  type OpenDsrProcessor,
  type WebhookTarget,
} from './helpers/processor';
import { openCourseKeeper } from '../src/temporal';
import { openGuard, region, startTimeSkippingSystem, type System } from './helpers/system';
import { actionsAbout, addendaOf, concludeFor, requestOf, seeTo } from './helpers/told';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const settings = { allowPrivate: true, publicUrl: 'https://ablauf.example.org' };

let system: System;
let identity: Identity;
let processor: OpenDsrProcessor;
let target: WebhookTarget;
/** What happens once an activity has done its work, before anybody hears of it. */
let afterwards: ((name: string) => void) | undefined;

function interrupted(activities: Activities): Activities {
  return {
    ...activities,
    async tellProcessor(input) {
      const look = await activities.tellProcessor(input);
      afterwards?.('tellProcessor');
      return look;
    },
    async escalateProcessor(input) {
      await activities.escalateProcessor(input);
      afterwards?.('escalateProcessor');
    },
    async abandonProcessor(input) {
      await activities.abandonProcessor(input);
      afterwards?.('abandonProcessor');
    },
  };
}

beforeAll(async () => {
  system = await startTimeSkippingSystem({ processors: settings, activities: interrupted });
  identity = await newIdentity();
}, 120_000);
afterAll(() => system.stop());

beforeEach(async () => {
  processor = await startOpenDsrProcessor(identity);
  target = await startWebhookTarget();
});
afterEach(async () => {
  afterwards = undefined;
  await processor.stop();
  await target.stop();
  await native(system.store.processors).updateMany({}, { $set: { removedAt: new Date() } });
});

async function register(kind: ProcessorDocument['kind']): Promise<Opened<ProcessorDocument>> {
  const own =
    kind === 'webhook'
      ? { url: target.url, secret: `whsec_${randomBytes(32).toString('base64')}` }
      : { url: processor.url, domain, certificate: identity.certificate };
  const document: Opened<ProcessorDocument> = {
    _id: `proc_${randomBytes(12).toString('hex')}`,
    name: kind,
    kind,
    ...own,
    createdAt: new Date(),
    createdBy: 'tests',
  };
  await native(system.store.processors).insertOne(await protectProcessor(system.store, document));
  return document;
}

async function begin() {
  const at = await system.now();
  processor.now = () => at;
  const erasure = await concludeFor(system.store, at);
  const [request = ''] = erasure.requests;
  const workflow = await seeTo(system.jobs, region, request);
  await eventually('it was tried', async () => {
    const { attempts, status, lastError } = await requestOf(system.store, request);
    return attempts > 0 && (status !== 'open' || lastError !== undefined) ? true : undefined;
  });
  return { ...erasure, request, workflow, at };
}

function outcome(workflow: string): Promise<unknown> {
  return system.client.workflow.getHandle(workflow).result();
}

function posts(): number {
  return processor.heard.filter(({ method }) => method === 'POST').length;
}

test('a processor that fails is told again within minutes, then hours, until it has the request', async () => {
  processor.failures = 6;
  processor.status = 'completed';
  await register('opendsr');
  const { request, certificate, workflow } = await begin();
  await system.sleep(2 * hour);
  expect(processor.requests()).toEqual([request]);
  await system.sleep(day);
  expect(await outcome(workflow)).toBe('completed');
  expect(await addendaOf(system.store, certificate)).toMatchObject([{ status: 'completed', via: 'status' }]);
});

test('one that asks to be left alone is', async () => {
  target.answer = { status: 429, headers: { 'retry-after': String((3 * hour) / 1000) } };
  await register('webhook');
  const { request, workflow } = await begin();
  await system.sleep(2 * hour);
  expect(target.heard).toHaveLength(1);
  target.answer = { status: 200, body: '{"status":"completed"}' };
  await system.sleep(2 * hour);
  expect(await outcome(workflow)).toBe('completed');
  expect(await requestOf(system.store, request)).toMatchObject({ attempts: 2 });
});

test('one that is not done when it said it would be is told again', async () => {
  processor.takes = 5 * hour;
  await register('opendsr');
  const { request, workflow } = await begin();
  expect(await requestOf(system.store, request)).toMatchObject({ status: 'received', attempts: 1 });
  await system.sleep(4 * hour);
  expect(posts()).toBe(1);
  await system.sleep(2 * hour);
  expect(posts()).toBe(2);
  expect(await actionsAbout(system.store, request)).toEqual([]);
  processor.status = 'completed';
  await system.sleep(2 * day);
  expect(await outcome(workflow)).toBe('completed');
});

test('one that never answers is escalated after 72 hours, given up after 30 days, and on record as never having confirmed', async () => {
  processor.silent = true;
  await register('opendsr');
  const { account, certificate, request, workflow } = await begin();
  await system.sleep(70 * hour);
  expect(await actionsAbout(system.store, request)).toEqual([]);
  await system.sleep(6 * hour);
  expect(await actionsAbout(system.store, request)).toEqual(['processor.escalated']);
  const escalated = await requestOf(system.store, request);
  expect(escalated).toMatchObject({ status: 'open', escalatedAt: expect.any(Date) as Date });
  // R22: the account's id is there for the processor to be told, and not to be read.
  expect(escalated.identity).toBeDefined();
  expect(JSON.stringify(mongo.BSON.EJSON.serialize(escalated))).not.toContain(account);
  const { attempts } = escalated;
  expect(attempts).toBeLessThan(30);
  await system.sleep(3 * day);
  // One more try, and one more alert, every day.
  const later = await requestOf(system.store, request);
  expect(later.attempts).toBe(attempts + 3);
  expect(Math.round((Number(later.alertedAt) - Number(escalated.alertedAt)) / hour)).toBe((3 * day) / hour);
  await system.sleep(30 * day);
  expect(await outcome(workflow)).toBe('failed');
  const ended = await requestOf(system.store, request);
  expect(ended.status).toBe('failed');
  expect(ended).not.toHaveProperty('identity');
  expect(await actionsAbout(system.store, request)).toEqual(['processor.escalated', 'processor.failed']);
  expect(await addendaOf(system.store, certificate)).toMatchObject([{ kind: 'processor-failure', status: 'failed' }]);
});

test('what it says after it was given up is taken in all the same', async () => {
  target.answer = { status: 500 };
  const { secret = '' } = await register('webhook');
  const { certificate, request, workflow } = await begin();
  await system.sleep(31 * day);
  expect(await outcome(workflow)).toBe('failed');
  const { Webhook } = await import('standardwebhooks');
  const body = Buffer.from(JSON.stringify({ request, status: 'completed' }));
  const at = new Date();
  const headers = {
    'webhook-id': 'late',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign('late', at, body),
  };
  const late = () => receiveCallback({ store: system.store, settings }, request, { headers, body }, at);
  expect(await late()).toBe(true);
  expect(await late()).toBe(false);
  expect(await addendaOf(system.store, certificate)).toMatchObject([
    { kind: 'processor-failure' },
    { kind: 'processor-receipt', status: 'completed' },
  ]);
});

test('a worker that dies between an act and its record repeats it without effect', async () => {
  processor.silent = true;
  await register('opendsr');
  const died = new Set<string>();
  afterwards = (name) => {
    if (died.has(name)) return;
    died.add(name);
    throw new Error('the worker died');
  };
  const { certificate, request, workflow } = await begin();
  await system.sleep(31 * day);
  expect(await outcome(workflow)).toBe('failed');
  expect([...died].sort()).toEqual(['abandonProcessor', 'escalateProcessor', 'tellProcessor']);
  expect(await actionsAbout(system.store, request)).toEqual(['processor.escalated', 'processor.failed']);
  expect(await addendaOf(system.store, certificate)).toHaveLength(1);
});

test('an erasure with two processors waits for neither, and one that is silent does not keep the other', async () => {
  processor.silent = true;
  target.answer = { status: 200, body: '{"status":"completed"}' };
  await register('opendsr');
  await register('webhook');
  const { certificate, requests } = await concludeFor(system.store, await system.now());
  expect((await processorRequestsOf(system.store, certificate)).sort()).toEqual([...requests].sort());
  expect(requests).toHaveLength(2);
  await Promise.all(requests.map((request) => seeTo(system.jobs, region, request)));
  await eventually('the other has confirmed', async () => {
    const [addendum] = await addendaOf(system.store, certificate);
    return addendum?.['protocol'] === 'webhook' ? true : undefined;
  });
});

test('who is on call is told by an alert that names request and processor, and no account', async () => {
  await register('webhook');
  const { account, requests } = await concludeFor(system.store, await system.now());
  const [request = ''] = requests;
  const logged: { message: string; meta: unknown }[] = [];
  const keep = (message: string, meta?: unknown) => void logged.push({ message, meta });
  const logger = { log: (_: string, message: string, meta?: unknown) => keep(message, meta) };
  const environment = new MockActivityEnvironment(
    {},
    { logger: { ...logger, trace: keep, debug: keep, info: keep, warn: keep, error: keep } },
  );
  const { store, settings: periods, archives, ledger } = system;
  const { escalateProcessor } = createActivities({
    store,
    settings: periods,
    guard: openGuard,
    archives,
    ledger: ledger.ledger,
    courses: openCourseKeeper({ client: system.client, region, taskQueue: system.taskQueue, settings: periods }),
  });
  await environment.run(escalateProcessor, { request });
  const alerts = logged.filter(({ meta }) => (meta as { alert?: string }).alert !== undefined);
  expect(alerts).toMatchObject([{ meta: { alert: 'processor-unanswered', request, attempts: 0 } }]);
  expect(Object.values(alerts[0]?.meta as object)).not.toContain(account);
});
