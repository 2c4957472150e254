/** Whom an erasure has to be told to. How they are told is `src/processors`; erasure never waits for it. */
import { randomUUID } from 'node:crypto';
import type { ClientSession } from 'mongoose';
import { native } from '../database';
import type { ProcessorDocument, ProcessorRequestDocument } from './processor-models';
import { protect } from './protect';
import type { Store } from './store';

const active = { removedAt: { $exists: false } } as const;

/** The names of those who are told of erasures, in order. */
export async function activeProcessorNames(store: Store, session?: ClientSession): Promise<string[]> {
  const found = await native(store.processors)
    .find<Pick<ProcessorDocument, 'name'>>(active, {
      projection: { name: 1 },
      ...(session === undefined ? {} : { session }),
    })
    .toArray();
  return found.map(({ name }) => name).sort();
}

/** A request that was written down, and the name of whom it is for. */
export interface TellingRequest {
  readonly request: string;
  readonly processor: string;
}

/** An erasure that processors have to be told of. */
export interface ErasureToTell {
  readonly account: string;
  /** The id of its certificate, to which their receipts will be added. */
  readonly certificate: string;
  readonly at: Date;
}

/**
 * Writes down, in the transaction that concludes an erasure, whom to tell of it: one request for each active processor.
 * Each holds the account's id, encrypted, until it is answered.
 *
 * @returns the requests, each with the name of its processor; a `processorWorkflow` sees to each
 */
export async function createProcessorRequests(
  store: Store,
  session: ClientSession,
  { account, certificate, at }: ErasureToTell,
): Promise<TellingRequest[]> {
  const processors = await native(store.processors)
    .find<Pick<ProcessorDocument, '_id' | 'kind' | 'name'>>(active, {
      projection: { kind: 1, name: 1 },
      sort: { _id: 1 },
      session,
    })
    .toArray();
  if (processors.length === 0) return [];
  const subject = store.vault.pseudonymOf(account);
  const secrets = await store.vault.systemCipher('secrets');
  const requests = processors.map(({ _id: processor, kind }) =>
    protect<ProcessorRequestDocument>(secrets, 'processorRequests', {
      _id: randomUUID(),
      subject,
      identity: account,
      certificate,
      processor,
      kind,
      status: 'open',
      at,
      attempts: 0,
      receipts: [],
    }),
  );
  await native(store.processorRequests).insertMany(requests, { session });
  return requests.map(({ _id }, index) => ({ request: _id, processor: processors[index]?.name ?? '' }));
}

/** The ids of the requests of an erasure, in no order: for a conclusion that was recorded and is repeated. */
export async function processorRequestsOf(store: Store, certificate: string): Promise<string[]> {
  const found = await native(store.processorRequests)
    .find({ certificate }, { projection: { _id: 1 } })
    .toArray();
  return found.map(({ _id }) => _id);
}
