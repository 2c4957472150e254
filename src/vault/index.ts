/** Master key, account keys, field encryption, signing. */
export * from './errors';
export { openKmsKeyProvider } from './aws-kms';
export { isSealedText, sealedOverhead, versionOf, type Cipher, type Place } from './cipher';
export { addVersions, currentVersions, keysAfter, keysOf, systemKeyOf, useVersions, type KeyTally } from './data-keys';
export { openKeyStore, type KeyDocument, type KeyStore } from './key-store';
export { leastMasterKeyLength, localKeyProvider, type KeyProvider } from './master-key';
export { signJws } from './jws';
export type { PublicKey, Signer } from './signer';
export { openVault, type Vault, type VaultOptions } from './vault';
export { contextOf, masterKeysOf, targetCalled, type MasterKeys } from './master-keys';
export { rewrapKeys, rewrapSystemKeys, type RewrapReport } from './rewrap';
export { surveyKeys, type KeySurvey } from './survey';
