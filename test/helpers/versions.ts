/** Which versions of keys stored values say they are under, found without asking the data map where there are any. */
import { mongo } from 'mongoose';
import type { Store } from '../../src/data';
import { versionOf } from '../../src/vault';

/** What goes by itself within days is not re-encrypted. */
const shortLived = new Set(['idempotencyKeys', 'accountDrafts', 'archives.chunks', 'archives.files']);

/**
 * The versions of every encrypted value in the database, by collection and field; with how many values name each.
 *
 * @param only whether a document counts
 */
export async function storedVersions(
  { connection }: Pick<Store, 'connection'>,
  only: (document: Readonly<Record<string, unknown>>) => boolean = () => true,
): Promise<Record<string, Record<number, number>>> {
  const found: Record<string, Record<number, number>> = {};
  const database = connection.getClient().db(connection.name);
  for (const { name } of await database.listCollections().toArray()) {
    if (shortLived.has(name)) continue;
    const note = (value: unknown, field: string): void => {
      const version = versionOf(value);
      if (version !== undefined) {
        const counts = (found[`${name}${field}`] ??= {});
        counts[version] = (counts[version] ?? 0) + 1;
      } else if (Array.isArray(value)) value.forEach((item) => note(item, field));
      else if (typeof value === 'object' && value !== null && !(value instanceof mongo.Binary)) {
        for (const [inner, one] of Object.entries(value)) note(one, `${field}.${inner}`);
      }
    };
    for await (const document of database.collection(name).find({})) if (only(document)) note(document, '');
  }
  return found;
}
