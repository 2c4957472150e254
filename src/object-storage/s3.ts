/** Reaching an object storage, Amazon's or another's. The SDK is loaded with the first use, and by nobody who has none. */
import type * as Sdk from '@aws-sdk/client-s3';

/** Where a storage is, and who asks. Without keys the SDK looks for them in its own places. */
export interface S3Options {
  readonly bucket: string;
  /** What all keys begin with; ends with `/` as a rule. */
  readonly prefix?: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
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
  { endpoint, region, accessKeyId, secretAccessKey }: Omit<S3Options, 'bucket' | 'prefix'>,
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
  return { sdk, client };
}
