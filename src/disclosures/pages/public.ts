/** What customers may know of the providers: no notes, nobody by name, and of a draft only that there is such a provider. */
import type { Language, ProviderFacts } from '../provider';
import type { Provider } from '../register';
import { statusOf, type DisclosureStatus } from '../status';
import { markup, type Html } from './html';
import { dateIn, listOf, outlineRows, pageOf, placeOf, row, safeguardRows, stateOf, table } from './shared';
import { textsIn } from './texts';

type Outline = Pick<ProviderFacts, 'purposes' | 'stores' | 'processes' | 'locations'>;

/** A provider as customers see it. */
export interface PublicProvider {
  readonly name: string;
  readonly draft: boolean;
  /** The whole of it, but for drafts: what nobody has checked is not said to anybody. */
  readonly facts: ProviderFacts | Outline;
  readonly disclosure: {
    readonly status: DisclosureStatus;
    readonly givenOn?: string;
    readonly documentDate?: string;
  };
  readonly nextReview?: string;
}

/** What of an entry is for everybody. */
export function publicPart(provider: Provider, now: Date): PublicProvider {
  const { name, facts, disclosure, nextReview, draft = false } = provider;
  const { purposes, stores, processes, locations } = facts;
  return {
    name,
    draft,
    facts: draft ? { purposes, stores, processes, locations } : facts,
    disclosure: {
      status: statusOf(provider, now),
      ...(disclosure?.givenOn === undefined ? {} : { givenOn: disclosure.givenOn }),
      ...(disclosure?.document === undefined ? {} : { documentDate: disclosure.document.date }),
    },
    ...(nextReview === undefined ? {} : { nextReview }),
  };
}

/** What the page is made from. */
export interface PageOptions {
  readonly language: Language;
  readonly region: string;
  readonly now: Date;
}

/** The page for customers. */
export function publicPage(providers: readonly PublicProvider[], { language, region, now }: PageOptions): string {
  const texts = textsIn[language];
  const overview = table(
    texts.overview,
    [texts.provider, texts.where, texts.disclosure],
    providers.map(({ name, facts, disclosure }) => [
      name,
      listOf(facts.locations.map((location) => placeOf(location, language))),
      stateOf(texts, disclosure.status),
    ]),
  );
  const content = markup`<p>${texts.lead}</p>
    <p class="quiet">${texts.region}: ${region} · ${texts.asOf}: ${dateIn(language, now)}</p>
    ${providers.length === 0 ? markup`<p>${texts.none}</p>` : overview}
    ${providers.map((provider) => entry(provider, language, now))}
    <footer>
      <p>${texts.machine} <a href="/v1/providers/public">/v1/providers/public</a></p>
    </footer>`;
  return pageOf(language, texts.title, content);
}

function entry({ name, draft, facts, disclosure, nextReview }: PublicProvider, language: Language, now: Date): Html {
  const texts = textsIn[language];
  const { givenOn, documentDate } = disclosure;
  const said = [
    ...(givenOn === undefined ? [] : [texts.givenOn(dateIn(language, givenOn))]),
    ...(documentDate === undefined ? [] : [texts.dated(dateIn(language, documentDate))]),
  ];
  return markup`<article>
    <header>
      <h2>${name}</h2>
      ${stateOf(texts, disclosure.status)}
    </header>
    ${draft ? markup`<p class="quiet">${texts.draft}</p>` : undefined}
    <dl>
      ${outlineRows(facts, language)} ${'encryption' in facts ? safeguardRows(facts, language, now) : undefined}
      ${row(texts.disclosure, said.length === 0 ? undefined : said.join(', '))}
      ${row(texts.nextReview, nextReview === undefined ? undefined : dateIn(language, nextReview))}
    </dl>
  </article>`;
}
