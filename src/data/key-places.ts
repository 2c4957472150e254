/**
 * Which key each encrypted value is under, for whoever encrypts what is stored anew (R21). What the data map says of it in
 * words is said here for the machine; a place that has a key of its own in the map and is not listed here stops every process.
 */
import { dataSets, encryptedKinds, otherCollections, type DataSet, type OtherCollection } from './map';

/** An account's key, that of what the law keeps of it, or one of the deployment's own. */
export type KeyName = 'account' | 'retained' | 'secrets' | 'staff';

/** A place that holds encrypted values for longer than a few days. */
export interface KeyPlace {
  readonly collection: string;
  /** The fields a document is read with to find its encrypted values, and to tell whose they are. */
  readonly projection: Readonly<Record<string, 1>>;
  /** The keys its values may be under. */
  readonly keys: readonly KeyName[];
  /** Which of them one value is under. @param field as the data map calls it */
  keyOf(document: Readonly<Record<string, unknown>>, field: string): KeyName;
}

/**
 * What goes by itself within a week or so, and is left as it is: it stays readable, since a key's older versions stay. An
 * archive that a hold keeps may stay longer.
 */
const shortLived: readonly string[] = ['idempotencyKeys', 'accountDrafts', 'archives.chunks'];

/** A customer's are under the account's key, all others under the staff's. */
const accountsOrStaffs: Pick<KeyPlace, 'keys' | 'keyOf'> = {
  keys: ['account', 'staff'],
  keyOf: ({ account }) => (typeof account === 'string' ? 'account' : 'staff'),
};

const withOtherKeys: Readonly<Record<string, Pick<KeyPlace, 'keys' | 'keyOf'>>> = {
  sealedRecords: { keys: ['retained'], keyOf: () => 'retained' },
  processors: { keys: ['secrets'], keyOf: () => 'secrets' },
  processorRequests: { keys: ['secrets'], keyOf: () => 'secrets' },
  providers: { keys: ['staff'], keyOf: () => 'staff' },
  apiKeys: accountsOrStaffs,
  approvals: accountsOrStaffs,
  users: accountsOrStaffs,
  sessions: accountsOrStaffs,
  allowedAddresses: accountsOrStaffs,
  auditEntries: { keys: ['account', 'staff'], keyOf: (_entry, field) => (field === 'staff' ? 'staff' : 'account') },
};

/** Every such place, in the data map's order. */
export const keyPlaces: readonly KeyPlace[] = [...dataSets, ...otherCollections]
  .filter((place) => holdsEncrypted(place) && !shortLived.includes(place.collection))
  .map((place) => ({
    collection: place.collection,
    projection: projectionOf(place),
    ...keysOf(place),
  }));

function keysOf({ collection, key }: Pick<DataSet, 'collection' | 'key'>): Pick<KeyPlace, 'keys' | 'keyOf'> {
  const other = withOtherKeys[collection];
  if (other !== undefined) return other;
  if (key !== undefined) throw new Error(`which key ${collection} is encrypted under is not known here: ${key}`);
  return { keys: ['account'], keyOf: () => 'account' };
}

function holdsEncrypted({ fields }: DataSet | OtherCollection): boolean {
  return Object.values(fields).some((kind) => encryptedKinds.includes(kind));
}

/** Whole fields of the document, and never two of which one is within the other. */
function projectionOf({ fields }: DataSet | OtherCollection): Record<string, 1> {
  const names = Object.entries(fields).flatMap(([path, kind]) =>
    encryptedKinds.includes(kind) ? [path.split('.')[0] ?? path] : [],
  );
  return Object.fromEntries(['account', ...names].map((name) => [name, 1]));
}
