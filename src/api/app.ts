/** The API as an Express application. It listens nowhere: whoever serves it decides where, and with which timeouts. */
import { randomUUID } from 'node:crypto';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import type { Logger } from 'pino';
import { createAddressLists, registerAddressLists } from '../access';
import { proxiesAt } from './address';
import { arrival } from './arrival';
import { whileClosed } from './closed';
import type { ApiDependencies } from './dependencies';
import { problemOf } from './failures';
import { registerIdempotency } from './idempotency';
import { protectiveHeaders } from './headers';
import { requestLimits } from './limits';
import { handlerOf } from './pipeline';
import { notFound, Problem, problemCatalogue } from './problems';
import { refusedWith } from './on-record/refused';
import { sendProblem, type Reply } from './reply';
import type { Incoming, Route } from './route';
import { allRoutes } from './routes';
import { createSettingsCache } from './settings-cache';
import { allowWebUi } from './web-ui';
import { recordUses } from './on-record/uses';
import type { Workshop } from './workshop';

/** Everything the API answers: what is declared of each call. */
export function routesOf(dependencies: ApiDependencies): Route[] {
  return allRoutes(workshopOf(dependencies));
}

/** Creates the API. */
export function createApp(dependencies: ApiDependencies): Express {
  const workshop = workshopOf(dependencies);
  const { connection, vault } = workshop.store;
  const idempotency = { model: registerIdempotency(connection), vault };
  const routes = allRoutes(workshop);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', proxiesAt(dependencies.trustedProxies ?? []));
  app.use(beginning(workshop.log) as RequestHandler);
  app.use(protectiveHeaders());
  app.use(arrival(workshop) as RequestHandler);
  app.use('/codec', allowWebUi(workshop.webUiOrigins ?? []) as RequestHandler);
  app.use(whileClosed(workshop) as RequestHandler);
  const refuseOthers = ([path, allow]: readonly [string, string]): void => {
    app.all(path, (request, response) => {
      workshop.limits.countAddress(request as Incoming, response as Reply);
      throw new Problem('method-not-allowed', undefined, {}, { Allow: allow });
    });
  };
  const methods = methodsByPath(routes);
  routes.forEach((route, index) => {
    app[route.method](route.path, handlerOf(route, workshop, idempotency) as unknown as RequestHandler);
    const isLast = !routes.slice(index + 1).some(({ path }) => path === route.path);
    // A path without parameters comes first, and would otherwise be taken for `/:id` of the ones after it.
    if (isLast && !route.path.includes(':')) refuseOthers([route.path, methods.get(route.path) ?? '']);
  });
  for (const entry of methods) if (entry[0].includes(':')) refuseOthers(entry);
  app.use((request, response) => {
    workshop.limits.countAddress(request as Incoming, response as Reply);
    throw notFound('there is no such path');
  });
  app.use(failing(workshop));
  return app;
}

function workshopOf(dependencies: ApiDependencies): Workshop {
  const { store, settings, feed } = dependencies;
  const { connection, vault } = store;
  return {
    ...dependencies,
    defaults: createSettingsCache(store, settings),
    addresses: createAddressLists({ model: registerAddressLists(connection), vault, feed }),
    uses: recordUses(dependencies),
    limits: requestLimits(dependencies.limits, dependencies.clock),
  };
}

function methodsByPath(routes: readonly Route[]): Map<string, string> {
  const paths = new Map<string, string[]>();
  for (const { path, method } of routes) {
    const more = method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()];
    paths.set(path, [...(paths.get(path) ?? []), ...more]);
  }
  return new Map([...paths].map(([path, methods]) => [path, methods.join(', ')]));
}

const requestIdPattern = /^[A-Za-z0-9._:-]{1,128}$/;
/** From when on a request counts as slow, in milliseconds. */
const slow = 1000;

/** What every request begins with: an id, the headers all answers carry, and a line in the log where there is something to say. */
function beginning(log: Logger) {
  return (request: Incoming, response: Reply, next: () => void): void => {
    const given = request.headers['x-request-id'];
    const requestId = typeof given === 'string' && requestIdPattern.test(given) ? given : randomUUID();
    response.locals.requestId = requestId;
    response.locals.started = performance.now();
    response.setHeader('X-Request-Id', requestId);
    response.setHeader('Cache-Control', 'no-store');
    response.on('finish', () => logFinished(log, request, response));
    next();
  };
}

/** Successful quick reads go unlogged: there are thousands a second, and they say nothing. */
function logFinished(log: Logger, request: Incoming, response: Reply): void {
  const { statusCode: status, locals } = response;
  const milliseconds = performance.now() - locals.started;
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (isRead && status < 500 && milliseconds < slow && locals.streamed !== true) return;
  // The declared path, not the one asked for: queries and ids that are none may hold what no log should.
  const { requestId, route, actor, failure } = locals;
  const line = { requestId, method: request.method, route, status, ms: Math.round(milliseconds), actor };
  const away = status === problemCatalogue.unavailable.status || status === problemCatalogue['outcome-unknown'].status;
  if (failure !== undefined && !away) log.error({ ...line, err: failure }, 'a request broke something');
  else if (status >= 500) log.warn({ ...line, cause: causeOf(failure) }, 'a request could not be served');
  else if (milliseconds >= slow && locals.streamed !== true) log.warn(line, 'a request was slow');
  else log.info(line, 'served');
}

/** An error and what lies behind it, in a line: while something is away there are many, and their stacks say nothing. */
function causeOf(failure: unknown): string | undefined {
  if (!(failure instanceof Error)) return undefined;
  const behind = failure.cause instanceof Error ? ` (${failure.cause.name}: ${failure.cause.message})` : '';
  return `${failure.name}: ${failure.message}${behind}`.slice(0, 500);
}

/** The one place where requests end that something went wrong with, and where refusals are put on record. */
function failing({ refusals, limits }: Workshop): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return async (error: unknown, request, response, _next) => {
    const reply = response as Reply;
    const problem = problemOf(error, { sent: false, writing: false, abandoned: false });
    if (problem.status >= 500) reply.locals.failure ??= error;
    const refused = refusedWith(problem, request as Incoming, reply);
    if (refused !== undefined) {
      limits.countAttempt(refused.reason, request as Incoming);
      await refusals.enter(refused);
    }
    if (reply.headersSent) {
      reply.destroy();
      return;
    }
    sendProblem(reply, problem);
  };
}
