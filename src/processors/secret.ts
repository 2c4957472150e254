/** The secrets that webhooks are signed with: stored under the deployment's own key (R21), opened to sign and to verify. */
import { protect, reveal, type Opened, type ProcessorDocument, type Store } from '../data';

const collection = 'processors';

/** A processor as it is stored. */
export async function protectProcessor(store: Store, processor: Opened<ProcessorDocument>): Promise<ProcessorDocument> {
  return protect<ProcessorDocument>(await store.vault.systemCipher('secrets'), collection, processor);
}

/**
 * What a processor's messages are signed with; nothing where it has certificates instead.
 *
 * @throws {UnreadableValueError} it was altered, or is another processor's
 */
export async function secretOf(store: Store, processor: ProcessorDocument): Promise<string | undefined> {
  if (processor.secret === undefined) return undefined;
  return reveal(await store.vault.systemCipher('secrets'), collection, processor).secret;
}
