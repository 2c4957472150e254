/** The class by itself: the package's own entry prints a warning on Node 20, where it works all the same. */
declare module 'oidc-provider/lib/provider.js' {
  export { Provider } from 'oidc-provider';
}
