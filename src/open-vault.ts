/** Opening the vault as it is configured; see `config.ts`. */
import type { Config } from './config';
import {
  localKeyProvider,
  MasterKeyError,
  openKeyStore,
  openKmsKeyProvider,
  openVault,
  type KeyProvider,
  type Vault,
} from './vault';

/** @param socketTimeout how long one operation may take before its connection is given up, in milliseconds */
export async function openConfiguredVault(config: Config, socketTimeout?: number): Promise<Vault> {
  const { region, vault, transit } = config;
  const keyStore = await openKeyStore({
    uri: vault.uri,
    ...(transit.vault === undefined ? {} : { tls: transit.vault }),
    ...(socketTimeout === undefined ? {} : { socketTimeout }),
  });
  try {
    const [master, ...previous] = await masterKeys(config);
    if (master === undefined) throw new MasterKeyError('no master key is given');
    return await openVault({
      keyStore,
      region,
      master,
      previous,
      backupRetention: vault.backupRetention,
      apart: !vault.shared,
    });
  } catch (error) {
    await keyStore.connection.close();
    throw error;
  }
}

/** The one new keys are wrapped under, and those that keys may still be wrapped under. */
async function masterKeys({ region, vault, transit: { plain } }: Config): Promise<KeyProvider[]> {
  const { masterKey, kms } = vault;
  const held = (key: string) => openKmsKeyProvider({ key, region, plain });
  const texts = [...(masterKey === undefined ? [] : [masterKey]), ...vault.previous];
  return [
    ...(kms.key === undefined ? [] : [await held(kms.key)]),
    ...texts.map((key) => localKeyProvider(key, region)),
    ...(await Promise.all(kms.previous.map(held))),
  ];
}
