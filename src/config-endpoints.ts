/** Where object storages and AWS KMS are reached, from whichever variable says it: ours, or the AWS SDK's own. */
import type { WitnessPlace } from './witnesses';

/** An address somebody else's program answers at. */
export interface Endpoint {
  /** The variable that names it. */
  readonly variable: string;
  readonly url: string;
}

interface Values {
  readonly ABLAUF_EXPORT_S3_BUCKET?: string | undefined;
  readonly ABLAUF_EXPORT_S3_ENDPOINT?: string | undefined;
  readonly ABLAUF_LEDGER: string;
  readonly ABLAUF_LEDGER_S3_ENDPOINT?: string | undefined;
  readonly ABLAUF_KMS_KEY?: string | undefined;
  readonly ABLAUF_KMS_KEY_NEXT?: string | undefined;
  readonly ABLAUF_KMS_KEY_PREVIOUS?: readonly string[] | undefined;
}

/**
 * Every such address that is given and will be used; what the SDK makes up itself begins with https.
 *
 * @param environment with the variables the SDK reads
 */
export function endpointsOf(
  values: Values,
  witnesses: readonly WitnessPlace[],
  environment: Readonly<Record<string, string | undefined>>,
): Endpoint[] {
  const endpoints = new Map<string, string>();
  const use = (given: Readonly<Record<string, string | undefined>>): void => {
    const [named] = Object.entries(given).flatMap(([name, url]) => (url ? [[name, url] as const] : []));
    if (named !== undefined) endpoints.set(...named);
  };
  const sdk = (service: 'S3' | 'KMS') => ({
    [`AWS_ENDPOINT_URL_${service}`]: environment[`AWS_ENDPOINT_URL_${service}`],
    AWS_ENDPOINT_URL: environment['AWS_ENDPOINT_URL'],
  });
  const { ABLAUF_EXPORT_S3_ENDPOINT, ABLAUF_LEDGER_S3_ENDPOINT } = values;
  if (values.ABLAUF_EXPORT_S3_BUCKET !== undefined) use({ ABLAUF_EXPORT_S3_ENDPOINT, ...sdk('S3') });
  if (values.ABLAUF_LEDGER.startsWith('s3:')) use({ ABLAUF_LEDGER_S3_ENDPOINT, ...sdk('S3') });
  if (witnesses.some(({ kind }) => kind === 's3')) use(sdk('S3'));
  const kms = [values.ABLAUF_KMS_KEY, values.ABLAUF_KMS_KEY_NEXT, values.ABLAUF_KMS_KEY_PREVIOUS];
  if (kms.some((given) => given !== undefined)) use(sdk('KMS'));
  return [...endpoints].map(([variable, url]) => ({ variable, url }));
}
