/** Representative courses of accounts, whose histories are kept to prove that later code still understands them. */
import type { AccountDocument } from '../../src/data';
import { workflowIdOf, type System } from './system';

export interface RecordedCourse {
  readonly name: string;
  /** Takes an account through it; answers with its id. */
  run(system: System): Promise<string>;
}

/** The deployment the courses run under: periods of seconds, so that they end. */
export const courseSettings = { gracePeriod: 'PT2S', expiryPeriod: 'PT2S', notice: 'PT1S', minPeriod: 'PT1S' } as const;

async function until(system: System, id: string, holds: (account: AccountDocument) => boolean): Promise<void> {
  for (const started = performance.now(); ;) {
    const account = await system.account(id);
    if (holds(account)) return;
    if (performance.now() - started > 20_000) throw new Error(`account ${id} is still ${account.state}`);
    await system.sleep(50);
  }
}

async function erased(system: System, id: string): Promise<string> {
  await until(system, id, (account) => account.state === 'erased');
  await system.client.workflow.getHandle(workflowIdOf(system.store.region, id)).result();
  return id;
}

export const recordedCourses: readonly RecordedCourse[] = [
  {
    name: 'closed-by-timer',
    async run(system) {
      const id = await system.createAccount({ id: 'closed-by-timer' });
      await system.send(id, 'suspend', { reason: 'non_payment' });
      return erased(system, id);
    },
  },
  {
    name: 'suspended-and-reinstated',
    async run(system) {
      const overrides = { gracePeriod: 'P14D', expiryPeriod: 'P30D' };
      const id = await system.createAccount({ id: 'suspended-and-reinstated', overrides });
      await system.send(id, 'suspend', { reason: 'non_payment' });
      await system.send(id, 'suspend', { reason: 'terms_violation', note: 'a note' });
      await system.send(id, 'reinstate', { resolved: ['non_payment'] });
      await system.send(id, 'suspend', { reason: 'terms_violation' }).catch(() => undefined);
      await system.send(id, 'changePolicy', { gracePeriod: 'P20D' });
      await system.send(id, 'reinstate');
      await system.send(id, 'close');
      await system.send(id, 'reopen', { note: 'settled' });
      return id;
    },
  },
  {
    name: 'held-and-erased',
    async run(system) {
      const id = await system.createAccount({ id: 'held-and-erased' });
      const { hold } = await system.send(id, 'placeHold', { reason: 'lawsuit' });
      await system.send(id, 'close');
      await system.send(id, 'placeHold', { reason: 'inquiry', until: new Date(Date.now() + 3000).toISOString() });
      await system.sleep(2500);
      await system.send(id, 'releaseHold', { holdId: hold?.id });
      return erased(system, id);
    },
  },
  {
    name: 'written-to-by-hand',
    async run(system) {
      const overrides = { gracePeriod: 'P14D', expiryPeriod: 'P30D' };
      const id = await system.createAccount({ id: 'written-to-by-hand', overrides });
      const handle = system.client.workflow.getHandle(workflowIdOf(system.store.region, id));
      await handle.signal('suspend', { reason: 'boredom' });
      await handle.signal('suspend', { reason: 'other' }, { actor: 'me' });
      await handle.signal('suspend', { reason: 'other' });
      await handle.signal('reopen', { note: 'not closed' });
      await until(system, id, (account) => account.seq === 5);
      return id;
    },
  },
];
