/**
 * What becomes of requests to processors, on record. Each step is one transaction and safe to repeat: what a request has
 * come to only ever moves on, and a receipt is added to the certificate once.
 */
import type { ClientSession } from 'mongoose';
import {
  addAddendum,
  requestStatuses,
  type ProcessorDocument,
  type ProcessorReceipt,
  type ProcessorRequestDocument,
  type RequestStatus,
  type Store,
} from '../data';
import { native } from '../database';
import { bySystem } from '../lifecycle';

const day = 24 * 60 * 60 * 1000;
/** A month, as the law has it: nobody may expect to be done later. */
const latestExpected = 30 * day;

const ended: ReadonlySet<RequestStatus> = new Set(['failed', 'cancelled', 'completed']);

/** Whether a request needs nothing more of us. */
export function isEnded(status: RequestStatus): boolean {
  return ended.has(status);
}

/** Something a processor was shown to have said. */
export interface ProcessorAnswer extends ProcessorReceipt {
  readonly expectedBy?: Date;
}

/**
 * Records what a processor said of a request. What brings it no further changes nothing, so a repeat does not. A last
 * word is added to the certificate, and the account's id is forgotten.
 *
 * @returns whether it was news
 */
export function recordAnswer(store: Store, processor: ProcessorDocument, id: string, answer: ProcessorAnswer) {
  const { expectedBy, ...receipt } = answer;
  return store.transaction(async (session): Promise<boolean> => {
    const request = await findRequest(store, id, session);
    if (request === null || rankOf(answer.status) <= rankOf(request.status)) return false;
    const isLast = isEnded(answer.status);
    const expected = expectedBy === undefined ? {} : { expectedBy: earlier(expectedBy, request.at) };
    await native(store.processorRequests).updateOne(
      { _id: id },
      {
        $set: { status: answer.status, ...expected, ...(isLast ? { endedAt: answer.at } : {}) },
        $push: { receipts: receipt },
        $unset: { lastError: '', ...(isLast ? { identity: '' } : {}) },
      },
      { session },
    );
    if (!isLast) return true;
    await addAddendum(store, session, request.certificate, {
      at: answer.at,
      kind: 'processor-receipt',
      content: {
        ...described(request, processor),
        ...receipt,
        ...(processor.certificate === undefined ? {} : { signedWith: processor.certificate }),
      },
    });
    await store.audit.append(session, {
      at: answer.at,
      actor: { type: 'system', id: processor._id },
      action: answer.status === 'completed' ? 'processor.confirmed' : 'processor.cancelled',
      ...subjectOf(request),
      details: { ...detailsOf(request), via: answer.via },
    });
    return true;
  });
}

/** Records that a processor expects to be done at another time than it said before. */
export async function recordExpectation(
  store: Store,
  request: ProcessorRequestDocument,
  expectedBy: Date,
): Promise<Date> {
  const expected = earlier(expectedBy, request.at);
  await native(store.processorRequests).updateOne(
    { _id: request._id, status: request.status },
    { $set: { expectedBy: expected }, $unset: { lastError: '' } },
  );
  return expected;
}

/** Records that a request is about to be sent: it may arrive even if no answer does. */
export async function recordAttempt(store: Store, id: string, at: Date): Promise<void> {
  await native(store.processorRequests).updateOne({ _id: id }, { $inc: { attempts: 1 }, $set: { lastSentAt: at } });
}

/** Records why an attempt came to nothing. */
export async function recordFailure(store: Store, id: string, reason: string): Promise<void> {
  await native(store.processorRequests).updateOne({ _id: id }, { $set: { lastError: reason } });
}

/**
 * Records that a processor has not answered for too long: audited once.
 *
 * @returns the request, where it is still unanswered
 */
export function recordEscalation(store: Store, id: string, at: Date): Promise<ProcessorRequestDocument | undefined> {
  return store.transaction(async (session) => {
    const request = await findRequest(store, id, session);
    if (request === null || isEnded(request.status)) return undefined;
    const first = request.escalatedAt === undefined;
    await native(store.processorRequests).updateOne(
      { _id: id },
      { $set: { alertedAt: at, ...(first ? { escalatedAt: at } : {}) } },
      { session },
    );
    if (first) await auditStep(store, session, request, 'processor.escalated', at);
    return request;
  });
}

/**
 * Records that a processor never confirmed, in the audit log and with the certificate, and forgets the account's id.
 *
 * @returns the request, where it had not ended before
 */
export function recordAbandonment(store: Store, id: string, at: Date): Promise<ProcessorRequestDocument | undefined> {
  return store.transaction(async (session) => {
    const request = await findRequest(store, id, session);
    if (request === null || isEnded(request.status)) return undefined;
    const processor = await findProcessor(store, request.processor, session);
    await native(store.processorRequests).updateOne(
      { _id: id },
      { $set: { status: 'failed', endedAt: at }, $unset: { identity: '' } },
      { session },
    );
    await addAddendum(store, session, request.certificate, {
      at,
      kind: 'processor-failure',
      content: { ...described(request, processor), at, status: 'failed', attempts: request.attempts },
    });
    await auditStep(store, session, request, 'processor.failed', at);
    return request;
  });
}

/** A request, or nothing. */
export function findRequest(
  store: Store,
  id: string,
  session?: ClientSession,
): Promise<ProcessorRequestDocument | null> {
  return native(store.processorRequests).findOne<ProcessorRequestDocument>(
    { _id: id },
    session === undefined ? {} : { session },
  );
}

/** A processor, removed or not. @throws {Error} there is none: requests only name those there are */
export async function findProcessor(store: Store, id: string, session?: ClientSession): Promise<ProcessorDocument> {
  const found = await native(store.processors).findOne<ProcessorDocument>(
    { _id: id },
    session === undefined ? {} : { session },
  );
  if (found === null) throw new Error(`there is no processor ${id}`);
  return found;
}

function rankOf(status: RequestStatus): number {
  return requestStatuses.indexOf(status);
}

function earlier(expectedBy: Date, at: Date): Date {
  return new Date(Math.min(expectedBy.getTime(), at.getTime() + latestExpected));
}

/** What a certificate says of a request, without naming its account. */
function described(request: ProcessorRequestDocument, { name, domain }: ProcessorDocument): Record<string, unknown> {
  return {
    request: request._id,
    processor: name,
    protocol: request.kind,
    ...(domain === undefined ? {} : { domain }),
    requestedAt: request.at,
  };
}

async function auditStep(
  store: Store,
  session: ClientSession,
  request: ProcessorRequestDocument,
  action: string,
  at: Date,
): Promise<void> {
  const details = { ...detailsOf(request), attempts: request.attempts };
  await store.audit.append(session, { at, actor: bySystem, action, ...subjectOf(request), details });
}

/** The account is named by its tombstone's id. */
function subjectOf({ subject }: ProcessorRequestDocument): { readonly account: string } {
  return { account: `~${subject}` };
}

function detailsOf({ _id, processor }: ProcessorRequestDocument) {
  return { request: _id, processor };
}
