/** Searching the database for what an erasure may have left (R22). */
import type { mongo } from 'mongoose';
import type { OutsideStore } from './erase';
import { dataSets, otherCollections, ownedBy } from './map';
import type { Store } from './store';

/** Something an erasure left behind. */
export interface Leftover {
  readonly collection: string;
  readonly records: number;
}

/** How a collection was searched: by what names an account in it, or byte by byte. */
export interface Searched {
  readonly collection: string;
  readonly how: 'by-account' | 'raw';
}

/** What a search went through, what it left out, and what it found. */
export interface Search {
  readonly collections: readonly Searched[];
  readonly except: readonly string[];
  readonly found: readonly Leftover[];
}

/**
 * What the search leaves out, exactly: the two documents of the account itself that go in the very transaction which issues
 * its certificate, one of them for the tombstone. What is kept by the account's pseudonym is not left out: it is searched
 * for the id as well.
 */
const declaredRemainder = dataSets
  .filter((set) => set.erasure === 'reduce')
  .map(({ collection }) => `${collection}: the account's own document`);

/**
 * Searches the database for an account, by a way of its own: it does not walk the plan but asks the server what
 * collections there are. One that nobody declared is read from end to end, for any text that is the account's id or begins
 * with it and a colon. Only the declared remainder is left out.
 *
 * @param outside further places, each asked for what it has of the account
 * @param checkpoint throws to stop between two places
 */
export async function searchRemains(
  store: Store,
  account: string,
  outside: readonly OutsideStore[] = [],
  checkpoint: () => void = () => undefined,
): Promise<Search> {
  const database = store.connection.getClient().db(store.connection.name);
  const collections: Searched[] = [];
  const found: Leftover[] = [];
  const names = (await database.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
  for (const name of names.sort()) {
    if (name.startsWith('system.')) continue;
    checkpoint();
    const collection = database.collection<{ _id: string }>(name);
    const how = isDeclared(name) ? 'by-account' : 'raw';
    const records =
      how === 'raw' ? await countMentions(collection, account) : await countOwned(collection, name, account);
    collections.push({ collection: name, how });
    if (records > 0) found.push({ collection: name, records });
  }
  for (const place of outside) {
    const records = await place.find(account);
    collections.push({ collection: place.name, how: 'by-account' });
    if (records > 0) found.push({ collection: place.name, records });
  }
  checkpoint();
  return { collections, except: declaredRemainder, found };
}

/** Where keys are declared to lie. */
const keysCollection = 'vaultKeys';

/**
 * Searches the key store for a key that was destroyed: that nothing is left of it but the mark, and that no other collection
 * of its database holds one by that name.
 */
export async function searchKeys(
  { vault }: Pick<Store, 'vault'>,
  account: string,
  kind: 'account' | 'retained',
): Promise<Pick<Search, 'collections' | 'found'>> {
  const { connection } = vault.keyStore;
  const database = connection.getClient().db(connection.name);
  const key = `${kind}/${vault.pseudonymOf(account)}`;
  const collections: Searched[] = [];
  const found: Leftover[] = [];
  const names = (await database.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
  for (const name of names.sort()) {
    if (name.startsWith('system.')) continue;
    const collection = database.collection<{ _id: string }>(name);
    const how = name === keysCollection ? 'by-account' : 'raw';
    const records = how === 'raw' ? await countMentions(collection, key) : await countKeys(collection, key);
    collections.push({ collection: `${name} in the key store`, how });
    if (records > 0) found.push({ collection: `${name} in the key store`, records });
  }
  return { collections, found };
}

async function countKeys(collection: mongo.Collection<{ _id: string }>, key: string): Promise<number> {
  const left = await collection.findOne<Readonly<Record<string, unknown>>>({ _id: key });
  return left !== null && ('versions' in left || 'index' in left || 'current' in left) ? 1 : 0;
}

function isDeclared(name: string): boolean {
  return [...dataSets, ...otherCollections].some((set) => set.collection === name);
}

async function countOwned(
  collection: mongo.Collection<{ _id: string }>,
  name: string,
  account: string,
): Promise<number> {
  const declared = dataSets.find((set) => set.collection === name);
  // The account's own document is to go in a moment, and is no remainder.
  const own = declared?.erasure === 'reduce';
  // One question for each index: a single one with all of them would read large collections from end to end.
  const questions = [
    ...(declared === undefined || own ? [] : [ownedBy(account, declared)]),
    ...(own ? [] : [ownedBy(account, { owner: { id: 'whole' } })]),
    ownedBy(account, { owner: { id: 'prefix' } }),
  ];
  let records = 0;
  for (const question of questions) records = Math.max(records, await collection.countDocuments(question));
  return records;
}

async function countMentions(collection: mongo.Collection<{ _id: string }>, account: string): Promise<number> {
  let records = 0;
  const documents = collection.find({}, { raw: true, batchSize: 100 }) as unknown as AsyncIterable<Uint8Array>;
  for await (const document of documents) if (mentions(Buffer.from(document), account)) records += 1;
  return records;
}

/** A BSON text begins with its length, four bytes with the least significant first, and ends with a zero byte. */
const lengthBytes = 4;
const colon = 0x3a;

/** Whether a BSON document holds a text that is this one, or begins with it and a colon; also as the name of a field. */
function mentions(document: Buffer, text: string): boolean {
  const wanted = Buffer.from(text);
  for (let at = document.indexOf(wanted); at !== -1; at = document.indexOf(wanted, at + 1)) {
    const next = document[at + wanted.length];
    if (next !== 0 && next !== colon) continue;
    const length = at >= lengthBytes ? document.readInt32LE(at - lengthBytes) : 0;
    const isText = next === 0 ? length === wanted.length + 1 : length > wanted.length + 1 && length < document.length;
    // A field's name has no length before it, only its type.
    const isName = next === 0 && (document[at - 1] ?? 0) >= 1 && (document[at - 1] ?? 0) <= 0x13;
    if (isText || isName) return true;
  }
  return false;
}
