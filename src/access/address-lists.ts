/**
 * Lists of allowed addresses (R27), of the deployment and of accounts: as they are stored, and in force.
 *
 * 1. A list restricts only what it has entries for: the instance, the gateway, or both. A list without entries restricts nothing.
 * 2. What is in force is remembered until the database says that it changed: within a second or so on every process.
 * 3. That an account has no list is remembered like a list, since what changes is known by its account's id.
 * 4. Where a list cannot be read, whoever it might keep out is not let in.
 */
import { Schema, type Connection, type Model } from 'mongoose';
import { protect, reveal, type Sealed } from '../data';
import { native, remember, type ChangeFeed } from '../database';
import type { Cipher, Vault } from '../vault';
import { matcherOf, readNetwork } from './addresses';

/** What an entry may be for: who calls the instance, or whom the gateway serves. */
export const addressUses = ['gateway', 'instance'] as const;
export type AddressUse = (typeof addressUses)[number];

/** An entry, written the one way there is; see `addresses.ts`. */
export interface AddressEntry {
  readonly cidr: string;
  readonly note?: string;
  /** For both, where it does not say. */
  readonly for?: readonly AddressUse[];
}

/** A list as it is stored. */
export interface AddressListDocument {
  /** The account's id, or {@link deploymentList}. */
  readonly _id: string;
  readonly account?: string;
  /** An account's under its key, the deployment's under the staff's. */
  readonly entries: Sealed<readonly AddressEntry[]>;
  readonly version: number;
  readonly changedAt: Date;
}

/** The id of the deployment's list: no account's id is like it. */
export const deploymentList = '*';

/** Where lists lie. */
const addressesCollection = 'allowedAddresses';

const schema = new Schema<AddressListDocument>(
  {
    _id: { type: String, required: true },
    account: String,
    entries: { type: Schema.Types.Mixed, required: true },
    version: { type: Number, required: true },
    changedAt: { type: Date, required: true },
  },
  { collection: addressesCollection, versionKey: false, minimize: false, strict: 'throw' },
);
// An account's list goes with it.
schema.index({ account: 1 }, { sparse: true });

const modelName = 'AddressList';

/** The lists of a database. Call it before the database is prepared, so that its indexes are made. Safe to repeat. */
export function registerAddressLists(connection: Connection): Model<AddressListDocument> {
  const known = connection.models[modelName] as Model<AddressListDocument> | undefined;
  return known ?? connection.model<AddressListDocument>(modelName, schema);
}

/** What opens a list. @throws {KeyDestroyedError} its account is erased */
export function cipherOfList(vault: Vault, id: string): Promise<Cipher> {
  return id === deploymentList ? vault.systemCipher('staff') : vault.cipherOf(id);
}

/** A list as it is to be stored. */
export function sealList(
  cipher: Cipher,
  list: Pick<AddressListDocument, '_id' | 'version' | 'changedAt'>,
  entries: readonly AddressEntry[],
): AddressListDocument {
  const account = list._id === deploymentList ? {} : { account: list._id };
  return protect<AddressListDocument>(cipher, addressesCollection, { ...list, ...account, entries });
}

/** The entries of a stored list. @throws {UnreadableValueError} somebody altered it */
export function entriesOf(cipher: Cipher, list: AddressListDocument): readonly AddressEntry[] {
  return reveal<AddressListDocument>(cipher, addressesCollection, list).entries;
}

/** A list that is in force. */
export interface AddressList {
  /** Whether an address may, for a use. One that is not known may only where nothing is restricted. */
  admits(use: AddressUse, address: string | undefined): boolean;
  /** Whether it has entries for a use. */
  restricts(use: AddressUse): boolean;
}

/** Entries as a list in force. */
export function compileList(entries: readonly AddressEntry[]): AddressList {
  const uses = Object.fromEntries(addressUses.map((use) => [use, matcherFor(entries, use)])) as Record<
    AddressUse,
    ((address: string) => boolean) | undefined
  >;
  return {
    restricts: (use) => uses[use] !== undefined,
    admits(use, address) {
      const holds = uses[use];
      return holds === undefined || (address !== undefined && holds(address));
    },
  };
}

function matcherFor(entries: readonly AddressEntry[], use: AddressUse): ((address: string) => boolean) | undefined {
  const own = entries.filter(({ for: uses = addressUses }) => uses.includes(use));
  if (own.length === 0) return undefined;
  return matcherOf(
    own.map(({ cidr }) => {
      const read = readNetwork(cidr);
      if ('flaw' in read) throw new Error(`a stored network ${read.flaw}`);
      return read.network;
    }),
  );
}

/** The lists in force, fast enough to ask on every request. */
export interface AddressLists {
  /** The deployment's: at once where it is remembered. Fails where it has to be read and cannot be. */
  deployment(): AddressList | Promise<AddressList>;
  /** An account's. */
  of(account: string): AddressList | Promise<AddressList>;
  /** For whoever changed one, and does not want to wait to be told. */
  forget(id: string): void;
}

export interface AddressListsOptions {
  readonly model: Model<AddressListDocument>;
  readonly vault: Vault;
  readonly feed: ChangeFeed;
}

/** How long a change may go unseen, in milliseconds; R27 allows twice that. */
const lag = 1000;
/** How many accounts are remembered, with and without a list. */
const most = 20_000;

interface Known {
  readonly id: string;
  readonly list: AddressList;
}

const unrestricted = compileList([]);

/** Begins to remember lists. */
export function createAddressLists({ model, vault, feed }: AddressListsOptions): AddressLists {
  const lists = native(model);
  const known = remember<Known>({ feed, collection: addressesCollection, read, idOf: ({ id }) => id, lag, most });

  async function read(id: string): Promise<Known> {
    const found = await lists.findOne<AddressListDocument>({ _id: id });
    if (found === null) return { id, list: unrestricted };
    return { id, list: compileList(entriesOf(await cipherOfList(vault, id), found)) };
  }

  function find(id: string): AddressList | Promise<AddressList> {
    const found = known.get(id);
    if (found instanceof Promise) return found.then(listOf);
    return listOf(found);
  }

  return { deployment: () => find(deploymentList), of: find, forget: (id) => known.forget(id) };
}

function listOf(found: Known | undefined): AddressList {
  return found?.list ?? unrestricted;
}
