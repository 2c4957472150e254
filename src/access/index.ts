/** Who may do what. */
export { followedCollections } from './followed';
export { hashOf, newKey } from './key-format';
export { createKeyring, type Keyring } from './keyring';
export { registerKeys, type ApiKeyDocument } from './keys';
export type { Principal, Scope } from './principal';
export { may, permissions } from './roles';
