/** Opening the vault as it is configured; see `config.ts`. */
import type { Config } from './config';
import {
  localKeyProvider,
  MasterKeyError,
  masterKeysOf,
  openKeyStore,
  openKmsKeyProvider,
  openVault,
  type KeyStore,
  type MasterKeys,
  type Vault,
} from './vault';

/** The master keys a process was given. @throws {MasterKeyError | MasterKeyRefusedError | MasterKeyAwayError} one of them cannot be used */
export async function configuredMasterKeys({ region, vault }: Config): Promise<MasterKeys> {
  const held = (key: string) => openKmsKeyProvider({ key, region, plain: vault.kms.plain });
  const text = (key: string) => localKeyProvider(key, region);
  const { masterKey, next, kms } = vault;
  const texts = [...(masterKey === undefined ? [] : [masterKey]), ...vault.previous].map(text);
  const [inUse, ...previous] = [
    ...(kms.key === undefined ? [] : [await held(kms.key)]),
    ...texts,
    ...(await Promise.all(kms.previous.map(held))),
  ];
  if (inUse === undefined) throw new MasterKeyError('no master key is given');
  const heldNext = kms.next === undefined ? undefined : await held(kms.next);
  return masterKeysOf(inUse, heldNext ?? (next === undefined ? undefined : text(next)), previous);
}

export interface KeyStoreSettings {
  /** How long one operation may take before its connection is given up, in milliseconds. */
  readonly socketTimeout?: number;
  /** Whether its collection is created where it is missing. @default true */
  readonly prepare?: boolean;
}

export function openConfiguredKeyStore({ vault, transit }: Config, settings: KeyStoreSettings = {}): Promise<KeyStore> {
  return openKeyStore({ ...settings, uri: vault.uri, ...(transit.vault === undefined ? {} : { tls: transit.vault }) });
}

/** @param socketTimeout how long one operation may take before its connection is given up, in milliseconds */
export async function openConfiguredVault(config: Config, socketTimeout?: number): Promise<Vault> {
  const { region, vault } = config;
  const keyStore = await openConfiguredKeyStore(config, socketTimeout === undefined ? {} : { socketTimeout });
  try {
    const { inUse, next, accepted } = await configuredMasterKeys(config);
    return await openVault({
      keyStore,
      region,
      master: inUse,
      ...(next === undefined ? {} : { next }),
      previous: [...accepted.values()],
      backupRetention: vault.backupRetention,
      apart: !vault.shared,
    });
  } catch (error) {
    await keyStore.connection.close();
    throw error;
  }
}
