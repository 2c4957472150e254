/** Who may do what. */
export { followedCollections } from './followed';
export { hashOf, newKey } from './key-format';
export { createKeyring, type Keyring } from './keyring';
export { noteKeyUses, registerKeyUses, type KeyUses } from './key-uses';
export { registerKeys, type ApiKeyDocument } from './keys';
export { scopes, type Principal, type Scope } from './principal';
export { may, permissions, scopeRoles } from './roles';
