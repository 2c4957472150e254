/** Signing in: the providers, the way to them and back, and the page to begin from (R26). */
import { z } from 'zod';
import { isOwnPath, SignInError, standardReturn, type IdentityProvider } from '../../sso';
import { dropCookie, pendingCookie } from '../sign-in/cookies';
import { notFound } from '../problems';
import { route, type Answer, type Call, type Route } from '../route';
import { noQuerySchema } from '../schemas';
import { admit, beginSignIn, deskOf, pendingOf, type Desk } from '../sign-in/sign-in';
import { failedPage, languageOf, signInPage, wantsPage } from '../sign-in/pages';
import { problemOfFault } from '../sign-in/problems';
import { languages } from '../sign-in/texts';
import type { Workshop } from '../workshop';
import { ownPageFor } from './auth-sessions';

const providerParamsSchema = z.strictObject({ provider: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/) });
const loginQuerySchema = z.strictObject({
  returnTo: z.string().refine(isOwnPath, 'must be a path of this deployment, such as /auth').optional(),
  fresh: z.enum(['0', '1']).default('0'),
});
/** Providers add what they like. */
const callbackQuerySchema = z.record(z.string(), z.union([z.string(), z.array(z.string())]));
const pageQuerySchema = z.object({ lang: z.enum(languages).optional(), state: z.string().optional() });
const providersShape = z.object({
  items: z.array(z.object({ id: z.string(), name: z.string(), kind: z.string() })),
});

const redirected = { 303: { description: 'The way there.' } };
const html = { 200: { description: 'The page.', type: 'text/html' } };

export function authRoutes(workshop: Workshop): Route[] {
  const { signIn, log } = workshop;

  function providerOf({ provider: id }: { readonly provider: string }): IdentityProvider {
    const found = signIn?.providers.find((one) => one.id === id);
    if (found === undefined) throw notFound('there is no such identity provider');
    return found;
  }

  /** What somebody is told who was not signed in: on a page where they look at one, and on record in either case. */
  function failure(desk: Desk, call: Call, provider: IdentityProvider, error: unknown, state?: string): Error {
    if (!(error instanceof SignInError)) return error instanceof Error ? error : new Error('unknown failure');
    const { fault, cause } = error;
    log.warn({ provider: provider.id, fault, err: cause, requestId: call.requestId }, 'nobody was signed in');
    const cookie = state === undefined ? undefined : dropCookie(desk.site, pendingCookie(desk.site, state));
    const actor = error.user === undefined ? undefined : ({ type: 'user', id: error.user } as const);
    const problem = problemOfFault(error, cookie === undefined ? {} : { 'Set-Cookie': cookie }, actor);
    if (!wantsPage(call.headers)) return problem;
    const options = { language: languageOf(call.headers), providers: desk.signIn.providers };
    return problem.shownAs(failedPage(options, fault, call.requestId, provider.id));
  }

  return [
    route({
      method: 'get',
      path: '/auth/providers',
      roles: 'public',
      summary: 'Lists the identity providers people sign in with.',
      query: noQuerySchema,
      answers: {
        200: { description: 'The providers, in the order they are to be offered in.', schema: providersShape },
      },
      handle() {
        const items = (signIn?.providers ?? []).map(({ id, name, kind }) => ({ id, name, kind }));
        return Promise.resolve({ status: 200, body: { items } });
      },
    }),
    route({
      method: 'get',
      path: '/auth/:provider/login',
      published: false,
      roles: 'public',
      session: true,
      bounded: false,
      summary: 'Sends somebody to an identity provider to sign in; with `fresh=1` to prove anew who they are.',
      params: providerParamsSchema,
      query: loginQuerySchema,
      answers: redirected,
      async handle(call) {
        const provider = providerOf(call.params);
        const desk = deskOf(workshop, call);
        const { returnTo = standardReturn, fresh } = call.query;
        try {
          return await beginSignIn(desk, call, provider, { returnTo, fresh: fresh === '1' });
        } catch (error) {
          throw failure(desk, call, provider, error);
        }
      },
    }),
    route({
      method: 'get',
      path: '/auth/:provider/callback',
      published: false,
      roles: 'public',
      session: true,
      bounded: false,
      summary: 'Where an identity provider sends people back to: signs them in, and sends them on.',
      params: providerParamsSchema,
      query: callbackQuerySchema,
      answers: redirected,
      async handle(call) {
        const provider = providerOf(call.params);
        const desk = deskOf(workshop, call);
        const parameters = parametersOf(call.query);
        const state = parameters.get('state') ?? '';
        try {
          const pending = await pendingOf(desk, call, provider, state);
          const { redirectUri, fresh, begunAt } = pending;
          const options = { redirectUri, ...(fresh ? { freshSince: begunAt } : {}) };
          const person = await provider.finish(parameters, pending, options);
          const answer = await admit(desk, call, provider, pending, person);
          return { ...answer, cookies: [...answer.cookies, dropCookie(desk.site, pendingCookie(desk.site, state))] };
        } catch (error) {
          throw failure(desk, call, provider, error, state);
        }
      },
    }),
    route({
      method: 'get',
      path: '/auth',
      published: false,
      roles: 'public',
      session: true,
      summary: 'A page to sign in from; for whoever is signed in, who they are and where.',
      query: pageQuerySchema,
      answers: html,
      handle: show,
    }),
  ];

  async function show(call: Call<unknown, z.output<typeof pageQuerySchema>>): Promise<Answer> {
    const { lang, state } = call.query;
    const options = { language: languageOf(call.headers, lang), providers: signIn?.providers ?? [] };
    const own = call.principal.shown.by === 'session' ? await ownPageFor(workshop, call, options) : undefined;
    // A provider sends people back with the state it was given when they signed out there.
    return own ?? signInPage(options, { signedOut: state !== undefined });
  }
}

/** What came back, name by name; one that came twice stays so, and is refused by whoever reads it. */
function parametersOf(query: z.output<typeof callbackQuerySchema>): URLSearchParams {
  return new URLSearchParams(
    Object.entries(query).flatMap(([name, value]) => [value].flat().map((one): [string, string] => [name, one])),
  );
}
