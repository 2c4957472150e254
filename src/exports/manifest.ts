/** The file that describes the others: what is in them, how to check them, and whose they are. */
import { dataSetNamed, type DataSet, type Profile } from '../data';
import type { ExportDocument, ExportFile } from './documents';

/** Counts up when a reader of the format before would misread it. */
const formatVersion = 1;

const text = { type: 'string' } as const;
const instant = { type: 'string', format: 'date-time' } as const;

/** The manifest, as text. */
export function manifestOf(
  { _id, at, from, to }: ExportDocument,
  account: Profile,
  files: readonly ExportFile[],
): string {
  const manifest = {
    format: 'ablauf-export',
    version: formatVersion,
    id: _id,
    created: at.toISOString(),
    account: {
      id: account._id,
      name: account.name,
      email: account.email,
      plan: account.plan,
      locale: account.locale,
      region: account.region,
      createdAt: account.createdAt.toISOString(),
    },
    range: { from: from?.toISOString() ?? null, to: to.toISOString() },
    files: files.map(({ name, dataset, records, bytes, sha256 }) => ({
      name,
      dataset,
      holds: dataSetNamed(dataset).holds,
      records,
      bytes,
      sha256,
      schema: schemaOf(dataSetNamed(dataset)),
    })),
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** The JSON Schema of a data set's lines. */
function schemaOf(set: DataSet): Record<string, unknown> {
  const base = { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' };
  if (set.category === undefined) {
    const fields = Object.keys(set.fields).filter((field) => field !== '_id' && field !== 'account');
    return {
      ...base,
      required: ['id'],
      properties: { id: text, ...Object.fromEntries(fields.map((field) => [field, field === 'at' ? instant : {}])) },
    };
  }
  return {
    ...base,
    required: ['id', 'callId', 'category', 'at', 'body'],
    properties: {
      id: text,
      callId: text,
      category: { const: set.category },
      at: instant,
      model: text,
      user: text,
      body: {},
    },
    additionalProperties: false,
  };
}
