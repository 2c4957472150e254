/** An erasure that was concluded, and its processors' requests, without the life that leads there. */
import { randomBytes } from 'node:crypto';
import { createProcessorRequests, type ProcessorRequestDocument, type Store } from '../../src/data';
import type { Jobs } from '../../src/temporal';
import { processorSummary, processorWorkflowId, processorWorkflowType } from '../../src/workflows';

export interface Told {
  readonly account: string;
  readonly certificate: string;
  readonly requests: readonly string[];
}

/** Concludes an erasure as far as processors are concerned. */
export async function concludeFor(store: Store, at: Date): Promise<Told> {
  const account = `acct-${randomBytes(6).toString('hex')}`;
  const certificate = `cert_${randomBytes(12).toString('hex')}`;
  await store.certificates.collection.insertOne({
    _id: certificate as never,
    kind: 'erasure',
    subject: randomBytes(8).toString('hex'),
    issuedAt: at,
    content: {},
    addenda: [],
  });
  const told = await store.transaction((session) =>
    createProcessorRequests(store, session, { account, certificate, at }),
  );
  return { account, certificate, requests: told.map(({ request }) => request) };
}

/** Starts the workflow that sees to a request. */
export async function seeTo(jobs: Jobs, region: string, request: string): Promise<string> {
  const input = { region, request };
  const id = processorWorkflowId(input);
  await jobs.start({ type: processorWorkflowType, id, input, summary: processorSummary(input) });
  return id;
}

export async function requestOf(store: Store, id: string): Promise<ProcessorRequestDocument> {
  const found = await store.processorRequests.findById(id).lean<ProcessorRequestDocument>().exec();
  if (found === null) throw new Error(`there is no request ${id}`);
  return found;
}

/** What was added to a certificate: of each addendum its kind and content. */
export async function addendaOf(store: Store, certificate: string): Promise<Record<string, unknown>[]> {
  const found = await store.certificates.findById(certificate).lean().exec();
  return (found?.addenda ?? []).map(({ kind, content }) => ({ kind, ...content }));
}

/** The actions of the audit entries about a request, oldest first. */
export async function actionsAbout(store: Store, request: string): Promise<string[]> {
  const entries = await store.audit.entries.find({ 'details.request': request }).sort({ at: 1 }).lean().exec();
  return entries.map(({ action }) => action);
}
