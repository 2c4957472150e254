/**
 * What is asked of AWS KMS, and what its answers mean: a refusal, which asking again does not mend, or that it is away. The SDK
 * is loaded when a key is opened, and by nobody who has none there.
 */
import type { KMSClient } from '@aws-sdk/client-kms';
import { forbiddenHostOf } from '../transit';
import { MasterKeyAwayError, MasterKeyRefusedError } from './errors';

/** A key of AWS KMS, as far as it concerns us. */
export interface KmsKey {
  /** Its full name, `arn:aws:kms:REGION:ACCOUNT:key/ID`, whatever it was asked for by. */
  readonly arn: string;
  /** A new data key, encrypted under it, and never seen. */
  makeDataKey(): Promise<Buffer>;
  /** @returns nothing where it was not encrypted under this key, for this purpose, or was altered */
  openDataKey(encrypted: Buffer): Promise<Buffer | undefined>;
}

export interface KmsKeyOptions {
  /** An ARN, an id, or an alias. */
  readonly key: string;
  /** What each data key is bound to, besides the key itself. */
  readonly purpose: Readonly<Record<string, string>>;
  /** Hosts beyond this machine that may be spoken to without TLS. */
  readonly plain: readonly string[];
}

const connectPatience = 1500;
const requestPatience = 2000;
const attempts = 3;
/** For one question, with all its attempts, in milliseconds. */
const patience = 4000;
/** Questions under way at once. */
const mostAtOnce = 8;

/**
 * Looks a key up.
 *
 * @throws {MasterKeyRefusedError} there is none, it is not usable, or not by us
 * @throws {MasterKeyAwayError} AWS KMS does not answer
 */
export async function openKmsKey({ key, purpose: EncryptionContext, plain }: KmsKeyOptions): Promise<KmsKey> {
  const sdk = await import('@aws-sdk/client-kms');
  // An ARN says where it is; for anything else the SDK looks in its own places.
  const region = /^arn:[^:]+:kms:([^:]+):/.exec(key)?.[1];
  const client = new sdk.KMSClient({
    maxAttempts: attempts,
    requestHandler: { connectionTimeout: connectPatience, requestTimeout: requestPatience },
    ...(region === undefined ? {} : { region }),
  });
  refusePlainly(client, plain);
  const atOnce = limit(mostAtOnce);
  const ask = <T>(operation: string, send: (options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T> =>
    atOnce(async () => {
      try {
        return await send({ abortSignal: AbortSignal.timeout(patience) });
      } catch (error) {
        throw told(error, operation, key);
      }
    });

  const { KeyMetadata: found } = await ask('DescribeKey', (options) =>
    client.send(new sdk.DescribeKeyCommand({ KeyId: key }), options),
  );
  const arn = found?.Arn;
  if (arn === undefined) throw new MasterKeyRefusedError(`AWS KMS does not say what the key ${key} is`);
  if (found?.KeyState !== 'Enabled') {
    throw new MasterKeyRefusedError(`the key ${key} cannot be used: AWS KMS calls it ${found?.KeyState ?? 'unknown'}`);
  }
  if (found.KeySpec !== 'SYMMETRIC_DEFAULT' || found.KeyUsage !== 'ENCRYPT_DECRYPT') {
    throw new MasterKeyRefusedError(
      `the key ${key} is for ${found.KeyUsage ?? 'nothing'} with ${found.KeySpec ?? 'nothing'}, not for symmetric encryption`,
    );
  }
  return {
    arn,
    async makeDataKey() {
      const asked = { KeyId: arn, KeySpec: 'AES_256', EncryptionContext } as const;
      const { CiphertextBlob } = await ask('GenerateDataKeyWithoutPlaintext', (options) =>
        client.send(new sdk.GenerateDataKeyWithoutPlaintextCommand(asked), options),
      );
      if (CiphertextBlob === undefined) throw new MasterKeyAwayError('AWS KMS answered without a data key');
      return Buffer.from(CiphertextBlob);
    },
    async openDataKey(encrypted) {
      // With the key's name, so that nothing opens that somebody encrypted under a key of their own.
      const asked = { KeyId: arn, CiphertextBlob: encrypted, EncryptionContext };
      const { Plaintext } = await ask('Decrypt', async (options) => {
        try {
          return await client.send(new sdk.DecryptCommand(asked), options);
        } catch (error) {
          if (error instanceof Error && notOurs.has(error.name)) return { Plaintext: undefined };
          throw error;
        }
      });
      return Plaintext === undefined ? undefined : Buffer.from(Plaintext);
    },
  };
}

/** What was encrypted under another key, for another purpose, or altered since, even so that it is none. */
const notOurs = new Set(['InvalidCiphertextException', 'IncorrectKeyException', 'ValidationException']);

/** Refusals whose status is that of a bad request, and which pass. */
const passing = new Set([
  'ThrottlingException',
  'Throttling',
  'LimitExceededException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'KeyUnavailableException',
  'DependencyTimeoutException',
  'KMSInternalException',
]);

/** The same in words an operator can act on. Nothing of what was asked is in them. */
function told(error: unknown, operation: string, key: string): Error {
  if (error instanceof MasterKeyRefusedError) return error;
  const { name, message } = error instanceof Error ? error : { name: 'unknown', message: '' };
  const what = `${operation} with the key ${key}`;
  const status = statusOf(error);
  const refused = status !== undefined && status >= 400 && status < 500 && status !== 429 && !passing.has(name);
  if (!refused) return new MasterKeyAwayError(`AWS KMS does not answer ${what}: ${name}: ${message}`, { cause: error });
  return new MasterKeyRefusedError(`AWS KMS refuses ${what}: ${reasons[name] ?? message} (${name})`, { cause: error });
}

const reasons: Readonly<Record<string, string>> = {
  AccessDeniedException: 'we have no permission for it, or the key is of another account',
  DisabledException: 'the key is disabled',
  NotFoundException: 'there is no such key in this account and AWS region',
};

function statusOf(error: unknown): number | undefined {
  const { $metadata: { httpStatusCode } = {} } = error as { $metadata?: { httpStatusCode?: number } };
  return httpStatusCode;
}

/** Wherever the SDK has its endpoint from, nothing goes there in the clear. */
function refusePlainly(client: KMSClient, plain: readonly string[]): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const host = forbiddenHostOf(args.request as { readonly protocol: string; readonly hostname: string }, plain);
      if (host === undefined) return next(args);
      throw new MasterKeyRefusedError(
        `AWS KMS: ${host} would be spoken to without TLS; give an endpoint that begins with https://`,
      );
    },
    { step: 'build', name: 'ablaufRefusePlainly' },
  );
}

/** Lets so many go on at once; the others wait for their turn. */
function limit(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running === most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
