/** The report for auditors: everything on record of each provider, and what was done to it, to be read or printed. */
import type { AuditEntry } from '../../audit';
import type { Contact, Language } from '../provider';
import type { Provider } from '../register';
import { disclosureStatuses, statusOf } from '../status';
import { markup, type Html } from './html';
import type { PageOptions } from './public';
import { dateIn, linkTo, listOf, outlineRows, pageOf, row, safeguardRows, stateOf, table } from './shared';
import { textsIn, type Texts } from './texts';

/** A provider with what the audit log says of it. */
export interface Reported {
  readonly provider: Provider;
  readonly history: readonly AuditEntry[];
}

/** The report. */
export function reportPage(
  { present, former }: { readonly present: readonly Reported[]; readonly former: readonly Reported[] },
  { language, region, now }: PageOptions,
): string {
  const texts = textsIn[language];
  const statuses = present.map(({ provider }) => statusOf(provider, now));
  const counts = disclosureStatuses.map((status) => [
    stateOf(texts, status),
    String(statuses.filter((one) => one === status).length),
  ]);
  const content = markup`<p>${texts.reportLead}</p>
    <p class="quiet">${texts.region}: ${region} · ${texts.asOf}: ${dateIn(language, now)}</p>
    ${table(texts.summary, [texts.disclosure, texts.number], counts)}
    ${present.length === 0 ? markup`<p>${texts.none}</p>` : undefined}
    ${present.map((reported) => presentEntry(reported, language, now))}
    ${former.length === 0 ? undefined : markup`<h2>${texts.former}</h2>`}
    ${former.map((reported) => formerEntry(reported, language))}`;
  return pageOf(language, texts.reportTitle, content);
}

function presentEntry({ provider, history }: Reported, language: Language, now: Date): Html {
  const texts = textsIn[language];
  const { _id, name, facts, contact, notes, nextReview, draft } = provider;
  return markup`<article>
    <header>
      <h2>${name}</h2>
      ${stateOf(texts, statusOf(provider, now))}
    </header>
    <p class="quiet"><code>${_id}</code>${draft === true ? markup` · ${texts.draft}` : undefined}</p>
    <dl>
      ${outlineRows(facts, language)} ${safeguardRows(facts, language, now)} ${disclosureRows(provider, language)}
      ${row(texts.nextReview, nextReview === undefined ? texts.nothing : dateIn(language, nextReview))}
      ${row(texts.contact, contact === undefined ? undefined : contactOf(contact))} ${row(texts.notes, notes)}
    </dl>
    ${historyOf(history, name, language)}
  </article>`;
}

function formerEntry({ provider, history }: Reported, language: Language): Html {
  const texts = textsIn[language];
  const { _id, name, removedAt } = provider;
  const removed = removedAt === undefined ? '' : ` · ${texts.removedAt(dateIn(language, removedAt))}`;
  return markup`<article>
    <h3>${name}</h3>
    <p class="quiet"><code>${_id}</code>${removed}</p>
    ${historyOf(history, name, language)}
  </article>`;
}

function disclosureRows({ disclosure }: Provider, language: Language): (Html | undefined)[] {
  const texts = textsIn[language];
  const { askedOn, givenOn, document, takenInBy, takenInAt } = disclosure ?? {};
  const said = [
    askedOn === undefined
      ? givenOn === undefined
        ? texts.neverAsked
        : undefined
      : texts.askedOn(dateIn(language, askedOn)),
    givenOn === undefined ? undefined : texts.givenOn(dateIn(language, givenOn)),
    takenInBy === undefined || takenInAt === undefined
      ? undefined
      : texts.takenIn(takenInBy, dateIn(language, takenInAt)),
  ].filter((text) => text !== undefined);
  return [
    row(texts.disclosure, listOf(said)),
    row(
      texts.document,
      document === undefined
        ? undefined
        : listOf([
            texts.dated(dateIn(language, document.date)),
            linkTo(document.url),
            markup`SHA-256 <code>${document.sha256}</code>`,
          ]),
    ),
  ];
}

function contactOf({ person, email, phone, url }: Contact): Html {
  const said = [person, email, phone].filter((text) => text !== undefined);
  return listOf([...said, ...(url === undefined ? [] : [linkTo(url)])]);
}

function historyOf(history: readonly AuditEntry[], name: string, language: Language): Html {
  const texts = textsIn[language];
  return table(
    `${texts.history}: ${name}`,
    [texts.when, texts.what, texts.who, texts.changes],
    history.map(({ at, action, actor, details }) => [
      dateIn(language, at),
      texts.acts[action] ?? action,
      markup`<code>${actor.id}</code>`,
      changesOf(action, details, texts),
    ]),
  );
}

/** What a change was from and to; of a first entry there is nothing to compare with. */
function changesOf(action: string, details: Readonly<Record<string, unknown>>, texts: Texts): Html | string {
  if (action !== 'provider.updated') return '';
  const before = membersOf(details['before']);
  const after = membersOf(details['after']);
  const withheld = Array.isArray(details['withheld']) ? details['withheld'].map(String) : [];
  const changes = Object.keys(after).map(
    (field) =>
      markup`${fieldName(field, texts)}: <code>${valueOf(before[field], texts)}</code> → <code>${valueOf(after[field], texts)}</code>`,
  );
  const hidden = withheld.map((field) => fieldName(field, texts)).join(', ');
  return listOf([...changes, ...(hidden === '' ? [] : [`${texts.withheld} ${hidden}`])]);
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function fieldName(field: string, texts: Texts): string {
  const own = texts[field as keyof Texts];
  return texts.fields[field] ?? (typeof own === 'string' ? own : field);
}

function valueOf(value: unknown, texts: Texts): string {
  if (value === null || value === undefined) return texts.nothing;
  if (typeof value === 'boolean') return value ? texts.yes : texts.no;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
