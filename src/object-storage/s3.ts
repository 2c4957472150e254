/** Reaching an object storage, Amazon's or another's. The SDK is loaded with the first use, and by nobody who has none. */
import type * as Sdk from '@aws-sdk/client-s3';
import { forbiddenHostOf } from '../transit';

/** Where a storage is, and who asks. Without keys the SDK looks for them in its own places. */
export interface S3Options {
  readonly bucket: string;
  /** What all keys begin with; ends with `/` as a rule. */
  readonly prefix?: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  /** Hosts beyond this machine that may be spoken to without TLS. @default none */
  readonly plain?: readonly string[];
}

/** A storage would be spoken to in the clear, wherever the SDK has its endpoint from (R21). Nothing was sent. */
class PlainStorageError extends Error {
  override readonly name = 'PlainStorageError';
}

/** How long it is waited for. */
export interface S3Patience {
  readonly attempts: number;
  /** For one attempt, in milliseconds. */
  readonly request: number;
}

const connectPatience = 3000;
const standardPatience: S3Patience = { attempts: 3, request: 20_000 };

/** A client, and the SDK whose commands it takes. Nothing is asked yet. */
export async function connectS3(
  { endpoint, region, accessKeyId, secretAccessKey, plain = [] }: Omit<S3Options, 'bucket' | 'prefix'>,
  { attempts, request } = standardPatience,
): Promise<{ sdk: typeof Sdk; client: Sdk.S3Client }> {
  const sdk = await import('@aws-sdk/client-s3');
  const client = new sdk.S3Client({
    maxAttempts: attempts,
    // Other products than Amazon's rarely understand the checksums newer SDKs send unasked.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: connectPatience, requestTimeout: request },
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey } }),
  });
  client.middlewareStack.add(
    (next) => (args) => {
      const host = forbiddenHostOf(args.request as { readonly protocol: string; readonly hostname: string }, plain);
      if (host === undefined) return next(args);
      throw new PlainStorageError(`${host} would be spoken to without TLS; give an endpoint that begins with https://`);
    },
    { step: 'build', name: 'ablaufRefusePlainly' },
  );
  return { sdk, client };
}
