/** The pages around signing in: rendered here, without a script, and with nothing from anywhere else. */
import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { ShownSession } from '../../access';
import type { Role } from '../../lifecycle';
import type { IdentityProvider, SignInFault } from '../../sso';
import { languages, texts, type Language, type Texts } from './texts';

/** Whether who asks is somebody in front of a browser. */
export function wantsPage({ accept = '' }: IncomingHttpHeaders): boolean {
  return /\btext\/html\b/i.test(accept);
}

/** The language somebody asks for, or else the first of theirs there is. */
export function languageOf(headers: IncomingHttpHeaders, asked?: Language): Language {
  if (asked !== undefined) return asked;
  const wanted = (headers['accept-language'] ?? '')
    .split(',')
    .map((part) => {
      const [tag = '', quality = 'q=1'] = part.trim().toLowerCase().split(';');
      return { language: tag.split('-')[0] ?? '', weight: Number(quality.trim().replace(/^q=/, '')) || 0 };
    })
    .sort((one, other) => other.weight - one.weight);
  const first = wanted.find(({ language, weight }) => weight > 0 && languages.includes(language as Language));
  return (first?.language as Language | undefined) ?? 'en';
}

/** Somebody signed in, as their page shows them. */
export interface Own {
  readonly name?: string;
  readonly email?: string;
  readonly role: Role;
  readonly account?: string;
  readonly provider: string;
  readonly current: string;
  readonly sessions: readonly ShownSession[];
  readonly csrfToken: string;
  /** Where signing out may lead: browsers hold a form to what its page names. */
  readonly leadsTo: readonly string[];
}

export interface PageOptions {
  readonly language: Language;
  readonly providers: readonly Pick<IdentityProvider, 'id' | 'name'>[];
}

/** What somebody sees who is not signed in. */
export function signInPage({ language, providers }: PageOptions, { signedOut = false } = {}) {
  const said = texts[language];
  const choices = providers.map(
    ({ id, name }) => `<li><a class="button" href="/auth/${id}/login">${escaped(said.signInWith(name))}</a></li>`,
  );
  const content = [
    `<h1>${said.signIn}</h1>`,
    ...(signedOut ? [`<p role="status">${said.signedOut}</p>`] : []),
    choices.length === 0 ? `<p>${said.nobodySignsIn}</p>` : `<ul class="choices">${choices.join('')}</ul>`,
  ];
  return page(language, said.signIn, content);
}

/** What somebody sees who is signed in: who they are, where else, and how to end that. */
export function ownPage({ language }: Pick<PageOptions, 'language'>, own: Own) {
  const said = texts[language];
  const current = own.sessions.find(({ _id }) => _id === own.current);
  const facts: [string, string | undefined][] = [
    [said.role, said.roles[own.role]],
    [said.account, own.account],
    [said.provider, own.provider],
    [said.endsAt, current === undefined ? undefined : timeOf(current.endsAt, language)],
  ];
  const list = facts.flatMap(([term, value]) =>
    value === undefined ? [] : [`<dt>${term}</dt><dd>${term === said.endsAt ? value : escaped(value)}</dd>`],
  );
  const others = own.sessions.length > 1 ? form('/auth/sessions/end-others', own.csrfToken, said.endOthers) : '';
  const columns = [said.lastUsed, said.address, said.browser, said.action];
  const content = [
    `<h1>${said.signedInAs}</h1>`,
    `<p class="who"><strong>${escaped(own.name ?? said.nameless)}</strong>${own.email === undefined ? '' : `<br>${escaped(own.email)}`}</p>`,
    `<dl>${list.join('')}</dl>`,
    form('/auth/logout', own.csrfToken, said.signOut, undefined, 'main'),
    `<h2 id="sessions">${said.sessions}</h2>`,
    `<p>${said.sessionsHint}</p>`,
    `<div class="wide" role="region" aria-labelledby="sessions" tabindex="0"><table><thead><tr>${columns
      .map((column) => `<th scope="col">${column}</th>`)
      .join(
        '',
      )}</tr></thead><tbody>${own.sessions.map((session) => rowOf(session, own, said, language)).join('')}</tbody></table></div>`,
    others,
  ];
  return page(language, said.signedInAs, content, own.leadsTo);
}

