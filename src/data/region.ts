/** Whose database this is (R25): a mark in it, left by the first process that prepared it, and read by every other. */
import type { Connection } from 'mongoose';
import type { Vault } from '../vault';
import { WrongKeyStoreError, WrongRegionError } from './errors';

/** The mark's id among the settings; none an account could have. */
const markId = '/region';

interface Mark {
  readonly _id: typeof markId;
  readonly region: string;
  /** Tells the key store the database belongs with, and nothing of its keys. */
  readonly keyStore: string;
  readonly version: number;
}

/** What is to be somebody's; a `Store` is one. */
interface Claimed {
  readonly connection: Connection;
  readonly region: string;
  readonly vault: Vault;
}

/**
 * Marks a database as this region's, or finds that it is. Safe to repeat, and for several processes at once.
 *
 * @throws {WrongRegionError} it is another region's. Nothing was written
 * @throws {WrongKeyStoreError} what it holds was encrypted with keys of another key store. Nothing was written
 */
export async function claimRegion(store: Claimed): Promise<void> {
  const settings = store.connection.collection<Mark>('settings');
  const ours: Mark = { _id: markId, region: store.region, keyStore: keyStoreName(store), version: 1 };
  const mark = (await settings.findOne({ _id: markId })) ?? (await leave(store, ours));
  const { name } = store.connection;
  if (mark.region !== ours.region) {
    throw new WrongRegionError(
      `the database ${name} belongs to ${mark.region}, and this process to ${ours.region}: see ABLAUF_REGION and ABLAUF_MONGODB_URI`,
    );
  }
  if (mark.keyStore !== ours.keyStore) {
    throw new WrongKeyStoreError(
      `the database ${name} was written with the keys of another key store: see ABLAUF_VAULT_URI. ` +
        'With this one nothing in it could be read, and an erased account would not be known again',
    );
  }
}

/** No account has an empty id, and the key its name is made with is never replaced. */
function keyStoreName({ vault }: Claimed): string {
  return vault.pseudonymOf('');
}

/** A database from before there were marks is ours if its accounts are. */
async function leave({ connection }: Claimed, ours: Mark): Promise<Mark> {
  const accounts = connection.collection<{ _id: string; region: string }>('accounts');
  const foreign = await accounts.findOne({ region: { $ne: ours.region } }, { projection: { region: 1 } });
  if (foreign !== null) return { ...ours, region: foreign.region };
  const settings = connection.collection<Mark>('settings');
  try {
    await settings.insertOne(ours);
    return ours;
  } catch (error) {
    if ((error as { code?: unknown }).code !== 11000) throw error;
    // Another process came first: its mark counts.
    return (await settings.findOne({ _id: markId })) ?? ours;
  }
}
