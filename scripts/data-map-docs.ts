/** `npm run docs:data-map`: renews docs/data-map.md from the declared data map. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataSets, encryptedKinds, otherCollections, type DataSet, type FieldKind } from '../src/data';

const file = join(__dirname, '..', 'docs', 'data-map.md');

const erasures: Readonly<Record<DataSet['erasure'], string>> = {
  delete: 'deleted, in batches',
  'delete-last': 'deleted, at the very end',
  seal: 'sealed until the law lets it go (R10)',
  reduce: 'reduced to the tombstone (R8)',
  keep: 'kept',
};

/** The page as it ought to be. */
export function dataMapPage(): string {
  return `# Where customer data lies

Every place customer data lies is declared once, in \`src/data/map.ts\`. Ingest, purge, export, erasure, its plan and its
search, legal holds and this page follow from that declaration. The database is held against it: the API and the worker
refuse to start while it holds a collection, a field or a document that is not declared, and name each; so does every test
file when it ends. At start collections of more than 2,000 documents are judged by their newest, their oldest and some
random documents; the tests read all of them.

If a start is refused (\`UndeclaredDataError\`), somebody stored something beside the product, or another version of it did:
declare it, so that it is held, exported and erased like the rest, or remove it.

## Data sets

${table(
  [
    'data set',
    'where',
    'account named by',
    'what it holds',
    'personal or secret fields',
    'content',
    'encrypted under',
    'one-way',
    'legal basis (GDPR)',
    'erasure',
    'retained by law',
    'holdable',
    'exported',
  ],
  dataSets.map((set) => [
    `**${set.name}**`,
    `\`${set.collection}\``,
    ownerOf(set),
    set.holds,
    fieldsOf(set, ['personal', 'secret']),
    fieldsOf(set, ['content']),
    fieldsOf(set, encryptedKinds) === '' ? '' : (set.key ?? "the account's key"),
    fieldsOf(set, ['digest']),
    set.basis,
    set.reason ?? erasures[set.erasure],
    set.statutory === undefined ? '' : `${set.statutory.years} years: ${set.statutory.law}`,
    set.holdable === true ? 'yes' : '',
    set.exported === true ? 'yes' : '',
  ]),
)}

*Holdable* are the data sets a legal hold may choose; a hold that chooses none holds everything (R9). *Exported* is what a
customer downloads (R14). The records of ${list(dataSets.filter((set) => set.category !== undefined).map((set) => set.name))} carry the event's
own time, by which active-data retention purges them (R12). Years retained by law are whole calendar years after the one a document is dated in.

## How fields are stored

| a field's kind | what it is | how it is stored |
| --- | --- | --- |
| personal, content, secret | tells of a person; what a customer wrote, got, or had stored; lets in whoever knows it | encrypted: AES-256-GCM under the key named above, bound to region, collection, field and document, so that it opens nowhere else. Those marked † travel in messages and the log as well, as the text they are stored as: bound to account and field |
| one-way | a hash of a key, or a blind index: a keyed hash that finds equal values and says nothing else | as it is; nothing leads back from it |
| all others | opaque ids; states, times, counts, names of ours | in the clear: without them nothing could be found, fall due or be counted |

\`src/data/protect.ts\` encrypts and opens by this table, and the comparison above refuses a value that should be encrypted
and is not.

## One person's data

\`DELETE /v1/accounts/:id/records?user=\` erases what one end user left behind: every record that names exactly this
\`user\` (which keeps the first 256 characters) and happened before the request. It answers 202 with a request's id;
\`GET /v1/accounts/:id/records/erasures/:requestId\` says how far it has come. What a legal hold protects stays and is
named (\`partly\`, \`held\`) to those who may see holds; the request looks again every day, or at once when it is made
again or its workflow is sent the signal \`recheck\`, and finishes when the hold is gone. Then the person is forgotten
there too.

Not affected are records of the same person that happened after the request, usage totals, which tell of nobody, and
archives a customer exported before: those expire by themselves.

## Other collections

None of them names an account.

${table(
  ['collection', 'what it holds', 'secret fields', 'encrypted under'],
  otherCollections.map((place) => [
    `\`${place.collection}\``,
    place.holds,
    fieldsOf(place, encryptedKinds),
    place.key ?? '',
  ]),
)}

## Elsewhere

Whoever else stores or processes an account's data, such as a model's provider or an observability service, is registered
as a processor (\`/v1/providers\`). When an account is erased each of them is told to erase what it has, over OpenDSR or a
signed webhook, and what it answers becomes part of the record. Backups of the database are the deployment's own: nothing
in them is declared here, and their retention bounds how long an erased account may still be found in one.
`;
}

function ownerOf({ owner, ownerless }: DataSet): string {
  const also = ownerless === undefined ? '' : `; none: ${ownerless}`;
  if ('field' in owner) return `\`${owner.field}\`${also}`;
  if ('prefixOf' in owner) return `beginning of \`${owner.prefixOf}\``;
  return owner.id === 'whole' ? '`_id`' : 'beginning of `_id`';
}

function fieldsOf({ fields, texts = [] }: Pick<DataSet, 'fields' | 'texts'>, kinds: readonly FieldKind[]): string {
  return Object.keys(fields)
    .filter((name) => kinds.some((kind) => fields[name] === kind))
    .map((name) => `\`${name}\`${texts.includes(name) ? ' †' : ''}`)
    .join(', ');
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}

function list(names: readonly string[]): string {
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}`;
}

/** The page as it is. */
export function currentDataMapPage(): string {
  return readFileSync(file, 'utf8');
}

if (require.main === module) writeFileSync(file, dataMapPage());
