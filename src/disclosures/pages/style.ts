/** How the pages look: no font, image or script from anywhere; light and dark; wide tables scroll by themselves. */
import { createHash } from 'node:crypto';

/** The style sheet of both pages. */
export const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #57606a; --ground: #ffffff; --card: #f6f8fa; --line: #d0d7de;
  --link: #0550ae; --good: #116329; --soon: #7d4e00; --bad: #a40e26; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9ea7b3; --ground: #0d1117; --card: #161b22;
  --line: #30363d; --link: #79c0ff; --good: #56d364; --soon: #e3b341; --bad: #ff9a92; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 62rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
a { color: var(--link); overflow-wrap: anywhere; }
a:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--ground); padding: .5rem; }
header { display: flex; flex-wrap: wrap; gap: .5rem 2rem; justify-content: space-between; align-items: baseline; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 0; }
h3 { font-size: 1.05rem; margin: 1.25rem 0 .25rem; }
.quiet { color: var(--quiet); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: .95rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); }
caption { text-align: left; font-weight: 600; padding-bottom: .25rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem 1.25rem; margin: 1.25rem 0; }
article > header { margin-bottom: .5rem; }
.state { font-weight: 600; white-space: nowrap; }
.complete { color: var(--good); } .due-soon { color: var(--soon); } .overdue, .missing { color: var(--bad); }
dl { display: grid; grid-template-columns: minmax(9rem, 14rem) 1fr; gap: .4rem 1.25rem; margin: .5rem 0 0; }
dt { color: var(--quiet); }
dd { margin: 0; white-space: pre-line; }
dd ul, td ul { margin: 0; padding-left: 1.1rem; white-space: normal; }
code { font: .85em/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
footer { margin-top: 2rem; color: var(--quiet); font-size: .9rem; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } }
@page { margin: 18mm 15mm; }
@media print {
  :root { color-scheme: light; --ink: #000; --quiet: #444; --ground: #fff; --card: #fff; --line: #999; --link: #000;
    --good: #000; --soon: #000; --bad: #000; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, .skip { display: none; }
  article { border-width: 0 0 1px; border-radius: 0; padding: 0 0 .75rem; }
  h2, h3, tr, dt { break-inside: avoid; break-after: avoid; }
  .wide { overflow: visible; }
}
`;

const hash = createHash('sha256').update(style).digest('base64');

/** What browsers are told the pages need: this style sheet, and nothing else. */
export const contentPolicy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
