/** Replacing a list of allowed addresses, for the API and for whoever sits at the machine itself (R27). */
import type { ClientSession } from 'mongoose';
import type { Store } from '../data';
import { native } from '../database';
import {
  cipherOfList,
  compileList,
  deploymentList,
  registerAddressLists,
  sealList,
  type AddressEntry,
  type AddressListDocument,
} from './address-lists';

/** The list of an account, or the deployment's, as it is stored; nothing where there never was one. */
export function findList(store: Store, id: string, session?: ClientSession): Promise<AddressListDocument | null> {
  const lists = native(registerAddressLists(store.connection));
  return lists.findOne<AddressListDocument>({ _id: id }, session === undefined ? {} : { session });
}

/** A list that takes the place of another. */
export interface NewList {
  /** The account's id, or that of the deployment's list. */
  readonly id: string;
  readonly entries: readonly AddressEntry[];
  readonly version: number;
  readonly at: Date;
}

/**
 * Puts a list in the place of the one before. That an account's restricts the gateway is written on the account's own document,
 * which is read with each question of a gateway anyway: of all the others no list is looked for.
 *
 * @returns whether it was: an account that is being erased gets nothing any more, which would outlive it
 * @throws {KeyDestroyedError} the account is erased
 */
export async function replaceList(store: Store, session: ClientSession, list: NewList): Promise<boolean> {
  const { id, entries, version, at } = list;
  if (id !== deploymentList) {
    const gate = { _id: id, open: true };
    const { matchedCount } = await native(store.gates).updateOne(gate, { $inc: { passed: 1 } }, { session });
    if (matchedCount === 0) return false;
    const listed = compileList(entries).restricts('gateway');
    await native(store.accounts).updateOne({ _id: id }, { $set: { listed } }, { session });
  }
  const document = sealList(await cipherOfList(store.vault, id), { _id: id, version, changedAt: at }, entries);
  const lists = native(registerAddressLists(store.connection));
  await lists.replaceOne({ _id: id }, document, { session, upsert: true });
  return true;
}