function rowOf(session: ShownSession, own: Own, said: Texts, language: Language): string {
  const isCurrent = session._id === own.current;
  const used = timeOf(session.usedAt, language);
  const action = isCurrent
    ? said.thisOne
    : form(
        `/auth/sessions/${session._id}/end`,
        own.csrfToken,
        said.end,
        said.endNamed(plainTime(session.usedAt, language)),
      );
  const cells = [escaped(session.address ?? '–'), escaped(session.userAgent ?? '–'), action];
  return `<tr><th scope="row">${used}</th>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
}

/** What somebody sees whose sign-in failed. */
export function failedPage(
  { language, providers }: PageOptions,
  fault: SignInFault,
  reference: string,
  provider: string,
) {
  const said = texts[language];
  const { what, todo } = said.faults[fault];
  const again = providers.some(({ id }) => id === provider)
    ? `<p><a class="button" href="/auth/${provider}/login">${said.tryAgain}</a></p>`
    : '';
  const content = [
    `<h1>${said.failed}</h1>`,
    `<div role="alert"><p><strong>${what}</strong></p><p>${todo}</p></div>`,
    again,
    `<p><a href="/auth">${said.back}</a></p>`,
    `<p class="small">${said.reference}: <code>${escaped(reference)}</code></p>`,
  ];
  return page(language, said.failed, content);
}

function form(action: string, csrf: string, label: string, description?: string, kind = 'quiet'): string {
  const named = description === undefined ? '' : ` aria-label="${escaped(description)}"`;
  return (
    `<form method="post" action="${action}"><input type="hidden" name="csrf" value="${csrf}">` +
    `<button class="${kind}"${named}>${label}</button></form>`
  );
}

function timeOf(at: Date, language: Language): string {
  return `<time datetime="${at.toISOString()}">${plainTime(at, language)}</time>`;
}

/** In universal time, which is said: where somebody is cannot be known here. */
function plainTime(at: Date, language: Language): string {
  return (
    new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' }).format(at) + ' UTC'
  );
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => escapes[character] ?? '');
}

const style = `
:root{color-scheme:light dark;--text:#1b1f24;--soft:#57606a;--ground:#f6f7f9;--card:#fff;--line:#d0d7de;--strong:#0b57b7;--on:#fff}
@media(prefers-color-scheme:dark){:root{--text:#e6e9ed;--soft:#a3abb5;--ground:#0f1216;--card:#181c22;--line:#39414b;--strong:#7db4ff;--on:#0b1220}}
*{box-sizing:border-box}
body{margin:0;padding:2rem 1rem;background:var(--ground);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
main{max-width:44rem;margin:0 auto;padding:1.5rem 2rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}
h1{margin:0 0 1rem;font-size:1.5rem}h2{margin:2rem 0 .5rem;font-size:1.15rem}
a{color:var(--strong)}
.choices{list-style:none;margin:0;padding:0;display:grid;gap:.75rem}
.button,button{display:inline-block;padding:.55rem 1rem;border:1px solid var(--strong);border-radius:.5rem;font:inherit;cursor:pointer;text-decoration:none}
.button,button.main{background:var(--strong);color:var(--on)}
.choices .button{display:block;text-align:center}
button.quiet{background:transparent;color:var(--strong)}
a:focus-visible,button:focus-visible,.wide:focus-visible{outline:3px solid var(--strong);outline-offset:2px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:0 0 1rem}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.wide{overflow-x:auto}
table{width:100%;border-collapse:collapse;margin:0 0 1rem}
th,td{padding:.5rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;font-weight:400}
td:nth-child(2){white-space:nowrap}td:nth-child(3){min-width:14rem;overflow-wrap:anywhere}
thead th{color:var(--soft)}
nav,.small{color:var(--soft);font-size:.875rem}nav{max-width:44rem;margin:1rem auto 0;text-align:right}
`;
const styleHash = hash('sha256', style, 'base64');

/** @param leadsTo origins a form of the page may lead to, beside our own */
function page(language: Language, title: string, content: readonly string[], leadsTo: readonly string[] = []) {
  const other = language === 'en' ? 'de' : 'en';
  const body =
    `<!doctype html>\n<html lang="${language}"><head><meta charset="utf-8"><title>${title} · Ablauf</title>` +
    `<meta name="viewport" content="width=device-width,initial-scale=1"><style>${style}</style></head>` +
    `<body><main>${content.join('\n')}</main><nav><a href="/auth?lang=${other}" lang="${other}" hreflang="${other}">` +
    `${texts[language].otherLanguage}</a></nav></body></html>\n`;
  return {
    status: 200,
    body,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Language': language,
      'Content-Security-Policy': [
        "default-src 'none'",
        `style-src 'sha256-${styleHash}'`,
        // Browsers hold redirects of a form to this as well: signing out may lead on to the provider.
        `form-action ${["'self'", ...leadsTo].join(' ')}`,
        "frame-ancestors 'none'",
        "base-uri 'none'",
      ].join('; '),
      // The address of a page may hold what a provider sent along.
      'Referrer-Policy': 'same-origin',
      'X-Frame-Options': 'DENY',
      Vary: 'Accept, Accept-Language, Cookie',
    },
  };
}
