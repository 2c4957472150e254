/** The pages of the development identity provider: plain HTML, no request elsewhere, light and dark, English and German. */
import {
  accountPattern,
  customer,
  type Language,
  people,
  type Person,
  standardAccount,
} from './identity-provider-people';

const words = {
  en: {
    title: 'Sign in to Ablauf',
    warning: 'Development only',
    about: 'There are no passwords here. Whoever reaches this page on this machine is whom they pick.',
    pick: 'Who are you?',
    account: 'Account (it has to exist)',
    cancel: 'Cancel',
    endTitle: 'Sign out',
    endQuestion: 'Sign out here as well?',
    end: 'Sign out',
    endedTitle: 'Signed out',
    ended: 'You are signed out.',
    errorTitle: 'This did not work',
    error: 'What was sent here cannot be answered:',
    again: 'Begin again',
    home: 'The identity provider of this development system',
    start: 'Go to Ablauf and sign in',
    expired: 'This sign-in was left for too long, or was completed before.',
    noAccount: 'This is no account id: 1 to 64 of A–Z a–z 0–9 . _ -',
  },
  de: {
    title: 'Bei Ablauf anmelden',
    warning: 'Nur für die Entwicklung',
    about: 'Hier gibt es keine Passwörter. Wer diese Seite auf diesem Rechner erreicht, ist, wen er wählt.',
    pick: 'Wer sind Sie?',
    account: 'Konto (es muss vorhanden sein)',
    cancel: 'Abbrechen',
    endTitle: 'Abmelden',
    endQuestion: 'Auch hier abmelden?',
    end: 'Abmelden',
    endedTitle: 'Abgemeldet',
    ended: 'Sie sind abgemeldet.',
    errorTitle: 'Das hat nicht geklappt',
    error: 'Was hier ankam, lässt sich nicht beantworten:',
    again: 'Von vorn beginnen',
    home: 'Der Identitätsanbieter dieses Entwicklungssystems',
    start: 'Zu Ablauf gehen und anmelden',
    expired: 'Diese Anmeldung blieb zu lange liegen oder ist schon abgeschlossen.',
    noAccount: 'Das ist keine Kontokennung: 1 bis 64 aus A–Z a–z 0–9 . _ -',
  },
} as const;

/** The language a browser asks for; English where it asks for neither. */
export function languageOf(accepted: string | undefined): Language {
  const wanted = (accepted ?? '')
    .split(',')
    .map((part) => {
      const [tag = '', ...parameters] = part.trim().toLowerCase().split(';');
      const quality = parameters.map((text) => /^\s*q=([\d.]+)$/.exec(text)?.[1]).find((text) => text !== undefined);
      return { tag: tag.split('-')[0], quality: Number(quality ?? 1) };
    })
    .filter(({ quality }) => quality > 0)
    .sort((one, other) => other.quality - one.quality);
  return wanted.find(({ tag }) => tag === 'de' || tag === 'en')?.tag === 'de' ? 'de' : 'en';
}

/** Where a person is picked. `action` is where the choice is sent. */
export function pickPage(language: Language, action: string, flaw?: { readonly account: string }): string {
  const text = words[language];
  const button = (who: Person) => `<button name="person" value="${who.id}">
<strong>${escaped(who.name)}</strong> <span>${escaped(who.about[language])}</span></button>`;
  const wrong = flaw === undefined ? '' : ' aria-invalid="true" aria-describedby="flaw" autofocus';
  const why = flaw === undefined ? '' : `<p id="flaw" class="flaw" role="alert">${text.noAccount}</p>`;
  const form = (content: string, name: string) =>
    `<form method="post" action="${escaped(action)}" aria-label="${escaped(name)}">${content}</form>`;
  // Forms of their own: the enter key in the field picks its person, not the first of all.
  return page(
    language,
    text.title,
    `<h2>${text.pick}</h2>
${form(`<ul>${people.map((who) => `<li>${button(who)}</li>`).join('\n')}</ul>`, text.pick)}
${form(
  `<div class="card">${button(customer)}
<div class="account"><label for="account">${text.account}</label>
<input id="account" name="account" value="${escaped(flaw?.account ?? standardAccount)}" required maxlength="64" pattern="${escaped(accountPattern)}" autocomplete="off" autocapitalize="none" spellcheck="false"${wrong}>
${why}</div></div>`,
  customer.about[language],
)}
${form(`<button class="plain" name="person" value="">${text.cancel}</button>`, text.cancel)}`,
  );
}

