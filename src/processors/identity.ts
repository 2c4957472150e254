/**
 * Whom a request to a processor is about. Processors know an account by its id, and have to be told it, also after its
 * erasure; until they have answered it lies with the request, encrypted under a key of the deployment's own. By all else the
 * request names the account by its pseudonym (R22).
 */
import { reveal, type ProcessorRequestDocument, type Store } from '../data';

/** The id of a request's account; nothing once the processor has answered. */
export async function accountOf(
  { vault }: Pick<Store, 'vault'>,
  request: ProcessorRequestDocument,
): Promise<string | undefined> {
  if (request.identity === undefined) return undefined;
  return reveal(await vault.systemCipher('secrets'), 'processorRequests', request).identity;
}
