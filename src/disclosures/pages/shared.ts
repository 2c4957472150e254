/** What both pages are made of. */
import { categoryLabel } from '../categories';
import { languages, textIn, type Language, type Location, type ProviderFacts, type Text } from '../provider';
import { isPast, type DisclosureStatus } from '../status';
import { markup, type Html } from './html';
import { style } from './style';
import { textsIn, type Texts } from './texts';

const languageNames: Readonly<Record<Language, string>> = { en: 'English', de: 'Deutsch' };

/** A whole page. Its `<h1>` is the title. */
export function pageOf(language: Language, title: string, content: Html): string {
  const texts = textsIn[language];
  const others = languages.filter((other) => other !== language);
  return markup`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="no-referrer" />
        <title>${title}</title>
        <style>${{ html: style }}</style>
      </head>
      <body>
        <a class="skip" href="#content">${texts.skip}</a>
        <header>
          <h1>${title}</h1>
          <nav aria-label="${texts.language}">
            ${others.map(
              (other) =>
                markup`<a href="?lang=${other}" hreflang="${other}" lang="${other}">${languageNames[other]}</a>`,
            )}
          </nav>
        </header>
        <main id="content">${content}</main>
      </body>
    </html>
`.html;
}

/** A day or an instant as people read it. Instants are in UTC, and say so. */
export function dateIn(language: Language, when: string | Date): string {
  const isDay = typeof when === 'string';
  const options = isDay ? ({ dateStyle: 'long' } as const) : ({ dateStyle: 'long', timeStyle: 'short' } as const);
  const written = new Intl.DateTimeFormat(language === 'en' ? 'en-GB' : 'de-DE', { ...options, timeZone: 'UTC' });
  return `${written.format(new Date(when))}${isDay ? '' : ' UTC'}`;
}

/** How a disclosure stands, in words and in colour. */
export function stateOf(texts: Texts, status: DisclosureStatus): Html {
  return markup`<span class="state ${status}">${texts.status[status]}</span>`;
}

/** What something is called, and what is said of it; nothing where nothing is. */
export function row(name: string, value: Html | string | undefined): Html | undefined {
  return value === undefined
    ? undefined
    : markup`<dt>${name}</dt>
        <dd>${value}</dd>`;
}

/** Several things, as a list where they are several. */
export function listOf(items: readonly (Html | string)[]): Html {
  if (items.length === 1) return markup`${items}`;
  return markup`<ul>
    ${items.map((item) => markup`<li>${item}</li>`)}
  </ul>`;
}

export function linkTo(url: string): Html {
  return markup`<a href="${url}" rel="noopener noreferrer">${url}</a>`;
}

/** A table that scrolls by itself where the screen is narrow; reachable by keyboard therefore. */
export function table(caption: string, heads: readonly string[], rows: readonly (readonly (Html | string)[])[]): Html {
  return markup`<div class="wide" role="region" aria-label="${caption}" tabindex="0">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${heads.map((head) => markup`<th scope="col">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([first = '', ...others]) =>
            markup`<tr>
              <th scope="row">${first}</th>
              ${others.map((cell) => markup`<td>${cell}</td>`)}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}

/** What a provider is used for, with what, and where. */
export function outlineRows(
  facts: Pick<ProviderFacts, 'purposes' | 'stores' | 'processes' | 'locations'>,
  language: Language,
): (Html | undefined)[] {
  const texts = textsIn[language];
  const named = (categories: readonly string[]) =>
    categories.length === 0 ? undefined : listOf(categories.map((category) => categoryLabel(category)[language]));
  return [
    row(texts.purposes, listOf(facts.purposes.map((purpose) => textIn(purpose, language)))),
    row(texts.stores, named(facts.stores)),
    row(texts.processes, named(facts.processes)),
    row(texts.where, listOf(facts.locations.map((location) => placeOf(location, language)))),
  ];
}

/** How a provider protects what it has. */
export function safeguardRows(facts: ProviderFacts, language: Language, now: Date): (Html | undefined)[] {
  const texts = textsIn[language];
  const said = (text: Text) => textIn(text, language);
  const { names, listedAt } = facts.subprocessors;
  const subprocessors = [...names, ...(listedAt === undefined ? [] : [markup`${texts.listedAt} ${linkTo(listedAt)}`])];
  return [
    row(texts.atRest, said(facts.encryption.atRest)),
    row(texts.inTransit, said(facts.encryption.inTransit)),
    row(texts.accessControl, said(facts.accessControl)),
    row(
      texts.certifications,
      facts.certifications.length === 0
        ? texts.noCertifications
        : listOf(
            facts.certifications.map(({ name, until }) => {
              if (until === undefined) return name;
              const lapsed = isPast(until, now) ? ` · ${texts.lapsed}` : '';
              return `${name} (${texts.until(dateIn(language, until))}${lapsed})`;
            }),
          ),
    ),
    row(texts.subprocessors, subprocessors.length === 0 ? texts.noSubprocessors : listOf(subprocessors)),
    row(texts.deletion, said(facts.deletion)),
    row(texts.backups, said(facts.backups)),
  ];
}

/** A place, its country in the reader's language. */
export function placeOf({ site, place, country }: Location, language: Language): string {
  const name = new Intl.DisplayNames([language], { type: 'region' }).of(country) ?? country;
  return `${place === undefined ? name : textIn(place, language)} (${site}, ${country})`;
}
