/**
 * Holding the database against the data map: what is stored and not declared would escape export, holds and erasure.
 *
 * 1. Every collection that holds anything is declared, as a data set or as one that names no account.
 * 2. Every field of every document is declared, in whatever depth.
 * 3. Every document of a data set names its account the way the set says.
 * 4. Every value of a field the map calls personal, content or secret is encrypted (R21). Large content is looked at where
 *    every document is read.
 *
 * At start a large collection is judged by its newest, its oldest and some random documents, so that a start takes as long
 * with a billion records as with a thousand; a field that only a few old documents have may be missed then. In CI, after every
 * test file, every document is read.
 */
import type { mongo } from 'mongoose';
import { UndeclaredDataError } from './errors';
import { dataSets, encryptedKinds, otherCollections, type DataSet, type FieldKind } from './map';
import { isProtected } from './protect';
import type { Store } from './store';

/** Something stored that the map does not know, or knows otherwise. */
export interface Discrepancy {
  readonly collection: string;
  /** The field, in dotted form; absent where it is the collection that is not declared. */
  readonly field?: string;
  /** How many documents were seen with it. */
  readonly documents: number;
  readonly what: 'collection' | 'field' | 'owner' | 'in-the-clear';
}

export interface CompareOptions {
  /** Reads every document instead of a sample. @default false */
  readonly full?: boolean;
}

/** Up to so many documents a collection is read whole. */
const readWhole = 2000;
/** Of a larger one so many are read from each end, and as many at random. */
const sampled = 200;
/** Undeclared fields named of one collection: whoever stores names as fields should not fill the log with them. */
const named = 20;

/** Compares the database with the data map. Reads in constant memory, and writes nothing. */
export async function compareWithMap(
  { connection }: Pick<Store, 'connection'>,
  { full = false }: CompareOptions = {},
): Promise<Discrepancy[]> {
  const database = connection.getClient().db(connection.name);
  const found: Discrepancy[] = [];
  for (const { name, type } of await database.listCollections().toArray()) {
    // A view holds nothing of its own.
    if (name.startsWith('system.') || type === 'view') continue;
    found.push(...(await compareCollection(database.collection(name), full)));
  }
  return found.sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
}

/**
 * Compares the database with the data map before anything is served from it.
 *
 * @throws {UndeclaredDataError} names every place that is not declared
 */
export async function assertDeclared(store: Pick<Store, 'connection'>, options?: CompareOptions): Promise<void> {
  const found = await compareWithMap(store, options);
  if (found.length > 0) throw new UndeclaredDataError(found.map(placeOf));
}

/** Of these paths of fields, in dotted form, those that no declaration of the collection covers. */
export function undeclaredPaths(collection: string, paths: readonly string[]): string[] {
  const declared = declaredFields(collection);
  return declared === undefined ? [...paths] : paths.filter((path) => !isCovered(treeOf(declared), path.split('.')));
}

function placeOf({ collection, field, what, documents }: Discrepancy): string {
  if (what === 'in-the-clear') return `${collection}.${field ?? ''} (not encrypted in ${documents} documents)`;
  if (what === 'owner') return `${collection}.${field ?? '_id'} (does not name the account in ${documents} documents)`;
  return field === undefined ? collection : `${collection}.${field}`;
}

function declaredFields(collection: string): Readonly<Record<string, FieldKind>> | undefined {
  return [...dataSets, ...otherCollections].find((place) => place.collection === collection)?.fields;
}

async function compareCollection(collection: mongo.Collection, full: boolean): Promise<Discrepancy[]> {
  const name = collection.collectionName;
  const declared = declaredFields(name);
  if (declared === undefined) {
    const documents = await collection.estimatedDocumentCount();
    return documents === 0 ? [] : [{ collection: name, documents, what: 'collection' }];
  }
  const tree = treeOf(declared);
  const set = dataSets.find((candidate) => candidate.collection === name);
  const undeclared = new Map<string, number>();
  const clear = new Map<string, number>();
  let ownerless = 0;
  for await (const document of documentsOf(collection, full ? [] : bulkyFields(declared), full)) {
    for (const path of undeclaredIn(document, tree)) {
      if (undeclared.has(path) || undeclared.size < named) undeclared.set(path, (undeclared.get(path) ?? 0) + 1);
    }
    for (const path of new Set(clearIn(document, tree))) clear.set(path, (clear.get(path) ?? 0) + 1);
    if (set !== undefined && !namesItsAccount(document, set)) ownerless += 1;
  }
  const found = (places: ReadonlyMap<string, number>, what: Discrepancy['what']) =>
    [...places].map(([field, documents]): Discrepancy => ({ collection: name, field, documents, what }));
  const fields = [...found(undeclared, 'field'), ...found(clear, 'in-the-clear')];
  if (set === undefined || ownerless === 0) return fields;
  return [...fields, { collection: name, field: ownerField(set), documents: ownerless, what: 'owner' }];
}

