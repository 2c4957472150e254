/** Downstream processors: who is told of erasures, what they were told, and where they answer. */
import { randomBytes } from 'node:crypto';
import type { ClientSession } from 'mongoose';
import { z } from 'zod';
import { permissions } from '../../access';
import { activeProcessorNames, type Opened, type ProcessorDocument, type ProcessorRequestDocument } from '../../data';
import { native } from '../../database';
import {
  CertificateRefusedError,
  findRequest,
  NotAuthenticError,
  prepareProcessor,
  protectProcessor,
  ProcessorAnswerError,
  PublicUrlMissingError,
  receiveCallback,
  TargetRefusedError,
  type ProcessorSettings,
} from '../../processors';
import { answeredSignal, processorWorkflowId } from '../../workflows';
import { newProcessorShape, processorRequestShape, processorShape } from '../answers/administration';
import { answers, nothing, pageOf as pageShapeOf } from '../answers/words';
import { pageOf, positionIn } from '../cursors';
import { pageById } from '../pages';
import { invalid, notFound, Problem } from '../problems';
import { route, type Call, type Route, type SignedBody } from '../route';
import {
  callbackParamsSchema,
  newProcessorSchema,
  noQuerySchema,
  pageSchema,
  processorParamsSchema,
  signedSchema,
} from '../schemas';
import type { Workshop } from '../workshop';
import { write } from '../writes';

type NewProcessor = z.output<typeof newProcessorSchema>;
const listName = 'processors';
/** Each is told of every erasure, in the transaction that concludes it. */
const mostProcessors = 100;
/**
 * What every registration writes, so that no two at one moment take one name: a unique index will not do, as the embedded
 * database does not let go of a name that was in one.
 */
const registrations = '/processors';
const withoutCallbacks: ProcessorSettings = { allowPrivate: false };

export function processorRoutes(workshop: Workshop): Route[] {
  const { store, clock, jobs, region, log, processors: settings = withoutCallbacks } = workshop;
  const processors = native(store.processors);
  const requests = native(store.processorRequests);

  return [
    route({
      method: 'get',
      path: '/v1/processors',
      roles: permissions.readProcessors,
      summary: 'Lists the processors that are told of erasures, removed ones included, without what opens anything.',
      answers: answers(pageShapeOf(processorShape), 'A page of processors, by id'),
      query: pageSchema,
      async handle({ query }) {
        const page = await pageById(processors, listName, query);
        return { status: 200, body: { ...page, items: page.items.map(processorFor) } };
      },
    }),
    route({
      method: 'post',
      path: '/v1/processors',
      roles: permissions.manageProcessors,
      stepUp: 'settings',
      summary:
        'Registers a processor: from now on it is told of every erasure. A secret that is made is shown this once.',
      answers: { 201: { description: 'The processor', schema: newProcessorShape } },
      query: noQuerySchema,
      body: newProcessorSchema,
      handle: register,
    }),
    route({
      method: 'get',
      path: '/v1/processors/:id',
      roles: permissions.readProcessors,
      summary: 'A processor.',
      answers: answers(processorShape, 'The processor'),
      params: processorParamsSchema,
      query: noQuerySchema,
      async handle({ params }) {
        return { status: 200, body: processorFor(await find(params.id)) };
      },
    }),
    route({
      method: 'delete',
      path: '/v1/processors/:id',
      roles: permissions.manageProcessors,
      stepUp: 'settings',
      summary: 'Removes a processor: it is told of no further erasure, and still answers for those before.',
      answers: nothing('It is removed'),
      params: processorParamsSchema,
      query: noQuerySchema,
      handle: (call) =>
        write(workshop, call, async (session) => {
          const found = await find(call.params.id, session);
          if (found.removedAt !== undefined) return { answer: { status: 204 } };
          await processors.updateOne({ _id: found._id }, { $set: { removedAt: clock() } }, { session });
          return { answer: { status: 204 }, entry: { action: 'processor.removed', details: detailsOf(found) } };
        }),
    }),
    route({
      method: 'get',
      path: '/v1/processors/:id/requests',
      roles: permissions.readProcessors,
      summary: 'What a processor was told to erase, and what it answered, newest first.',
      answers: answers(pageShapeOf(processorRequestShape), 'A page of requests'),
      params: processorParamsSchema,
      query: pageSchema,
      async handle({ params, query }) {
        const processor = await find(params.id);
        const list = `${listName}/${processor._id}`;
        const after = positionIn(list, query.cursor, z.tuple([z.number(), z.string()]));
        const older =
          after === undefined
            ? {}
            : { $or: [{ at: { $lt: new Date(after[0]) } }, { at: new Date(after[0]), _id: { $lt: after[1] } }] };
        const found = await requests
          .find<ProcessorRequestDocument>({ processor: processor._id, ...older })
          .sort({ at: -1, _id: -1 })
          .limit(query.limit + 1)
          .toArray();
        return {
          status: 200,
          body: pageOf(found, query.limit, list, ({ at, _id }) => [at.getTime(), _id], requestFor),
        };
      },
    }),
    route({
      method: 'post',
      path: '/v1/processors/callbacks/:requestId',
      roles: 'public',
      summary: 'Where processors say how far they are, with their signature.',
      operation: 'receiveProcessorCallback',
      answers: { 202: { description: 'It is taken in' } },
      problems: ['unauthenticated'],
      params: callbackParamsSchema,
      signed: true,
      body: signedSchema,
      idempotent: false,
      handle: callback,
    }),
  ];

  async function find(id: string, session?: ClientSession): Promise<ProcessorDocument> {
    const found = await processors.findOne<ProcessorDocument>({ _id: id }, session === undefined ? {} : { session });
    if (found === null) throw notFound('there is no such processor');
    return found;
  }

  async function register(call: Call<unknown, unknown, NewProcessor>) {
    const { name, kind } = call.body;
    const prepared = await prepareProcessor(call.body, settings, clock()).catch((error: unknown) => {
      throw refusalOf(error);
    });
    const document: Opened<ProcessorDocument> = {
      _id: `proc_${randomBytes(12).toString('hex')}`,
      name,
      kind,
      ...prepared,
      createdAt: clock(),
      createdBy: call.principal.actor.id,
    };
    const stored = await protectProcessor(store, document);
    return write(workshop, call, async (session) => {
      await store.connection
        .collection<{ _id: string; passes: number }>('settings')
        .updateOne({ _id: registrations }, { $inc: { passes: 1 } }, { upsert: true, session });
      const names = await activeProcessorNames(store, session);
      if (names.includes(name)) throw new Problem('conflict', 'there is a processor of this name');
      if (names.length >= mostProcessors)
        throw new Problem('conflict', `there are ${mostProcessors} processors already`);
      await processors.insertOne(stored, { session });
      const shown = processorFor(stored);
      const { secret } = document;
      const made = secret === undefined || secret === call.body.secret ? {} : { secret };
      return {
        answer: { status: 201, body: { ...shown, ...made }, replay: shown },
        entry: { action: 'processor.registered', details: { ...detailsOf(stored), url: stored.url } },
      };
    });
  }

  async function callback({ params, body, requestId }: Call<{ requestId: string }, unknown, SignedBody>) {
    const id = params.requestId;
    let isNews: boolean | undefined;
    try {
      isNews = await receiveCallback({ store, settings }, id, body, clock());
    } catch (error) {
      if (error instanceof NotAuthenticError || error instanceof ProcessorAnswerError) {
        await auditRefusal(id, error.message, requestId);
        if (error instanceof ProcessorAnswerError) throw invalid([{ path: '', detail: error.message }]);
        throw unsigned();
      }
      throw error;
    }
    // Whether there is such a request is nobody's business but its processor's.
    if (isNews === undefined) throw unsigned();
    if (isNews) tellWorkflow(id);
    return { status: 202 };
  }

  /** It is recorded: should the workflow not hear of it, it finds it by itself. */
  function tellWorkflow(request: string): void {
    jobs.signal(processorWorkflowId({ region, request }), answeredSignal.name).catch((error: unknown) => {
      log.warn({ err: error }, 'the workflow of a request to a processor was not told of an answer');
    });
  }

  /** R19. Only what is aimed at a request there is: its id cannot be guessed, so nobody else can fill the log. */
  async function auditRefusal(id: string, reason: string, requestId: string): Promise<void> {
    await store.transaction(async (session) => {
      const request = await findRequest(store, id, session);
      if (request === null) return;
      await store.audit.append(session, {
        at: clock(),
        actor: { type: 'system', id: 'public' },
        action: 'processor.callback-refused',
        account: `~${request.subject}`,
        details: { request: id, processor: request.processor, reason },
        requestId,
      });
    });
  }
}

