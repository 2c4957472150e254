/** The register of providers and their disclosures (R24): for administrators and auditors, and what of it customers may know. */
import type { ClientSession } from 'mongoose';
import { z } from 'zod';
import { permissions } from '../../access';
import {
  addProviders,
  allProviders,
  contentPolicy,
  draftsOf,
  findProvider,
  formerProviders,
  historyOf,
  languageFor,
  listProviders,
  ProviderChangedError,
  ProviderExistsError,
  ProviderMissingError,
  publicPage,
  publicPart,
  RegisterFullError,
  removeProvider,
  replaceProvider,
  reportPage,
  starters,
  startersElsewhere,
  statusOf,
  type Language,
  type Provider,
  type PublicProvider,
} from '../../disclosures';
import type { Flaw } from '../../lifecycle';
import { pageOf, positionIn } from '../cursors';
import { invalid, notFound, Problem } from '../problems';
import {
  madeProviders,
  providerPageQuerySchema,
  providerParamsSchema,
  providerSchema,
  providersQuerySchema,
  publicProviders,
  shownProvider,
  shownProviders,
  shownStarters,
  startersSchema,
} from '../provider-schemas';
import { route, type Answer, type Call, type Route } from '../route';
import { noQuerySchema } from '../schemas';
import type { Workshop } from '../workshop';
import { write } from '../writes';

type Entry = z.output<typeof providerSchema>;
type Starting = z.output<typeof startersSchema>;
type Id = z.output<typeof providerParamsSchema>;
type PageQuery = z.output<typeof providerPageQuerySchema>;

const listName = 'providers';
const publicListName = 'providers/public';
const page = { description: 'A page for people, in English or German.', type: 'text/html' } as const;
const entryAnswer = { description: 'The entry, with its status.', schema: shownProvider, headers: ['ETag'] } as const;

