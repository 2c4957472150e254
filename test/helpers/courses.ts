/** Representative courses, whose histories are kept to prove that later code still understands them. */
import { randomUUID } from 'node:crypto';
import { liteLlmCall } from '../../scripts/support/traffic';
import { ingest, type AccountDocument } from '../../src/data';
import { openGridFsArchives, requestExport } from '../../src/exports';
import {
  disclosuresWorkflowType,
  exportWorkflowId,
  exportWorkflowType,
  rotationWorkflowId,
  rotationWorkflowType,
  signingRotationWorkflowId,
  signingRotationWorkflowType,
  sweepWorkflowType,
  type DisclosuresInput,
  type RotationInput,
  type SigningRotationInput,
  type SweepInput,
} from '../../src/workflows';
import { storeInvoices } from './invoices';
import { workflowIdOf, type System } from './system';

export interface RecordedCourse {
  readonly name: string;
  /** Takes a workflow through it; answers with the workflow's id. */
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
  await system.client.workflow.getHandle(courseOf(system, id)).result();
  return courseOf(system, id);
}

function courseOf(system: System, id: string): string {
  return workflowIdOf(system.store.region, id);
}

/** An account with a few records, and an export of it that is ready. @returns the export's id */
async function exported(system: System, id: string): Promise<string> {
  const { store } = system;
  await system.createAccount({ id, overrides: { gracePeriod: 'P14D', expiryPeriod: 'P30D' } });
  await ingest(store, [liteLlmCall({ account: id, at: Date.now() - 1000 })], [['metadata', 'user_api_key_org_id']]);
  const exportId = `exp_${randomUUID()}`;
  const at = await store.databaseTime();
  const request = { id: exportId, account: id, requestedBy: 'recorder', at, to: at };
  await store.transaction((session) => requestExport(store, session, openGridFsArchives(store), request));
  await system.jobs.start({
    type: exportWorkflowType,
    id: exportWorkflowId(store.region, id, exportId),
    input: { exportId },
    summary: 'recorded',
  });
  const exports = store.connection.collection<{ _id: string; status: string }>('exports');
  for (const started = performance.now(); ;) {
    const found = await exports.findOne({ _id: exportId });
    if (found?.status === 'ready') return exportId;
    if (performance.now() - started > 20_000) throw new Error(`the export is still ${found?.status ?? 'away'}`);
    await system.sleep(50);
  }
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
      return courseOf(system, id);
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
      return courseOf(system, id);
    },
  },
  {
    name: 'held-in-part-and-erased',
    async run(system) {
      const id = await system.createAccount({ id: 'held-in-part-and-erased' });
      const { hold } = await system.send(id, 'placeHold', { reason: 'lawsuit', datasets: ['prompts'] });
      await system.send(id, 'close');
      await until(system, id, (account) => account.lifecycle.spared !== undefined);
      await system.send(id, 'releaseHold', { holdId: hold?.id });
      return erased(system, id);
    },
  },
  {
    name: 'exported-and-closed',
    async run(system) {
      await exported(system, 'exported-and-closed');
      await system.send('exported-and-closed', 'close');
      await system.sleep(500);
      return courseOf(system, 'exported-and-closed');
    },
  },
  {
    name: 'export-withdrawn',
    async run(system) {
      const exportId = await exported(system, 'export-withdrawn');
      await system.send('export-withdrawn', 'suspend', { reason: 'other' });
      const workflow = exportWorkflowId(system.store.region, 'export-withdrawn', exportId);
      await system.client.workflow.getHandle(workflow).result();
      return workflow;
    },
  },
  {
    name: 'sealed-and-erased',
    async run(system) {
      const id = await system.createAccount({ id: 'sealed-and-erased' });
      await storeInvoices(system.store, id, ['2026-05-03']);
      await system.send(id, 'close');
      return erased(system, id);
    },
  },
  {
    name: 'retained-until-its-date',
    async run(system) {
      const id = await system.createAccount({ id: 'retained-until-its-date' });
      // One whose date has long passed goes at once, the other one waits.
      await storeInvoices(system.store, id, ['2001-05-03', '2026-05-03']);
      await system.send(id, 'close');
      await erased(system, id);
      await until(system, id, (account) => account.certificateIds?.length === 2);
      await system.sleep(500);
      return `retained/${system.store.region}/${system.store.vault.pseudonymOf(id)}`;
    },
  },
  {
    name: 'swept',
    async run(system) {
      const workflowId = `sweep/${system.store.region}/recorded`;
      const input: SweepInput = { region: system.store.region };
      await system.client.workflow.execute(sweepWorkflowType, {
        workflowId,
        taskQueue: system.taskQueue,
        args: [input],
      });
      return workflowId;
    },
  },
  {
    name: 'disclosures-watched',
    async run(system) {
      const { region } = system.store;
      const workflowId = `disclosures/${region}/recorded`;
      const input: DisclosuresInput = { region };
      await system.client.workflow.execute(disclosuresWorkflowType, {
        workflowId,
        taskQueue: system.taskQueue,
        args: [input],
      });
      return workflowId;
    },
  },
  {
    name: 'keys-rotated',
    async run(system) {
      const { region, vault } = system.store;
      const workflowId = `${rotationWorkflowId(region)}/recorded`;
      const input: RotationInput = { region, to: vault.master.id };
      await system.client.workflow.execute(rotationWorkflowType, {
        workflowId,
        taskQueue: system.taskQueue,
        args: [input],
      });
      return workflowId;
    },
  },
  {
    name: 'signing-key-replaced',
    async run(system) {
      const { region } = system.store;
      const workflowId = `${signingRotationWorkflowId(region)}/recorded`;
      const input: SigningRotationInput = { region };
      await system.client.workflow.execute(signingRotationWorkflowType, {
        workflowId,
        taskQueue: system.taskQueue,
        args: [input],
      });
      return workflowId;
    },
  },
];
