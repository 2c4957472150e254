/**
 * Keeping the personal out of sight (R21): what the data map calls personal, content or secret is stored encrypted, and
 * nothing else decides which fields those are.
 *
 * A value is bound to its collection, its field and its document: put anywhere else, it does not open. Fields the map lists
 * as `texts` are not touched here: they travel through messages and the log, and are encrypted before they reach a document.
 */
import { mongo } from 'mongoose';
import { isSealedText, UnreadableValueError, type Cipher } from '../vault';
import { dataSets, encryptedKinds, otherCollections, type DataSet } from './map';

declare const plain: unique symbol;

/** An encrypted value as it is stored. `T` is what it opens to. */
export interface Sealed<T> extends mongo.Binary {
  readonly [plain]?: T;
}

/** A document with its encrypted fields opened. */
export type Opened<D> = { readonly [K in keyof D]: OpenedValue<D[K]> };
type OpenedValue<V> = V extends Sealed<infer T> ? T : V extends readonly (infer I)[] ? readonly Opened<I>[] : V;

/** Any document: what its values are bound to. */
interface Identified {
  readonly _id: unknown;
}

/** The encrypted fields of a collection, as deep as there are any. */
interface Fields {
  /** By name, with the whole path. */
  readonly here: Map<string, string>;
  readonly below: Map<string, Fields>;
}

const fieldsOf = new Map([...dataSets, ...otherCollections].map((place) => [place.collection, encryptedFields(place)]));
const textsOf = new Map(
  dataSets.flatMap(({ collection, texts }) => (texts === undefined ? [] : [[collection, treeOf(texts)] as const])),
);

/**
 * A document as it is to be stored: its personal, content and secret fields encrypted, the rest as it was. Lists are looked
 * through; what is absent stays absent.
 *
 * @typeParam D the document as stored, see {@link Sealed}
 */
export function protect<D extends Identified>(cipher: Cipher, collection: string, document: Opened<D>): D {
  const id = String(document._id);
  return walk(document, fieldsIn(collection), (value, field) => {
    return new mongo.Binary(cipher.seal(value, { collection, field, id }));
  }) as D;
}

/**
 * What {@link protect} was given.
 *
 * @throws {UnreadableValueError} a value was altered, moved, stored in the clear, or belongs to another owner; names
 * collection and field, never the value
 */
export function reveal<D extends Identified>(cipher: Cipher, collection: string, document: D): Opened<D> {
  const id = String(document._id);
  return walk(document, fieldsIn(collection), (value, field) => {
    if (!isBytes(value)) throw new UnreadableValueError(`a value of ${collection}.${field} is not encrypted`);
    return cipher.open(value as Uint8Array, { collection, field, id });
  }) as Opened<D>;
}

/** An encrypted value, and where it stands in its document. */
export interface EncryptedValue {
  /** Its field as the data map calls it. */
  readonly field: string;
  /** The same with the places in lists, as an update calls it: `formerly.0.name`. */
  readonly path: string;
  readonly value: unknown;
  /** It is encrypted as text; see the data map's `texts`. */
  readonly isText: boolean;
}

/** Every value of a document that is stored encrypted, or should be; of texts those alone that are. */
export function encryptedValues(collection: string, document: Identified): EncryptedValue[] {
  const values: EncryptedValue[] = [];
  collect(document, fieldsIn(collection), '', (field, path, value) => {
    values.push({ field, path, value, isText: false });
  });
  const texts = textsOf.get(collection);
  if (texts === undefined) return values;
  collect(document, texts, '', (field, path, value) => {
    if (typeof value === 'string' && isSealedText(value)) values.push({ field, path, value, isText: true });
  });
  return values;
}

/** Whether a stored value is encrypted, as bytes or as text, as far as anybody can tell without the key. */
export function isProtected(value: unknown): boolean {
  if (typeof value === 'string') return isSealedText(value);
  return value instanceof mongo.Binary && value.buffer[0] === sealedFormat;
}

/** What an encrypted value begins with. */
const sealedFormat = 0xa1;

function isBytes(value: unknown): boolean {
  return value instanceof mongo.Binary || value instanceof Uint8Array;
}

function fieldsIn(collection: string): Fields {
  const fields = fieldsOf.get(collection);
  if (fields === undefined) throw new Error(`the data map does not declare ${collection}`);
  return fields;
}

function encryptedFields({ fields, texts = [] }: Pick<DataSet, 'fields' | 'texts'>): Fields {
  return treeOf(
    Object.entries(fields).flatMap(([path, kind]) =>
      encryptedKinds.includes(kind) && !texts.includes(path) ? [path] : [],
    ),
  );
}

function treeOf(paths: readonly string[]): Fields {
  const root: Fields = { here: new Map(), below: new Map() };
  for (const path of paths) {
    const parts = path.split('.');
    const name = parts.pop() ?? path;
    let node = root;
    for (const part of parts) {
      let next = node.below.get(part);
      if (next === undefined) node.below.set(part, (next = { here: new Map(), below: new Map() }));
      node = next;
    }
    node.here.set(name, path);
  }
  return root;
}

function collect(
  value: unknown,
  { here, below }: Fields,
  beginning: string,
  take: (field: string, path: string, value: unknown) => void,
): void {
  if (Array.isArray(value)) {
    value.forEach((item: unknown, at) => {
      collect(item, { here, below }, `${beginning}${at}.`, take);
    });
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  const members = value as Readonly<Record<string, unknown>>;
  for (const [name, field] of here) {
    const inner = members[name];
    if (inner !== undefined && inner !== null) take(field, `${beginning}${name}`, inner);
  }
  for (const [name, fields] of below) collect(members[name], fields, `${beginning}${name}.`, take);
}

/** A copy of a value with the encrypted fields replaced; the value itself where there is nothing to replace. */
function walk(value: unknown, { here, below }: Fields, replace: (value: unknown, field: string) => unknown): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => walk(item, { here, below }, replace));
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = { ...value };
  for (const [name, path] of here) {
    const inner = copy[name];
    if (inner !== undefined && inner !== null) copy[name] = replace(inner, path);
  }
  for (const [name, fields] of below) {
    if (copy[name] !== undefined) copy[name] = walk(copy[name], fields, replace);
  }
  return copy;
}