/** Asks whether to sign out; `form` is the provider's own, to be submitted as `op.logoutForm`. */
export function endPage(language: Language, form: string): string {
  const text = words[language];
  const button = `<button class="plain" form="op.logoutForm" name="logout" value="yes" autofocus>${text.end}</button>`;
  return page(language, text.endTitle, `<p>${text.endQuestion}</p>${form}<p>${button}</p>`);
}

/** Says that somebody is signed out. */
export function endedPage(language: Language, back: string): string {
  const text = words[language];
  return page(language, text.endedTitle, `<p>${text.ended}</p>${link(back, text.again)}`);
}

/** Says what was wrong with what came. */
export function errorPage(language: Language, what: string | undefined, back: string): string {
  const text = words[language];
  const why =
    what === undefined ? `<p>${text.expired}</p>` : `<p>${text.error}</p><p><code>${escaped(what)}</code></p>`;
  return page(language, text.errorTitle, `${why}${link(back, text.again)}`);
}

/** What somebody finds who comes here without having been sent. */
export function homePage(language: Language, back: string): string {
  return page(language, words[language].home, link(back, words[language].start));
}

function link(target: string, text: string): string {
  return `<p><a href="${escaped(target)}">${text}</a></p>`;
}

function page(language: Language, title: string, content: string): string {
  const text = words[language];
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
<p class="warning"><strong>${text.warning}</strong></p>
<h1>${title}</h1>
<p class="about">${text.about}</p>
${content}
</main>
</body>
</html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** The one style sheet. */
export const style = `
:root { color-scheme: light dark; --ink: #1d2330; --soft: #525c6e; --paper: #f6f7f9; --card: #fff; --line: #c3c9d4; --mark: #1f5fbf; --warn: #7a4300; --warn-paper: #fff0d6; --flaw: #a4161a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ebf1; --soft: #aab3c3; --paper: #14171d; --card: #1e232c; --line: #414a5a; --mark: #8ab4f8; --warn: #ffd699; --warn-paper: #3b2a10; --flaw: #ff9c9c; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 30rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; margin: 1rem 0 .25rem; }
h2 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
.about { color: var(--soft); margin: 0; }
.warning { margin: 0; padding: .5rem .75rem; border: 1px solid var(--warn); border-radius: .5rem; background: var(--warn-paper); color: var(--warn); }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: .5rem; }
li, .card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
li:hover, .card:hover { border-color: var(--mark); }
li button, .card button { display: flex; flex-wrap: wrap; gap: 0 .75rem; justify-content: space-between; width: 100%; padding: .7rem .9rem; border: 0; border-radius: .5rem; background: none; color: inherit; font: inherit; text-align: left; cursor: pointer; }
li button span, .card button span { color: var(--soft); }
.card { margin: .5rem 0 1rem; }
.account { padding: 0 .9rem .8rem; }
label { display: block; font-size: .875rem; color: var(--soft); }
input { width: 100%; padding: .45rem .6rem; border: 1px solid var(--line); border-radius: .35rem; background: var(--paper); color: inherit; font: inherit; }
.plain { padding: .45rem .9rem; border: 1px solid var(--line); border-radius: .35rem; background: var(--card); color: inherit; font: inherit; cursor: pointer; }
.flaw { margin: .25rem 0 0; color: var(--flaw); font-size: .875rem; }
a { color: var(--mark); }
code { overflow-wrap: anywhere; }
:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
`;
