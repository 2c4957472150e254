/**
 * Microsoft's issuers that stand for several tenants: each tenant signs in its own name, which is known only once its token is
 * there. `openid-client` has to be told beforehand, so the token is fetched first and read then.
 */
import { decodeJwt } from 'jose';
import type * as client from 'openid-client';
import { z } from 'zod';
import type { Fetch } from './fetch';

/** What stands for the tenant in the name of its issuer. */
const placeholder = '{tenantid}';

const metadataShape = z.looseObject({
  issuer: z.string(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
  jwks_uri: z.url(),
});

/** What such an issuer says of itself. @throws it cannot be read, or is not what it should be */
export async function discoverTenants(issuer: URL, fetch: Fetch): Promise<client.ServerMetadata> {
  const address = `${issuer.href.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const response = await fetch(address, { headers: { accept: 'application/json' } });
  if (response.status !== 200) throw new Error(`the provider's metadata was answered with ${response.status}`);
  const metadata = metadataShape.parse(await response.json());
  const expected = `${issuer.origin}/${placeholder}/v2.0`;
  if (metadata.issuer !== expected) throw new Error('the provider says that it is another issuer');
  return metadata as client.ServerMetadata;
}

/** The name a tenant issues in. The token says which it is from; nothing of it is proven yet. */
export function tenantIssuer({ issuer }: Pick<client.ServerMetadata, 'issuer'>, tenant: unknown): string {
  return typeof tenant === 'string' ? issuer.replace(placeholder, tenant) : issuer;
}

/**
 * Exchanges a code for the tokens of whichever tenant it is.
 *
 * @param configure makes a configuration of metadata, which asks by way of `fetch`
 * @param grant exchanges the code with a configuration
 */
export async function exchangeWithTenant<T>(
  metadata: client.ServerMetadata,
  fetch: Fetch,
  configure: (metadata: client.ServerMetadata, fetch: Fetch) => client.Configuration,
  grant: (configuration: client.Configuration) => Promise<T>,
): Promise<T> {
  let answer: Response | undefined;
  const first = configure(metadata, async (url, options) => {
    answer = await fetch(url, options);
    return answer.clone();
  });
  try {
    // Whatever is wrong with the answer beside its issuer is wrong, too, when it is read again.
    return await grant(first);
  } catch (error) {
    const issuer = answer === undefined ? undefined : await issuerIn(metadata, answer);
    if (answer === undefined || issuer === undefined) throw error;
    const again = answer.clone();
    return grant(configure({ ...metadata, issuer }, () => Promise.resolve(again)));
  }
}

async function issuerIn(metadata: client.ServerMetadata, answer: Response): Promise<string | undefined> {
  try {
    const { id_token: token } = (await answer.clone().json()) as { id_token?: unknown };
    return typeof token === 'string' ? tenantIssuer(metadata, decodeJwt(token)['tid']) : undefined;
  } catch {
    return undefined;
  }
}
