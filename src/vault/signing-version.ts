/** A new version of the signing key. */
import { randomBytes } from 'node:crypto';
import { keyTransaction, type KeyStore } from './key-store';
import type { KeyProvider } from './master-key';
import { contextOf, wrapKey } from './master-keys';

const id = 'system/signing';
const keyLength = 32;

/**
 * Makes a new version of the signing key and takes it into use. Only signing keys are made anew so: every version's public half
 * stays published, so that nothing else has to change.
 *
 * @param from the version to be replaced: nothing happens where a later one is in use already
 */
export async function addSigningVersion(
  keyStore: KeyStore,
  region: string,
  from: number,
  master: KeyProvider,
): Promise<void> {
  const version = from + 1;
  const wrapped = await wrapKey(master, randomBytes(keyLength), contextOf(region, id, version));
  await keyTransaction(keyStore, async (session) => {
    const found = await keyStore.keys.findOne({ _id: id }, { session });
    if (found?.current === undefined || found.versions === undefined) throw new Error(`the key ${id} is not complete`);
    if (found.current > from) return;
    if (found.current < from) throw new Error(`the key ${id} has no version ${from} to be replaced`);
    const versions = [...found.versions, { version, at: new Date(), ...wrapped }];
    await keyStore.keys.updateOne(
      { _id: id },
      { $set: { current: version, versions }, $inc: { revision: 1 } },
      { session },
    );
  });
}
