/** Where the ledger of erasures lies; see `config.ts`. */
import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import type { LedgerPlace } from './ledger';

/** The variables, in the schema of all of them. */
export const ledgerVariables = {
  ABLAUF_LEDGER: z
    .string()
    .regex(/^(file:.+|s3:\/\/[^/]+(\/.*)?)$/, 'must be file:/path or s3://bucket/prefix')
    .describe(
      'Ledger of erasures (R23), outside the databases and their backups: `file:/path` for the processes of one machine, or `s3://bucket/prefix`',
    ),
  ABLAUF_LEDGER_S3_ENDPOINT: z.url().optional().describe("URL of its S3-compatible storage; Amazon's when absent"),
  ABLAUF_LEDGER_S3_REGION: z.string().min(1).default('us-east-1').describe('Region of its bucket'),
  ABLAUF_LEDGER_S3_ACCESS_KEY_ID: z
    .string()
    .min(1)
    .optional()
    .describe("Key for its bucket; the AWS SDK's own sources are asked when absent"),
  ABLAUF_LEDGER_S3_SECRET_ACCESS_KEY: z.string().min(1).optional().describe('Its secret'),
  ABLAUF_LEDGER_REBUILD: z
    .enum(['0', '1'])
    .default('0')
    .describe('`1` for one start, where lines of the ledger are lost for good: docs/restore.md'),
} as const;

type Values = z.output<z.ZodObject<typeof ledgerVariables>>;

/** The ledger as it is configured. */
export interface LedgerConfig {
  readonly place: LedgerPlace;
  readonly rebuild: boolean;
}

/**
 * Reads it.
 *
 * @param plain hosts that may be spoken to without TLS
 * @param flaws is told what does not fit together
 */
export function ledgerConfig(values: Values, plain: readonly string[], flaws: string[]): LedgerConfig {
  return { place: placeOf(values, plain, flaws), rebuild: values.ABLAUF_LEDGER_REBUILD === '1' };
}

function placeOf(values: Values, plain: readonly string[], flaws: string[]): LedgerPlace {
  const { ABLAUF_LEDGER: where } = values;
  const endpoint = values.ABLAUF_LEDGER_S3_ENDPOINT;
  const accessKeyId = values.ABLAUF_LEDGER_S3_ACCESS_KEY_ID;
  const secretAccessKey = values.ABLAUF_LEDGER_S3_SECRET_ACCESS_KEY;
  const file = /^file:(?:\/\/(?=\/))?(.+)$/.exec(where)?.[1];
  if (file !== undefined) {
    if (endpoint !== undefined || accessKeyId !== undefined) {
      flaws.push('ABLAUF_LEDGER: is a file, though an object storage is given for it');
    }
    return { path: isAbsolute(file) ? file : resolve(file) };
  }
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    flaws.push(
      'ABLAUF_LEDGER_S3_ACCESS_KEY_ID: is given together with ABLAUF_LEDGER_S3_SECRET_ACCESS_KEY or not at all',
    );
  }
  const [, bucket = '', prefix = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(where) ?? [];
  return {
    bucket,
    prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`,
    region: values.ABLAUF_LEDGER_S3_REGION,
    plain,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(accessKeyId === undefined || secretAccessKey === undefined ? {} : { accessKeyId, secretAccessKey }),
  };
}
