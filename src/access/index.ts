/** Who may do what. */
export { followedCollections } from './followed';
export { hashOf, newKey } from './key-format';
export { createKeyring, type Keyring } from './keyring';
export { noteKeyUses, registerKeyUses, type KeyUses } from './key-uses';
export { registerKeys, type ApiKeyDocument } from './keys';
export { scopes, type Principal, type Scope } from './principal';
export { may, permissions, scopeRoles, type Permission } from './roles';
export { registerSessions, type SessionDocument, type SpentDocument } from './session-models';
export { createSessions, csrfTokenOf, type SessionLimits, type Sessions, type ShownSession } from './sessions';
export { registerUsers, userIdOf, type UserDocument } from './users';