export function providerRoutes(workshop: Workshop): Route[] {
  const { store, clock, region } = workshop;
  return [
    route({
      method: 'get',
      path: '/providers',
      roles: 'public',
      summary: 'Shows customers who stores and processes data, as a page.',
      query: providerPageQuerySchema,
      answers: { 200: page },
      async handle(call) {
        const now = clock();
        const language = languageOf(call);
        const providers = (await allProviders(store)).map((provider) => publicPart(provider, now));
        return pageAnswer(publicPage(providers, { language, region, now }), language);
      },
    }),
    route({
      method: 'get',
      path: '/v1/providers/public',
      roles: 'public',
      summary: 'Lists what customers may know of who stores and processes data.',
      query: providersQuerySchema,
      answers: { 200: { description: 'A page of providers.', schema: publicProviders } },
      async handle({ query }) {
        const after = positionIn(publicListName, query.cursor, z.tuple([z.string()]));
        const found = await listProviders(store, query.limit + 1, after?.[0]);
        const now = clock();
        const body = pageOf(
          found,
          query.limit,
          publicListName,
          ({ _id }) => [_id],
          (provider) => publicFor(publicPart(provider, now)),
        );
        return { status: 200, body };
      },
    }),
    route({
      method: 'get',
      path: '/v1/providers/report',
      roles: permissions.readProviders,
      summary: 'Shows auditors everything on record of the providers, with its history, as a page to print.',
      query: providerPageQuerySchema,
      bounded: false,
      answers: { 200: page },
      async handle(call) {
        const language = languageOf(call);
        const [present, former] = await Promise.all([allProviders(store), formerProviders(store)]);
        const report = { present: await withHistory(present), former: await withHistory(former) };
        return pageAnswer(reportPage(report, { language, region, now: clock() }), language);
      },
    }),
    route({
      method: 'get',
      path: '/v1/providers/starters',
      roles: permissions.readProviders,
      summary: 'Lists the usual clouds and database hosts that drafts can be made of.',
      query: noQuerySchema,
      answers: { 200: { description: 'What there is to begin with.', schema: shownStarters } },
      handle: () => Promise.resolve({ status: 200, body: { items: starters } }),
    }),
    route({
      method: 'post',
      path: '/v1/providers/starters',
      roles: permissions.manageProviders,
      stepUp: 'settings',
      summary: 'Enters drafts of usual clouds and database hosts, to be checked, their disclosures missing.',
      operation: 'enterProviderStarters',
      query: noQuerySchema,
      body: startersSchema,
      answers: { 201: { description: 'The drafts.', schema: madeProviders } },
      handle: start,
    }),
    route({
      method: 'get',
      path: '/v1/providers',
      roles: permissions.readProviders,
      summary: 'Lists the providers that store or process records, with how their disclosures stand.',
      query: providersQuerySchema,
      answers: { 200: { description: 'A page of entries.', schema: shownProviders } },
      async handle({ query }) {
        const after = positionIn(listName, query.cursor, z.tuple([z.string()]));
        const found = await listProviders(store, query.limit + 1, after?.[0]);
        return { status: 200, body: pageOf(found, query.limit, listName, ({ _id }) => [_id], providerFor) };
      },
    }),
    route({
      method: 'post',
      path: '/v1/providers',
      roles: permissions.manageProviders,
      stepUp: 'settings',
      summary: 'Enters a provider.',
      query: noQuerySchema,
      body: providerSchema,
      answers: { 201: entryAnswer },
      handle: create,
    }),
    route({
      method: 'get',
      path: '/v1/providers/:id',
      roles: permissions.readProviders,
      summary: 'A provider.',
      params: providerParamsSchema,
      query: noQuerySchema,
      answers: { 200: entryAnswer },
      async handle({ params }) {
        return entryAnswerOf(200, await findProvider(store, params.id).catch(refuse));
      },
    }),
    route({
      method: 'put',
      path: '/v1/providers/:id',
      roles: permissions.manageProviders,
      stepUp: 'settings',
      summary: 'Replaces what is on record of a provider, its disclosure included.',
      params: providerParamsSchema,
      query: noQuerySchema,
      body: providerSchema,
      answers: { 200: entryAnswer },
      handle: replace,
    }),
    route({
      method: 'delete',
      path: '/v1/providers/:id',
      roles: permissions.manageProviders,
      stepUp: 'settings',
      summary: 'Removes a provider that stores and processes nothing any more; the report still names it.',
      params: providerParamsSchema,
      query: noQuerySchema,
      answers: { 204: { description: 'It is removed.' } },
      handle: (call) =>
        change(call, async (session) => {
          await removeProvider(store, session, call.params.id, actOf(call), call.ifVersion);
          return { status: 204 };
        }),
    }),
  ];

  function create(call: Call<unknown, unknown, Entry>) {
    assertPast(call.body, clock());
    return change(call, async (session) => {
      const [added] = await addProviders(store, session, [call.body], actOf(call));
      return added === undefined ? { status: 201 } : entryAnswerOf(201, added);
    });
  }

  function replace(call: Call<Id, unknown, Entry>) {
    assertPast(call.body, clock());
    return change(call, async (session) => {
      const { params, body, ifVersion } = call;
      return entryAnswerOf(200, await replaceProvider(store, session, params.id, body, actOf(call), ifVersion));
    });
  }

  function start(call: Call<unknown, unknown, Starting>) {
    const { providers, sites } = call.body;
    const elsewhere = startersElsewhere(providers, sites);
    if (elsewhere.length > 0) {
      throw invalid(
        elsewhere.map(({ starter, site }) => ({ path: 'sites', detail: `${starter} is not known at ${site}` })),
      );
    }
    return change(call, async (session) => {
      const added = await addProviders(store, session, draftsOf(providers, sites), actOf(call));
      return { status: 201, body: { items: added.map(providerFor) } };
    });
  }

  function change(call: Call, work: (session: ClientSession) => Promise<Answer>): Promise<Answer> {
    return write(workshop, call, async (session) => ({ answer: await work(session).catch(refuse) }));
  }

  function actOf({ principal, requestId }: Call) {
    return { at: clock(), actor: principal.actor, requestId };
  }

  async function withHistory(providers: readonly Provider[]) {
    const all = [];
    for (const provider of providers) all.push({ provider, history: await historyOf(store, provider) });
    return all;
  }

  function providerFor({ _id, name, facts, contact, disclosure, nextReview, notes, draft, ...more }: Provider) {
    return {
      id: _id,
      name,
      ...facts,
      ...(contact === undefined ? {} : { contact }),
      ...(disclosure === undefined ? {} : { disclosure }),
      ...(nextReview === undefined ? {} : { nextReview }),
      ...(notes === undefined ? {} : { notes }),
      draft: draft ?? false,
      status: statusOf({ disclosure, nextReview }, clock()),
      version: more.version,
      createdAt: more.createdAt.toISOString(),
      updatedAt: more.updatedAt.toISOString(),
    };
  }

  function entryAnswerOf(status: number, provider: Provider): Answer {
    return { status, body: providerFor(provider), version: provider.version };
  }
}

function publicFor({ facts, ...others }: PublicProvider) {
  return { ...others, ...facts };
}

/** What was asked for and given has happened. A day is allowed for, since dates have no time zone. */
function assertPast({ disclosure }: Entry, now: Date): void {
  const latest = new Date(now.getTime() + 24 * 60 * 60 * 1000).toISOString().slice(0, '2026-11-22'.length);
  const dates = {
    askedOn: disclosure?.askedOn,
    givenOn: disclosure?.givenOn,
    'document.date': disclosure?.document?.date,
  };
  const flaws = Object.entries(dates).flatMap(([path, date]): Flaw[] =>
    date === undefined || date <= latest ? [] : [{ path: `disclosure.${path}`, detail: 'must not lie in the future' }],
  );
  if (flaws.length > 0) throw invalid(flaws);
}

/** What an administrator is told of a change that does not apply. */
function refuse(error: unknown): never {
  if (error instanceof ProviderMissingError) throw notFound(error.message);
  if (error instanceof ProviderChangedError) throw new Problem('precondition-failed', error.message);
  if (error instanceof ProviderExistsError || error instanceof RegisterFullError) {
    throw new Problem('conflict', error.message);
  }
  throw error;
}

function languageOf({ query, headers }: Call<unknown, PageQuery>): Language {
  return languageFor(query.lang, headers['accept-language']);
}

function pageAnswer(body: string, language: Language): Answer {
  const headers = {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Language': language,
    'Content-Security-Policy': contentPolicy,
    'Referrer-Policy': 'no-referrer',
    Vary: 'Accept-Language',
  };
  return { status: 200, headers, body };
}
