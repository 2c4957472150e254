/** Who may do what. */
export {
  approvalStatuses,
  dangerousActs,
  mayBeOnePerson,
  registerApprovals,
  type ApprovalDocument,
  type DangerousAct,
} from './approvals';
export {
  addressUses,
  cipherOfList,
  compileList,
  createAddressLists,
  deploymentList,
  entriesOf,
  registerAddressLists,
  type AddressEntry,
  type AddressList,
  type AddressLists,
} from './address-lists';
export { matcherOf, readNetwork } from './addresses';
export { findList, replaceList } from './change-addresses';
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