function unsigned(): Problem {
  return new Problem('unauthenticated', 'the callback does not carry the signature it has to');
}

/** What an administrator is told of a processor that cannot be registered. */
function refusalOf(error: unknown): unknown {
  if (error instanceof TargetRefusedError) return invalid([{ path: 'url', detail: error.message }]);
  if (error instanceof CertificateRefusedError) return invalid([{ path: 'certificate', detail: error.message }]);
  if (error instanceof ProcessorAnswerError) {
    return invalid([{ path: 'url', detail: `its certificate cannot be discovered: ${error.message}` }]);
  }
  return error instanceof PublicUrlMissingError ? new Problem('conflict', error.message) : error;
}

function detailsOf({ _id, name, kind }: ProcessorDocument) {
  return { processor: _id, name, kind };
}

function processorFor({
  _id,
  name,
  kind,
  url,
  domain,
  certificate,
  createdAt,
  createdBy,
  removedAt,
}: ProcessorDocument) {
  return {
    id: _id,
    name,
    kind,
    url,
    ...(domain === undefined ? {} : { domain }),
    ...(certificate === undefined ? {} : { certificate }),
    createdAt: createdAt.toISOString(),
    createdBy,
    ...(removedAt === undefined ? {} : { removedAt: removedAt.toISOString() }),
  };
}

function requestFor(request: ProcessorRequestDocument) {
  const { _id, subject, certificate, status, at, attempts, lastError, receipts } = request;
  const { lastSentAt, expectedBy, escalatedAt, endedAt } = request;
  const times = Object.entries({ lastSentAt, expectedBy, escalatedAt, endedAt }).flatMap(([name, time]) =>
    time === undefined ? [] : [[name, time.toISOString()] as const],
  );
  return {
    id: _id,
    account: `~${subject}`,
    certificate,
    status,
    at: at.toISOString(),
    attempts,
    ...(lastError === undefined ? {} : { lastError }),
    ...Object.fromEntries(times),
    receipts: receipts.map((receipt) => ({ ...receipt, at: receipt.at.toISOString() })),
  };
}
