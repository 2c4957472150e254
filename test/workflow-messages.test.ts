import { randomUUID } from 'node:crypto';
import { WorkflowUpdateFailedError, type WorkflowHandle } from '@temporalio/client';
import { type ApplicationFailure } from '@temporalio/common';
import { allowedChanges, rowFor, type AccountState, type CommandName } from '../src/lifecycle';
import { commandNames } from '../src/lifecycle/schemas';
import { deadlineQuery, stateQuery, type CourseView } from '../src/workflows';
import {
  admin,
  region,
  startSystem,
  startTimeSkippingSystem,
  workflowIdOf,
  type NewAccount,
  type System,
} from './helpers/system';

// The promise: whoever writes to an account's workflow, by update or by signal, with whatever body, in whatever state,
// finds it well afterwards.

const bodies: Readonly<Record<CommandName, unknown>> = {
  suspend: { reason: 'other' },
  reinstate: {},
  close: {},
  reopen: { note: 'settled' },
  changePolicy: { gracePeriod: 'P20D' },
  placeHold: { reason: 'lawsuit' },
  releaseHold: { holdId: 'nobody' },
};
const states = ['active', 'suspended', 'expired'] as const;
const cases = states.flatMap((state) => commandNames.map((name) => [name, state] as const));

describe('on the development server', () => {
  let system: System;

  beforeAll(async () => {
    system = await startSystem();
  }, 120_000);
  afterAll(() => system.stop(), 60_000);

  const handleOf = (id: string): WorkflowHandle => system.client.workflow.getHandle(workflowIdOf(region, id));

  async function until<T>(look: () => Promise<T>, holds: (seen: T) => boolean): Promise<T> {
    for (const started = performance.now(); ;) {
      const seen = await look();
      if (holds(seen)) return seen;
      if (performance.now() - started > 15_000) throw new Error(`still ${JSON.stringify(seen)}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  const stepTaken = (id: string, seq: number) =>
    until(
      () => system.account(id),
      (account) => account.seq >= seq,
    );

  /** A workflow whose task failed stands still until somebody mends it. */
  async function expectHealthy(id: string): Promise<void> {
    const { events } = await handleOf(id).fetchHistory();
    const kinds = (events ?? []).map((entry) => Object.keys(entry).find((key) => key.endsWith('EventAttributes')));
    expect(kinds).not.toContain('workflowTaskFailedEventAttributes');
    expect(kinds).not.toContain('workflowExecutionFailedEventAttributes');
    const view = await handleOf(id).query<CourseView>(stateQuery);
    expect(view).toMatchObject({ account: id, waiting: 0, seq: (await system.account(id)).seq });
  }

  async function accountIn(state: AccountState, more: NewAccount = {}): Promise<string> {
    const id = await system.createAccount(more);
    if (state === 'suspended') await system.send(id, 'suspend', { reason: 'non_payment' });
    if (state === 'expired') await system.send(id, 'close');
    return id;
  }

  test.each(cases)(
    'R13: the update %s to an account that is %s is carried out, or refused with what is allowed',
    async (name, state) => {
      const id = await accountIn(state);
      const before = await system.account(id);
      const applies = rowFor(before.lifecycle, name) !== undefined && name !== 'releaseHold';
      const answer: unknown = await handleOf(id)
        .executeUpdate(name, { args: [bodies[name], { actor: admin }] })
        .catch((error: unknown) => error);
      if (applies) {
        expect(answer).toMatchObject({ seq: before.seq + 1 });
        expect((await system.account(id)).seq).toBe(before.seq + 1);
      } else {
        if (!(answer instanceof WorkflowUpdateFailedError)) throw new Error('not refused', { cause: answer });
        const failure = answer.cause as ApplicationFailure;
        expect(failure).toMatchObject({
          type: 'Refused',
          details: [{ state, allowed: allowedChanges(before.lifecycle) }],
        });
        expect(await system.account(id)).toEqual(before);
      }
      await expectHealthy(id);
    },
  );

  test.each(cases)(
    'the signal %s to an account that is %s is carried out, or ignored and audited',
    async (name, state) => {
      const id = await accountIn(state);
      const before = await system.account(id);
      const applies = rowFor(before.lifecycle, name) !== undefined && name !== 'releaseHold';
      await handleOf(id).signal(name, bodies[name]);
      const after = await stepTaken(id, before.seq + 1);
      const entry = await system.store.audit.entries
        .findOne({ subject: system.store.vault.pseudonymOf(id), seq: before.seq + 1 })
        .lean()
        .exec();
      expect(entry?.actor).toEqual({ type: 'temporal', id: 'signal' });
      if (applies) {
        expect(entry?.action).not.toBe('account.message-ignored');
      } else {
        expect(entry).toMatchObject({ action: 'account.message-ignored', details: { message: name } });
        expect(after).toMatchObject({ state, since: before.since, lifecycle: before.lifecycle });
      }
      await expectHealthy(id);
    },
  );

  test.each<[string, unknown[]]>([
    ['no body', []],
    ['null', [null]],
    ['a text', ['non_payment']],
    ['a list', [['other']]],
    ['a number', [42]],
    ['an unknown reason', [{ reason: 'boredom' }]],
    ['more than there is', [{ reason: 'other', erase: 'now' }]],
  ])(
    'a malformed suspension by hand (%s) is ignored and audited as a signal, refused as an update',
    async (_what, args) => {
      const id = await system.createAccount();
      await handleOf(id).signal('suspend', ...args);
      await stepTaken(id, 2);
      expect(await system.account(id)).toMatchObject({ state: 'active', seq: 2 });
      expect(await system.actions(id)).toEqual(['account.created', 'account.message-ignored']);
      const error: unknown = await handleOf(id)
        .executeUpdate('suspend', { args: args as [unknown, unknown] })
        .catch((reason: unknown) => reason);
      if (!(error instanceof WorkflowUpdateFailedError)) throw new Error('not refused', { cause: error });
      expect(error.cause).toMatchObject({ type: 'Refused', details: [{ code: 'validation' }] });
      expect(((error.cause as ApplicationFailure).details?.[0] as { errors: unknown[] }).errors.length).toBeGreaterThan(
        0,
      );
      await handleOf(id).signal('suspend', { reason: 'other' });
      expect(await stepTaken(id, 3)).toMatchObject({ state: 'suspended' });
      await expectHealthy(id);
    },
  );

  test.each<[string, unknown]>([
    ['a text', 'me'],
    ['without an actor', {}],
    ['with half an actor', { actor: { role: 'admin' } }],
    ['with an unknown role', { actor: { type: 'key', id: 'x', role: 'king' } }],
    ['with a strange request id', { actor: admin, requestId: { $gt: '' } }],
    ['with a version that is none', { actor: admin, ifVersion: 'latest' }],
    ['that fits', { actor: admin, requestId: 'r-1' }],
  ])(
    'a context %s is not believed of a signal, which speaks by hand, and refused of an update unless it fits',
    async (what, context) => {
      const id = await system.createAccount();
      await handleOf(id).signal('suspend', { reason: 'other' }, context);
      expect(await stepTaken(id, 2)).toMatchObject({ state: 'suspended' });
      const entry = await system.store.audit.entries
        .findOne({ subject: system.store.vault.pseudonymOf(id), seq: 2 })
        .lean()
        .exec();
      expect(entry?.actor).toEqual({ type: 'temporal', id: 'signal' });
      const error: unknown = await handleOf(id)
        .executeUpdate('reinstate', { args: [{}, context] as [unknown, unknown] })
        .catch((reason: unknown) => reason);
      if (what === 'that fits') expect(error).toMatchObject({ seq: 3 });
      else
        expect((error as WorkflowUpdateFailedError).cause).toMatchObject({
          type: 'Refused',
          details: [{ code: 'validation' }],
        });
      await expectHealthy(id);
    },
  );

  test('a request to cancel the workflow changes nothing: the account is still there to be closed', async () => {
    const id = await system.createAccount();
    await handleOf(id).cancel();
    await system.send(id, 'suspend', { reason: 'other' });
    await handleOf(id).cancel();
    await system.send(id, 'close');
    expect(await system.account(id)).toMatchObject({ state: 'expired', seq: 3 });
    await expectHealthy(id);
  });

  test('a signal or an update nobody knows harms nothing', async () => {
    const id = await system.createAccount();
    await handleOf(id).signal('explode', { now: true });
    await expect(handleOf(id).executeUpdate('explode')).rejects.toThrow();
    await system.send(id, 'suspend', { reason: 'other' });
    await expectHealthy(id);
  });

  test('R9: a hold until the year 9999 does not wake the account, nor stop it', async () => {
    const id = await system.createAccount();
    await system.send(id, 'placeHold', { reason: 'for ever', until: '9999-12-31T23:59:59Z' });
    await system.sleep(1500);
    expect(await system.account(id)).toMatchObject({
      seq: 2,
      lifecycle: { holds: [{ until: '9999-12-31T23:59:59.000Z' }] },
    });
    await system.send(id, 'suspend', { reason: 'other' });
    await expectHealthy(id);
    const { events } = await handleOf(id).fetchHistory();
    expect((events ?? []).filter((entry) => entry.timerFiredEventAttributes)).toHaveLength(0);
  });

  test('R13: the same update id changes nothing twice and is answered the same', async () => {
    const id = await system.createAccount();
    const updateId = randomUUID();
    const suspend = () =>
      handleOf(id).executeUpdate('suspend', { args: [{ reason: 'other' }, { actor: admin }], updateId });
    const answers = await Promise.all([suspend(), suspend(), suspend()]);
    answers.push(await suspend());
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await system.actions(id)).toEqual(['account.created', 'account.suspended']);
  });

  test('messages that come together are carried out one after another, each on what the one before left', async () => {
    const id = await system.createAccount();
    const sent = Array.from({ length: 8 }, () =>
      system.send(id, 'suspend', { reason: 'other' }).catch((error: unknown) => error),
    );
    const answers = await Promise.all(sent);
    expect(answers.filter((answer) => !(answer instanceof Error))).toHaveLength(1);
    expect((await system.account(id)).seq).toBe(2);
    await Promise.all(Array.from({ length: 30 }, (_, n) => handleOf(id).signal('placeHold', { reason: `hold ${n}` })));
    const account = await stepTaken(id, 32);
    expect(account.lifecycle.holds).toHaveLength(30);
    const seqs = (
      await system.store.audit.entries
        .find({ subject: system.store.vault.pseudonymOf(id) })
        .sort({ seq: 1 })
        .lean()
        .exec()
    ).map((entry) => entry.seq);
    expect(seqs).toEqual(Array.from({ length: 32 }, (_, n) => n + 1));
    await expectHealthy(id);
  });

  test('what operators see says how the account stands, and nothing personal', async () => {
    const id = await accountIn('suspended');
    const account = await system.account(id);
    const { hold } = await system.send(id, 'placeHold', { reason: 'Jane Doe against us' });
    const description = await until(
      () => handleOf(id).describe(),
      ({ typedSearchAttributes }) =>
        JSON.stringify(typedSearchAttributes.getAll()).includes('"HoldCount"},"value":1') ||
        typedSearchAttributes.getAll().some(({ key, value }) => key.name === 'HoldCount' && value === 1),
    );
    const seen = Object.fromEntries(
      description.typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]),
    );
    expect(seen).toMatchObject({
      AccountId: id,
      AccountState: 'suspended',
      NextAction: 'close',
      DeadlineAt: account.deadline?.at,
      HoldCount: 1,
    });
    expect(await description.staticSummary()).toBe(`Account ${id} · ${region}`);
    const metadata = await handleOf(id).query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    expect(metadata.currentDetails).toContain('**suspended** since');
    expect(metadata.currentDetails).toContain('next: close at');
    expect(metadata.currentDetails).toContain(hold?.id ?? 'no hold');
    expect(await handleOf(id).query(deadlineQuery)).toEqual(
      account.lifecycle.period && { action: 'close', at: account.deadline?.at.toISOString() },
    );
    const shown = JSON.stringify([
      seen,
      metadata,
      await description.staticSummary(),
      await description.staticDetails(),
      description.memo ?? {},
    ]);
    expect(shown).not.toMatch(/Name of|@example|Jane|test-admin/);
    await system.send(id, 'reinstate');
    const freed = await until(
      () => handleOf(id).describe(),
      ({ typedSearchAttributes }) =>
        typedSearchAttributes.getAll().some(({ key, value }) => key.name === 'AccountState' && value === 'active'),
    );
    expect(
      freed.typedSearchAttributes
        .getAll()
        .map(({ key }) => key.name)
        .filter((name) => name !== 'BuildIds')
        .sort(),
    ).toEqual(['AccountId', 'AccountState', 'HoldCount']);
  });
});

describe('what a life costs', () => {
  let system: System;

  beforeAll(async () => {
    system = await startTimeSkippingSystem();
  }, 120_000);
  afterAll(() => system.stop(), 60_000);

  const length = async (id: string) => {
    const { events } = await system.client.workflow.getHandle(workflowIdOf(region, id)).fetchHistory();
    return events?.length ?? 0;
  };

  test('created, suspended, expired, erased: at most 60 events', async () => {
    const id = await system.createAccount();
    await system.send(id, 'suspend', { reason: 'non_payment' });
    await system.sleep(45 * 24 * 3_600_000);
    await system.client.workflow.getHandle(workflowIdOf(region, id)).result();
    expect((await system.account(id)).state).toBe('erased');
    expect(await length(id)).toBeLessThanOrEqual(60);
  });

  test('an account that sleeps adds none', async () => {
    const ids = [await system.createAccount(), await system.createAccount({ overrides: { gracePeriod: 'P3000D' } })];
    await system.send(ids[1] ?? '', 'suspend', { reason: 'other' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = await Promise.all(ids.map(length));
    await system.sleep(365 * 24 * 3_600_000);
    expect(await Promise.all(ids.map(length))).toEqual(before);
  });
});
