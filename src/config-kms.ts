/** The master key in AWS KMS, as it is configured; see `vault/aws-kms.ts`. */
import { z } from 'zod';

const form =
  /^(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key\/[\w-]+|alias\/[\w/-]+)|alias\/[\w/-]+|mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const flaw = 'must be the ARN, id or alias of a key in AWS KMS';

/** The variables, in the schema of all of them. */
export const kmsVariables = {
  ABLAUF_KMS_KEY: z
    .string()
    .regex(form, flaw)
    .optional()
    .describe(
      'Key of AWS KMS that holds the master key in place of `LITELLM_MASTER_KEY`: its ARN, its id or an alias; AWS region and ' +
        "credentials come from the AWS SDK's own sources",
    ),
  ABLAUF_KMS_KEY_NEXT: z
    .string()
    .regex(form, flaw)
    .optional()
    .describe('Key of AWS KMS that is to be in use next, as `LITELLM_MASTER_KEY_NEXT` is; one of the two'),
  ABLAUF_KMS_KEY_PREVIOUS: z
    .string()
    .transform((text) => text.split(',').map((key) => key.trim()))
    .refine((keys) => keys.every((key) => form.test(key)), flaw)
    .optional()
    .describe('Keys of AWS KMS that were in use before, separated by commas: what is wrapped under them opens'),
} as const;

/** Which keys of AWS KMS are asked. */
export interface KmsConfig {
  /** New keys are wrapped under it; `undefined` leaves that to the master key given as text. */
  readonly key: string | undefined;
  /** The one that is to be in use next, where KMS holds it. */
  readonly next: string | undefined;
  readonly previous: readonly string[];
  /** Hosts beyond this machine that may be spoken to without TLS. */
  readonly plain: readonly string[];
}

/** Whoever holds the master key has to be said: the one text, or AWS KMS. @param flaws is told where neither is, or the next one twice */
export function checkMasterKeys(given: Readonly<Record<string, string>>, flaws: string[]): void {
  if (given['LITELLM_MASTER_KEY_NEXT'] !== undefined && given['ABLAUF_KMS_KEY_NEXT'] !== undefined) {
    flaws.push('LITELLM_MASTER_KEY_NEXT: is given, and so is ABLAUF_KMS_KEY_NEXT: only one can be in use next');
  }
  if (given['LITELLM_MASTER_KEY'] !== undefined || given['ABLAUF_KMS_KEY'] !== undefined) return;
  flaws.push('LITELLM_MASTER_KEY: is missing, and so is ABLAUF_KMS_KEY');
}

/** Reads it. @param plain hosts that may be spoken to without TLS */
export function kmsConfig(values: z.output<z.ZodObject<typeof kmsVariables>>, plain: readonly string[]): KmsConfig {
  return {
    key: values.ABLAUF_KMS_KEY,
    next: values.ABLAUF_KMS_KEY_NEXT,
    previous: values.ABLAUF_KMS_KEY_PREVIOUS ?? [],
    plain,
  };
}