/** Content lies in one field of a document as a rule; it is declared, and large, and need not be read to be compared. */
function bulkyFields(declared: Readonly<Record<string, FieldKind>>): string[] {
  return Object.keys(declared).filter((path) => declared[path] === 'content' && !path.includes('.'));
}

async function* documentsOf(
  collection: mongo.Collection,
  omitted: readonly string[],
  full: boolean,
): AsyncGenerator<mongo.Document, void> {
  const projection = Object.fromEntries(omitted.map((field) => [field, 0 as const]));
  if (full || (await collection.estimatedDocumentCount()) <= readWhole) {
    yield* collection.find({}, { projection });
    return;
  }
  // Newest and oldest in the order of storing; the embedded database knows that order forwards only, hence the ids.
  for (const order of [{ $natural: 1 }, { $natural: -1 }, { _id: -1 }] as const) {
    yield* collection.find({}, { projection }).sort(order).limit(sampled);
  }
  const stages = omitted.length === 0 ? [] : [{ $project: projection }];
  yield* collection.aggregate([{ $sample: { size: sampled } }, ...stages]);
}

/** The declared fields by their names. */
interface Tree {
  readonly below: Map<string, Tree>;
  /** Everything below is declared with it. */
  covers: boolean;
  /** What a value that stands here is; absent where none may. */
  kind?: FieldKind;
}

function treeOf(declared: Readonly<Record<string, FieldKind>>): Tree {
  const root: Tree = { below: new Map(), covers: false };
  for (const [path, kind] of Object.entries(declared)) {
    let node = root;
    for (const part of path.split('.')) {
      if (part === '*') {
        node.covers = true;
        break;
      }
      let next = node.below.get(part);
      if (next === undefined) node.below.set(part, (next = { below: new Map(), covers: false }));
      node = next;
    }
    if (!node.covers) node.kind = kind;
  }
  return root;
}

function isCovered(tree: Tree, [part, ...rest]: readonly string[]): boolean {
  if (tree.covers || part === undefined) return true;
  const next = tree.below.get(part);
  return next !== undefined && isCovered(next, rest);
}

function* undeclaredIn(value: unknown, tree: Tree, path = ''): Generator<string, void> {
  if (tree.covers && isContainer(value)) return;
  // Whatever it is, it should be encrypted; see below.
  if (isEncrypted(tree)) return;
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) yield* undeclaredIn(item, tree, path);
  } else if (isPlain(value)) {
    for (const [name, inner] of Object.entries(value)) {
      const next = tree.below.get(name);
      const place = path === '' ? name : `${path}.${name}`;
      if (next === undefined) yield place;
      else yield* undeclaredIn(inner, next, place);
    }
  } else if (tree.kind === undefined && value !== null) {
    yield path;
  }
}

function isEncrypted({ kind }: Tree): boolean {
  return kind !== undefined && encryptedKinds.includes(kind);
}

/** The places of a document at which a value should be encrypted and is not. */
function* clearIn(value: unknown, tree: Tree, path = ''): Generator<string, void> {
  if (isEncrypted(tree)) {
    if (value !== null && !isProtected(value)) yield path;
  } else if (Array.isArray(value)) {
    for (const item of value as unknown[]) yield* clearIn(item, tree, path);
  } else if (isPlain(value)) {
    for (const [name, inner] of Object.entries(value)) {
      const next = tree.below.get(name);
      if (next !== undefined) yield* clearIn(inner, next, path === '' ? name : `${path}.${name}`);
    }
  }
}

function isContainer(value: unknown): boolean {
  return Array.isArray(value) || isPlain(value);
}

/** An object of the document itself; the driver's own types, such as dates and binary data, are values. */
function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function ownerField({ owner }: DataSet): string {
  if ('field' in owner) return owner.field;
  return 'prefixOf' in owner ? owner.prefixOf : '_id';
}

function namesItsAccount(document: mongo.Document, set: DataSet): boolean {
  const value: unknown = document[ownerField(set)];
  if (value === undefined || value === null) return set.ownerless !== undefined;
  if (typeof value !== 'string') return false;
  const prefixed = 'prefixOf' in set.owner || ('id' in set.owner && set.owner.id === 'prefix');
  return prefixed ? value.indexOf(':') > 0 : value !== '';
}
