/** Signing in with identity providers over OpenID Connect (R26). */
export { SignInError, type SignInFault } from './errors';
export type { LogoutToken } from './logout-token';
export { openProvider, type IdentityProvider, type Person, type Secrets } from './provider';
export { isOwnPath, standardReturn } from './return-to';
export { providerKinds, type ProviderSettings, type RoleRule } from './settings';
