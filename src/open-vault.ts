/** Opening the vault as it is configured; see `config.ts`. */
import type { Config } from './config';
import { localKeyProvider, openKeyStore, openVault, type Vault } from './vault';

/** @param socketTimeout how long one operation may take before its connection is given up, in milliseconds */
export async function openConfiguredVault({ region, vault, transit }: Config, socketTimeout?: number): Promise<Vault> {
  const keyStore = await openKeyStore({
    uri: vault.uri,
    ...(transit.vault === undefined ? {} : { tls: transit.vault }),
    ...(socketTimeout === undefined ? {} : { socketTimeout }),
  });
  try {
    return await openVault({
      keyStore,
      region,
      master: localKeyProvider(vault.masterKey, region),
      previous: vault.previous.map((key) => localKeyProvider(key, region)),
      backupRetention: vault.backupRetention,
      apart: !vault.shared,
    });
  } catch (error) {
    await keyStore.connection.close();
    throw error;
  }
}
